//! Following one watch: print what comes, run the command for each event.

use client::{Client, end_reason};
use proto::etcdserverpb::WatchResponse;
use proto::mvccpb::Event;
use tokio::process::Command;
use tokio::sync::mpsc;

use super::args::Plan;
use crate::cli::print;
use crate::etcdctl::signals::{end_text, start_error};
use crate::exit::{Exit, INTERRUPTED};
use crate::go::{quote, quote_bytes};
use crate::print::{Answer, Printer};

/// Ends only with an error. `progress` carries requests for progress notifications.
pub async fn follow(
    client: &Client,
    printer: Printer,
    plan: Plan,
    mut progress: Option<mpsc::Receiver<()>>,
) -> Result<(), Exit> {
    let mut watch = client.watch(plan.create);
    loop {
        let answer = tokio::select! {
            answer = watch.next() => answer,
            () = asked(&mut progress) => {
                watch.request_progress().await;
                continue;
            }
        };
        match answer {
            None => return Err(canceled()),
            Some(Err(error)) => {
                eprintln!("watch was canceled ({error})");
                return Err(canceled());
            }
            Some(Ok(answer)) => {
                show(printer, &answer)?;
                if answer.canceled {
                    return Err(canceled());
                }
                execute(&plan.command, &answer).await?;
            }
        }
    }
}

/// Returns when progress is asked for; never, if nobody can ask.
async fn asked(progress: &mut Option<mpsc::Receiver<()>>) {
    if let Some(requests) = progress
        && requests.recv().await.is_some()
    {
        return;
    }
    std::future::pending().await
}

fn canceled() -> Exit {
    Exit::new(INTERRUPTED, "watch is canceled by the server")
}

fn show(printer: Printer, answer: &WatchResponse) -> Result<(), Exit> {
    if answer.canceled {
        eprintln!("watch was canceled ({})", end_reason(answer));
    } else if answer.events.is_empty() {
        let revision = answer.header.as_ref().map_or(0, |header| header.revision);
        print(&format!("progress notify: {revision}\n"))?;
    }
    printer.show(&Answer::Watch(answer))
}

async fn execute(command: &[Vec<u8>], answer: &WatchResponse) -> Result<(), Exit> {
    let Some((program, args)) = command.split_first() else { return Ok(()) };
    let revision = answer.header.as_ref().map_or(0, |header| header.revision);
    for event in &answer.events {
        if let Some(reason) = run(program, args, revision, event).await {
            let words: Vec<String> = command.iter().map(|word| quote_bytes(word)).collect();
            eprintln!("command [{}] error ({reason})", words.join(" "));
            return Err(Exit::silent(1));
        }
    }
    Ok(())
}

/// Runs the command for one event; why it failed.
async fn run(program: &[u8], args: &[Vec<u8>], revision: i64, event: &Event) -> Option<String> {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let program = OsStr::from_bytes(program);
    let kind = if event.event_type == 0 { "PUT" } else { "DELETE" };
    let (key, value) = event.kv.as_ref().map(|kv| (kv.key.clone(), kv.value.clone())).unwrap_or_default();
    let ended = Command::new(program)
        .args(args.iter().map(|arg| OsStr::from_bytes(arg)))
        .env("ETCD_WATCH_REVISION", revision.to_string())
        .env("ETCD_WATCH_EVENT_TYPE", quote(kind))
        .env("ETCD_WATCH_KEY", quote_bytes(&key))
        .env("ETCD_WATCH_VALUE", quote_bytes(&value))
        .stdin(std::process::Stdio::null())
        .status()
        .await;
    match ended {
        Ok(status) => end_text(status),
        Err(error) => Some(start_error(&program.to_string_lossy(), &error)),
    }
}
