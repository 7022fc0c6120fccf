//! The program `etcd`: reads its settings, says what is wrong with them, serves, ends as etcd ends.

use std::io::{self, Write};

use server::config::{self, Config, Failure, Loaded, LogConfig, Notice, Source};
use server::discovery::{self, DiscoveryError};
use server::logging::{self, Sinks, lines};
use server::run::{Ended, ServeError};
use server::{exit, start};

/// The commit this was built from, where the build names it.
const COMMIT: &str = match option_env!("QUORATE_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

/// Programs of etcd that this build does not have.
const OTHER_PROGRAMS: [&str; 2] = ["gateway", "grpc-proxy"];

fn main() {
    exit::ignore_user_signal();
    let args: Vec<String> = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let words = args.get(1..).unwrap_or_default();
    if let Some(name) = words.first().filter(|word| OTHER_PROGRAMS.contains(&word.as_str())) {
        to_stderr(&format!("etcd {name} is not supported by this build yet\n"));
        std::process::exit(exit::FAILURE);
    }
    let variables: Vec<(String, String)> = std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .collect();
    let mut outside = Outside::default();
    let (notices, loaded) = config::load(words, &variables, &mut outside);
    match loaded {
        Ok(Loaded::Help) => help(),
        Ok(Loaded::Version) => to_stdout(&config::version_text(env!("CARGO_PKG_VERSION"), COMMIT)),
        Ok(Loaded::Run(config, later)) => {
            outside.init(&config);
            log(&notices);
            lines::running(&args);
            log(&later);
            run(&config);
        }
        Err(failure) => fail(failure, &notices, &args),
    }
}

/// Files and log outputs of this process.
#[derive(Default)]
struct Outside {
    sinks: Option<Sinks>,
}

impl Source for Outside {
    fn read(&mut self, path: &str) -> io::Result<String> {
        let bytes = std::fs::read(path)?;
        String::from_utf8(bytes).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
    }

    fn open_log(&mut self, log: &LogConfig) -> Result<(), String> {
        self.sinks = Some(Sinks::open(&log.outputs)?);
        Ok(())
    }
}

impl Outside {
    fn init(&mut self, config: &Config) {
        if let Some(sinks) = self.sinks.take() {
            logging::init(sinks, config.log.level, config.log.format);
        }
    }
}

fn run(config: &Config) {
    start::look_at_data_dir(&config.data_dir);
    if let Err(error) = config::check_start(config) {
        logging::fatal("discovery failed", &[("error", error.0.into())]);
    }
    serve(config);
}

fn serve(config: &Config) {
    match server::run::serve(config, COMMIT) {
        Ok(Ended::By(signal)) => exit::end_by(signal),
        Ok(Ended::Removed) => {}
        Err(ServeError::Discovery(error @ DiscoveryError::Join(_))) => {
            discovery::tell_refused(config, &error);
            std::process::exit(exit::FAILURE);
        }
        Err(error) => logging::fatal("discovery failed", &[("error", error.to_string().into())]),
    }
}

fn help() {
    to_stderr(config::usage_text());
    to_stdout(&config::flags_text());
}

/// Says what is wrong and ends.
fn fail(failure: Failure, notices: &[Notice], args: &[String]) {
    match failure {
        Failure::Usage(line) => {
            to_stderr(&format!("{line}\n{}", config::usage_text()));
            std::process::exit(exit::MISUSE);
        }
        Failure::Plain(line) => {
            to_stderr(&format!("{line}\n"));
            std::process::exit(exit::FAILURE);
        }
        Failure::Panic(line) => {
            to_stderr(&format!("{line}\n"));
            std::process::exit(exit::MISUSE);
        }
        Failure::Fatal(line) => {
            log(notices);
            logging::notice(&line);
        }
        Failure::Verify(lines_of_failure) => {
            log(notices);
            lines::running(args);
            log(&lines_of_failure);
        }
    }
    std::process::exit(exit::FAILURE);
}

fn log(notices: &[Notice]) {
    for notice in notices {
        logging::notice(notice);
    }
}

/// Where nobody reads, nothing is lost by not writing.
fn to_stdout(text: &str) {
    io::stdout().write_all(text.as_bytes()).unwrap_or_default();
}

fn to_stderr(text: &str) {
    io::stderr().write_all(text.as_bytes()).unwrap_or_default();
}
