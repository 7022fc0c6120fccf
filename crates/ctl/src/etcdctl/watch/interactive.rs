//! `watch -i`: each line of standard input is a watch of its own, or asks all of them for progress.

use std::io::BufRead;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::FLAGS;
use super::args::{FromEnv, Plan, plan};
use super::follow::follow;
use crate::cli::{Refused, parse_flags};
use crate::etcdctl::online::Online;
use crate::etcdctl::words::words;
use crate::exit::{Exit, INVALID_INPUT};

/// Reads lines until the input ends or a watch does.
pub async fn run(online: &Online) -> Result<(), Exit> {
    let mut lines = lines();
    let mut watches: JoinSet<Result<(), Exit>> = JoinSet::new();
    let mut asking: Vec<mpsc::Sender<()>> = Vec::new();
    loop {
        let line = tokio::select! {
            line = lines.recv() => line,
            Some(ended) = watches.join_next() => {
                return ended.unwrap_or_else(|error| Err(Exit::error(format!("watch ended: {error}"))));
            }
        };
        let Some(line) = line else {
            return Err(Exit::new(INVALID_INPUT, "error reading watch request line: EOF"));
        };
        let Ok(line) = String::from_utf8(line) else {
            eprintln!("Invalid command (not UTF-8; write other bytes as \\xNN in double quotes)");
            continue;
        };
        match read(&line, &FromEnv::read())? {
            Line::Watch(plan) => {
                let (ask, asked) = mpsc::channel(16);
                let (client, printer) = (online.patient.clone(), online.printer);
                watches.spawn(async move { follow(&client, printer, plan, Some(asked)).await });
                asking.push(ask);
            }
            Line::Progress => {
                for ask in &asking {
                    // Only an ended watch does not listen, and that is noticed above.
                    let _ended = ask.send(()).await;
                }
            }
            Line::Nonsense(text) => eprintln!("{text}"),
        }
    }
}

/// Standard input by lines, read on a thread of its own: a terminal cannot be waited for otherwise.
fn lines() -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel(16);
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        loop {
            let mut line = Vec::new();
            if input.read_until(b'\n', &mut line).is_err() || line.pop() != Some(b'\n') {
                return;
            }
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

#[derive(Debug, PartialEq)]
enum Line {
    Watch(Plan),
    Progress,
    /// Told to the user, who may try again.
    Nonsense(String),
}

fn read(line: &str, env: &FromEnv) -> Result<Line, Exit> {
    let mut words = words(line);
    let nonsense = |why: &str| Ok(Line::Nonsense(format!("Invalid command {line} ({why})")));
    match words.first().map(Vec::as_slice) {
        None => Ok(Line::Nonsense(format!("Invalid command: {line} (watch and progress supported)"))),
        Some(b"progress") => Ok(Line::Progress),
        Some(b"watch") if words.len() < 2 && env.key.is_empty() => nonsense("command type or key is not provided"),
        Some(b"watch") => {
            words.remove(0);
            let parsed = parse_flags(FLAGS.iter(), words).map_err(|refused| match refused {
                Refused::Wrong(text) => Exit::bad_args(text),
                Refused::Help => Exit::bad_args("pflag: help requested"),
            })?;
            Ok(Line::Watch(plan(&parsed.values, &parsed.args, parsed.before_dash, env)?))
        }
        Some(_) => nonsense("only support watch"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_watches_progress_or_nonsense() {
        let none = FromEnv::default();
        assert_eq!(read("progress", &none).unwrap(), Line::Progress);
        let told = |text: &str| Line::Nonsense(text.to_owned());
        assert_eq!(read("", &none).unwrap(), told("Invalid command:  (watch and progress supported)"));
        assert_eq!(read("get k", &none).unwrap(), told("Invalid command get k (only support watch)"));
        assert_eq!(read("watch", &none).unwrap(), told("Invalid command watch (command type or key is not provided)"));
        assert_eq!(read("watch --nope k", &none).unwrap_err(), Exit::bad_args("unknown flag: --nope"));
        let Line::Watch(plan) = read("watch --prev-kv --rev=2 k -- ./show.sh inner", &none).unwrap() else {
            panic!("not a watch")
        };
        assert!(plan.create.prev_kv && plan.create.start_revision == 2 && plan.command.len() == 2);
        assert!(matches!(
            read("watch", &FromEnv { key: b"k".to_vec(), range_end: Vec::new() }).unwrap(),
            Line::Watch(_)
        ));
    }
}
