//! From words, variables and files to a [`Config`], or to the line and exit code that end the program.

use std::io;

use super::{Config, LogConfig, build, env, file, former, goflag, host, number, settings::Settings, validate};

/// How grave a log line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    Info,
    Warn,
    Fatal,
}

/// A line for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub severity: Severity,
    pub message: String,
    pub fields: Vec<(&'static str, String)>,
}

impl Notice {
    pub fn new(severity: Severity, message: impl Into<String>) -> Notice {
        Notice { severity, message: message.into(), fields: Vec::new() }
    }

    pub fn with(mut self, name: &'static str, value: &str) -> Notice {
        self.fields.push((name, value.to_owned()));
        self
    }
}

/// How a start ends before it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A line and the usage on stderr, exit code 2.
    Usage(String),
    /// A line on stderr, exit code 1.
    Plain(String),
    /// A line on stderr, exit code 2: where etcd panics.
    Panic(String),
    /// Log lines at warning, exit code 1.
    Verify(Vec<Notice>),
    /// A log line of level fatal, exit code 1.
    Fatal(Notice),
}

impl Failure {
    /// What is wrong with flags, variables or the file.
    pub fn verify(error: impl AsRef<str>) -> Failure {
        Failure::Verify(vec![Notice::new(Severity::Warn, "failed to verify flags").with("error", error.as_ref())])
    }
}

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Loaded {
    /// The usage on stderr, the flags on stdout.
    Help,
    Version,
    /// Start, with lines to be logged after the first one.
    Run(Box<Config>, Vec<Notice>),
}

/// What is outside of this room: files, log outputs, the routing table.
pub trait Source {
    /// The whole text of a file.
    fn read(&mut self, path: &str) -> io::Result<String>;
    /// Opens the outputs; from here on log lines go there. The error is the text for the log.
    fn open_log(&mut self, log: &LogConfig) -> Result<(), String>;
    /// See [`host::default_host`].
    fn default_host(&mut self) -> Option<std::net::IpAddr> {
        host::default_host()
    }
}

/// Reads the command line (without the program's name) and the variables of the process. The notices come first, in
/// any case.
pub fn load(
    words: &[String],
    variables: &[(String, String)],
    source: &mut dyn Source,
) -> (Vec<Notice>, Result<Loaded, Failure>) {
    let mut notices = Vec::new();
    let loaded = read(words, variables, source, &mut notices);
    (notices, loaded)
}

fn read(
    words: &[String],
    variables: &[(String, String)],
    source: &mut dyn Source,
    notices: &mut Vec<Notice>,
) -> Result<Loaded, Failure> {
    let mut settings = Settings::defaults();
    let rest = match goflag::parse(words, &mut settings) {
        Ok(rest) => rest,
        Err(goflag::Stop::Help) => return Ok(Loaded::Help),
        Err(goflag::Stop::Usage(line)) => return Err(Failure::Usage(line)),
    };
    if let Some(word) = rest.first() {
        return Err(Failure::verify(format!("{} is not a valid flag", number::quote(word))));
    }
    if settings.bool("version") {
        return Ok(Loaded::Version);
    }
    let path = match settings.text("config-file") {
        "" => variables.iter().find(|(name, _)| name == "ETCD_CONFIG_FILE").map_or("", |(_, value)| value).to_owned(),
        path => path.to_owned(),
    };
    if path.is_empty() {
        env::apply(variables, &mut settings, notices)?;
    } else {
        settings = from_file(&path, source, notices)?;
    }
    former::apply(&mut settings, !path.is_empty(), notices)?;
    let config = build::config(&settings, path.is_empty())?;
    source.open_log(&config.log).map_err(Failure::verify)?;
    validate::check(&settings, &config, notices)?;
    Ok(run(config, source))
}

/// A file is the only source: flags and variables beside it don't count.
fn from_file(path: &str, source: &mut dyn Source, notices: &mut Vec<Notice>) -> Result<Settings, Failure> {
    let text = source.read(path).map_err(|e| {
        let verb = if e.kind() == io::ErrorKind::IsADirectory { "read" } else { "open" };
        Failure::verify(format!("{verb} {path}: {}", go_io_text(&e)))
    })?;
    let mut settings = Settings::defaults();
    file::apply(&text, &mut settings)?;
    let message = "loaded server configuration, other configuration command line flags and environment variables will be \
                   ignored if provided";
    notices.push(Notice::new(Severity::Info, message).with("path", path));
    Ok(settings)
}

/// The last defaults, which depend on other values, and what is to be said about them.
fn run(mut config: Config, source: &mut dyn Source) -> Loaded {
    let mut later = Vec::new();
    build::advertise_default_host(&mut config, source, &mut later);
    build::follow_name(&mut config);
    if config.data_dir.as_os_str().is_empty() {
        config.data_dir = format!("{}.etcd", config.name).into();
        let message = "'data-dir' was empty; using default";
        later.push(Notice::new(Severity::Warn, message).with("data-dir", &config.data_dir.to_string_lossy()));
    }
    Loaded::Run(Box::new(config), later)
}

/// The system's text for an error, as Go writes it: `no such file or directory`.
pub fn go_io_text(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => String::new(),
    }
}
