//! `lock`

use client::concurrency::{Mutex, Session};
use client::methods;
use proto::etcdserverpb::RangeRequest;
use tokio::process::Command as Process;

use super::online::{Online, online};
use super::signals::{end_text, start_error, stop};
use crate::cli::{Call, Command, Flag};
use crate::exit::{ERROR, Exit};
use crate::print::Answer;

/// What a shell would make of an exit code that is none.
const EXIT_OF_SIGNALED: u8 = 255;

pub const COMMAND: Command = Command {
    name: "lock",
    args_text: "<lockname> [exec-command arg1 arg2 ...]",
    short: "Holds a lock, by itself or while a command runs",
    flags: &[Flag::int("ttl", "10", "time to live of the session, in seconds")],
    run: Some(run),
    ..crate::cli::COMMAND
};

fn run(call: &Call) -> Result<(), Exit> {
    if call.args.is_empty() {
        return Err(Exit::bad_args("lock takes a lock name argument and an optional command to execute"));
    }
    let name = call.name(0)?;
    online(call, async |online| {
        let session = Session::open(&online.patient, call.flags.int("ttl")).await?;
        let mut mutex = Mutex::new(&session, &name);
        let outcome = hold(online, &session, &mut mutex, &call.args[1..]).await;
        // Whatever the outcome was, it is what the user should hear of; the lease runs out by itself if this fails.
        let _unlocked = mutex.unlock().await;
        let _closed = session.close().await;
        outcome
    })
}

async fn hold(online: &Online, session: &Session, mutex: &mut Mutex<'_>, command: &[Vec<u8>]) -> Result<(), Exit> {
    tokio::select! {
        locked = mutex.lock() => locked?,
        stopped = stop() => return stopped,
    }
    if !command.is_empty() {
        return execute(mutex, command).await;
    }
    let request = RangeRequest { key: mutex.key().clone(), ..RangeRequest::default() };
    let answer = online.patient.call(&methods::RANGE, request).await?;
    if answer.kvs.is_empty() {
        return Err(Exit::error("lock lost on init"));
    }
    online.printer.show(&Answer::Get(&answer))?;
    tokio::select! {
        stopped = stop() => stopped,
        () = session.lost() => Err(Exit::error("session expired")),
    }
}

/// Runs the command while the lock is held. A signal ends the command too: it must not go on without the lock.
async fn execute(mutex: &Mutex<'_>, command: &[Vec<u8>]) -> Result<(), Exit> {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let program = std::ffi::OsStr::from_bytes(&command[0]);
    let revision = mutex.header().map_or(0, |header| header.revision);
    let mut process = Process::new(program)
        .args(command[1..].iter().map(|arg| std::ffi::OsString::from_vec(arg.clone())))
        .env("ETCD_LOCK_KEY", std::ffi::OsStr::from_bytes(mutex.key()))
        .env("ETCD_LOCK_REV", revision.to_string())
        .stdin(std::process::Stdio::null())
        .spawn()
        .map_err(|error| Exit::new(ERROR, start_error(&program.to_string_lossy(), &error)))?;
    let ended = tokio::select! {
        ended = process.wait() => ended,
        stopped = stop() => {
            process.kill().await.map_err(Exit::error)?;
            return stopped;
        }
    };
    let status = ended.map_err(Exit::error)?;
    match end_text(status) {
        None => Ok(()),
        Some(text) => {
            let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(EXIT_OF_SIGNALED);
            Err(Exit::new(code, text))
        }
    }
}
