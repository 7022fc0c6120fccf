//! Which command is meant: the first words that are no flags, where any unique beginning of a name will do.

use super::suggest::suggestions;
use super::table::{Command, Flag, Kind};
use crate::go::quote;

/// The path to the command and what is left of the arguments. Errs with the text for an unknown command.
pub fn find(root: &'static Command, args: Vec<Vec<u8>>) -> Result<(Vec<&'static Command>, Vec<Vec<u8>>), String> {
    let (mut path, mut args) = (vec![root], args);
    while let Some(at) = words(&path, &args).first().copied() {
        let name = String::from_utf8_lossy(&args[at]).into_owned();
        match next(path[path.len() - 1], &name) {
            Some(sub) => {
                path.push(sub);
                args.remove(at);
            }
            None if path.len() == 1 && !root.subs.is_empty() => return Err(unknown(root, &name)),
            None => break,
        }
    }
    Ok((path, args))
}

fn unknown(root: &Command, name: &str) -> String {
    let mut text = format!("unknown command {} for {}", quote(name), quote(root.name));
    let close = suggestions(root, name);
    if !close.is_empty() {
        text.push_str("\n\nDid you mean this?\n");
        close.iter().for_each(|name| text.push_str(&format!("\t{name}\n")));
    }
    text
}

/// By its whole name, else by a beginning that fits one command only.
fn next(command: &'static Command, name: &str) -> Option<&'static Command> {
    let exact = command.subs.iter().find(|sub| sub.name == name);
    exact.or_else(|| {
        let mut fitting = command.subs.iter().filter(|sub| sub.name.starts_with(name));
        fitting.next().filter(|_| fitting.next().is_none())
    })
}

/// Indices of the arguments that are neither flags nor values of flags. An unknown flag swallows the next argument,
/// as it may need one.
fn words(path: &[&'static Command], args: &[Vec<u8>]) -> Vec<usize> {
    let mut words = Vec::new();
    let mut at = 0;
    while at < args.len() {
        let arg = String::from_utf8_lossy(&args[at]);
        if arg == "--" {
            break;
        }
        let valued = match arg.strip_prefix("--") {
            Some(name) => !arg.contains('=') && !is_switch(path, |flag| flag.name == name),
            None => {
                let mut chars = arg.chars();
                let short = (chars.next() == Some('-')).then(|| chars.next()).flatten();
                arg.chars().count() == 2 && short.is_some_and(|c| !is_switch(path, |flag| flag.short == Some(c)))
            }
        };
        if valued {
            at += 1;
        } else if !arg.is_empty() && !arg.starts_with('-') {
            words.push(at);
        }
        at += 1;
    }
    words
}

fn is_switch(path: &[&'static Command], found: impl Fn(&Flag) -> bool) -> bool {
    all_flags(path).any(|flag| flag.kind == Kind::Bool && found(flag))
}

/// The flags that a command takes: its own and those of everything above it.
pub fn all_flags<'a>(path: &'a [&'static Command]) -> impl Iterator<Item = &'static Flag> + 'a {
    let own = path.last().map_or(&[][..], |command| command.flags);
    own.iter().chain(path.iter().flat_map(|command| command.persistent))
}
