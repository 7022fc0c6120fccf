//! Takes `tracing` events of the rooms below. Spans are not used.
//!
//! `tracing` has no level above error: an event with the field `fatal = true` becomes a line of level fatal.

use std::fmt::Debug;
use std::sync::atomic::Ordering;

use tracing::field::{Field as Name, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use super::{LEVEL, Line, Value};
use crate::config::LogLevel;

/// Rooms whose lines are all wanted; of everything else only warnings and errors are.
const OURS: [&str; 14] = [
    "server", "etcd", "node", "state", "mvcc", "wal", "bolt", "bbolt", "raft", "disk", "proto", "peer", "client", "ctl",
];

/// Targets that are loggers of their own, and the name that etcd gives them.
const LOGGERS: [(&str, &str); 3] = [("raft", "raft"), ("bolt", "bbolt"), ("bbolt", "bbolt")];

/// Makes this process's `tracing` events log lines.
pub fn install() {
    // Another subscriber can only stand there in a test, which then keeps it.
    tracing::subscriber::set_global_default(Bridge).unwrap_or_default();
}

/// The subscriber.
pub struct Bridge;

fn room(target: &str) -> &str {
    target.split("::").next().unwrap_or(target)
}

fn level(level: Level) -> LogLevel {
    match level {
        Level::TRACE | Level::DEBUG => LogLevel::Debug,
        Level::INFO => LogLevel::Info,
        Level::WARN => LogLevel::Warn,
        Level::ERROR => LogLevel::Error,
    }
}

impl Subscriber for Bridge {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let ours = OURS.contains(&room(metadata.target()));
        let least = if ours { LogLevel::Debug } else { LogLevel::Warn };
        let wanted = level(*metadata.level());
        metadata.is_event() && *metadata.level() != Level::TRACE && wanted >= least && super::enabled(wanted)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(match LEVEL.load(Ordering::Relaxed) {
            l if l <= LogLevel::Debug as u8 => LevelFilter::DEBUG,
            l if l <= LogLevel::Info as u8 => LevelFilter::INFO,
            l if l <= LogLevel::Warn as u8 => LevelFilter::WARN,
            _ => LevelFilter::ERROR,
        })
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let mut fields = Fields::default();
        event.record(&mut fields);
        let room = room(metadata.target());
        super::write(&Line {
            level: if fields.fatal { LogLevel::Fatal } else { level(*metadata.level()) },
            logger: LOGGERS.iter().find(|(target, _)| *target == room).map(|(_, name)| *name),
            file: metadata.file().unwrap_or(room),
            line: metadata.line().unwrap_or(0),
            message: &fields.message,
            fields: &fields.rest,
        });
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Fields {
    message: String,
    fatal: bool,
    rest: Vec<(&'static str, Value<'static>)>,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Name, value: &dyn Debug) {
        let text = format!("{value:?}");
        match field.name() {
            "message" => self.message = text,
            name => self.rest.push((name, text.into())),
        }
    }

    fn record_str(&mut self, field: &Name, value: &str) {
        match field.name() {
            "message" => self.message = value.to_owned(),
            name => self.rest.push((name, value.to_owned().into())),
        }
    }

    fn record_i64(&mut self, field: &Name, value: i64) {
        self.rest.push((field.name(), value.into()));
    }

    fn record_u64(&mut self, field: &Name, value: u64) {
        self.rest.push((field.name(), value.into()));
    }

    fn record_f64(&mut self, field: &Name, value: f64) {
        self.rest.push((field.name(), value.into()));
    }

    fn record_bool(&mut self, field: &Name, value: bool) {
        match field.name() {
            "fatal" => self.fatal = value,
            name => self.rest.push((name, value.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Collects what a visitor makes of an event.
    struct Collect(std::sync::Mutex<Vec<(LogLevel, String, String)>>);

    impl Subscriber for &'static Collect {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, event: &Event<'_>) {
            let mut fields = Fields::default();
            event.record(&mut fields);
            let level = if fields.fatal { LogLevel::Fatal } else { level(*event.metadata().level()) };
            self.0.lock().unwrap().push((level, fields.message, format!("{:?}", fields.rest)));
        }

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }

    #[test]
    fn events_become_lines() {
        let collect: &'static Collect = Box::leak(Box::new(Collect(std::sync::Mutex::default())));
        tracing::subscriber::with_default(collect, || {
            tracing::info!("compact-revision" = 7, took = ?std::time::Duration::from_millis(3), "finished {}", "it");
            tracing::error!(fatal = true, error = %"no disk", "failed to save");
        });
        let lines = collect.0.lock().unwrap();
        assert_eq!((lines[0].0, lines[0].1.as_str()), (LogLevel::Info, "finished it"));
        assert_eq!(lines[0].2, "[(\"compact-revision\", Int(7)), (\"took\", Text(\"3ms\"))]");
        assert_eq!((lines[1].0, lines[1].1.as_str()), (LogLevel::Fatal, "failed to save"));
        assert_eq!(lines[1].2, "[(\"error\", Text(\"no disk\"))]");
    }

    #[test]
    fn other_crates_speak_only_of_trouble() {
        assert!(OURS.contains(&room("mvcc::watch")) && !OURS.contains(&room("h2::codec")));
    }
}
