//! Log lines in etcd's form: JSON or console, with its field names, levels and sampling.
//!
//! Lines come from two sides: the rooms below use `tracing`, whose events [`Bridge`] takes; the server itself uses
//! [`debug`] to [`fatal`], which also carry lists and durations. [`lines`] holds the messages that operators search for.
//! A line below the level costs one load of an atomic.

mod bridge;
pub mod lines;
mod render;
mod sampler;
mod sink;
mod value;
mod zone;

use std::panic::Location;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::config::{LogFormat, LogLevel, Notice, Severity};

pub use sink::Sinks;
pub use value::{Field, Value};

/// The level of the running logger; before [`init`] it is info.
static LEVEL: AtomicU8 = AtomicU8::new(LogLevel::Info as u8);
static LOGGER: OnceLock<Logger> = OnceLock::new();

/// Where lines go after [`init`].
struct Logger {
    sinks: Sinks,
    format: LogFormat,
    sampler: sampler::Sampler,
}

/// One line before it has a form.
pub(crate) struct Line<'a> {
    pub level: LogLevel,
    /// Name of a part with a logger of its own, such as `raft`.
    pub logger: Option<&'a str>,
    pub file: &'a str,
    pub line: u32,
    pub message: &'a str,
    pub fields: &'a [Field<'a>],
}

/// Starts the logger of the process and lets it take `tracing` events. Later calls change nothing.
pub fn init(sinks: Sinks, level: LogLevel, format: LogFormat) {
    if LOGGER.set(Logger { sinks, format, sampler: sampler::Sampler::new() }).is_ok() {
        LEVEL.store(level as u8, Ordering::Relaxed);
        bridge::install();
    }
}

/// A moment as log lines show it.
pub fn timestamp(at: std::time::SystemTime) -> String {
    zone::text(at)
}

/// Whether lines of this level are written.
pub fn enabled(level: LogLevel) -> bool {
    level as u8 >= LEVEL.load(Ordering::Relaxed)
}

/// Writes one line, if its level is enabled and sampling lets it pass.
pub(crate) fn write(line: &Line<'_>) {
    if !enabled(line.level) {
        return;
    }
    let at = zone::now();
    match LOGGER.get() {
        Some(logger) if logger.sampler.passes(line.level, line.message) => {
            logger.sinks.write(line, &render::render(logger.format, line, &at));
        }
        Some(_) => {}
        // Before the outputs are known, as etcd does.
        None => sink::write_stderr(&render::render(LogFormat::Json, line, &at)),
    }
}

#[track_caller]
fn log(level: LogLevel, message: &str, fields: &[Field<'_>]) {
    if enabled(level) {
        let at = Location::caller();
        write(&Line { level, logger: None, file: at.file(), line: at.line(), message, fields });
    }
}

/// Writes a line at level debug.
#[track_caller]
pub fn debug(message: &str, fields: &[Field<'_>]) {
    log(LogLevel::Debug, message, fields);
}

/// Writes a line at level info.
#[track_caller]
pub fn info(message: &str, fields: &[Field<'_>]) {
    log(LogLevel::Info, message, fields);
}

/// Writes a line at level warn.
#[track_caller]
pub fn warn(message: &str, fields: &[Field<'_>]) {
    log(LogLevel::Warn, message, fields);
}

/// Writes a line at level error.
#[track_caller]
pub fn error(message: &str, fields: &[Field<'_>]) {
    log(LogLevel::Error, message, fields);
}

/// Writes a line at level fatal and ends the process with exit code 1.
#[track_caller]
pub fn fatal(message: &str, fields: &[Field<'_>]) -> ! {
    log(LogLevel::Fatal, message, fields);
    std::process::exit(1)
}

/// Writes what the configuration has to say.
#[track_caller]
pub fn notice(notice: &Notice) {
    let fields: Vec<Field<'_>> = notice.fields.iter().map(|(name, value)| (*name, Value::from(value))).collect();
    let level = match notice.severity {
        Severity::Info => LogLevel::Info,
        Severity::Warn => LogLevel::Warn,
        Severity::Fatal => LogLevel::Fatal,
    };
    log(level, &notice.message, &fields);
}
