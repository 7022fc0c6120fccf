//! Commands that tidy up when they are told to stop.

use std::process::ExitStatus;

use tokio::signal::unix::{SignalKind, signal};

use crate::exit::Exit;

/// Returns at the first SIGINT or SIGTERM.
pub async fn stop() -> Result<(), Exit> {
    let failed = |error: std::io::Error| Exit::error(format!("cannot wait for signals: {error}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

/// A program that could not be started, in Go's words.
pub fn start_error(program: &str, error: &std::io::Error) -> String {
    let reason = match error.kind() {
        std::io::ErrorKind::NotFound if !program.contains('/') => {
            return format!("exec: {}: executable file not found in $PATH", crate::go::quote(program));
        }
        std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    };
    format!("fork/exec {program}: {reason}")
}

/// How a program ended, in Go's words: `exit status 7`, `signal: killed`. `None` for success.
pub fn end_text(status: ExitStatus) -> Option<String> {
    use std::os::unix::process::ExitStatusExt;
    if status.success() {
        return None;
    }
    Some(match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal: {}", signal_name(signal)),
        (None, None) => "ended".to_owned(),
    })
}

fn signal_name(signal: i32) -> String {
    match signal {
        1 => "hangup".into(),
        2 => "interrupt".into(),
        3 => "quit".into(),
        6 => "aborted".into(),
        9 => "killed".into(),
        11 => "segmentation fault".into(),
        13 => "broken pipe".into(),
        14 => "alarm clock".into(),
        15 => "terminated".into(),
        other => format!("signal {other}"),
    }
}
