//! Help and usage, made from the table, in cobra's layout.

use super::table::{Command, Flag, Kind, Presence, Program};
use crate::go::quote;

/// `etcdctl lease grant`
pub fn path_text(path: &[&'static Command]) -> String {
    path.iter().map(|command| command.name).collect::<Vec<_>>().join(" ")
}

/// What `--help` prints.
pub fn help(program: &Program, path: &[&'static Command]) -> String {
    let command = path[path.len() - 1];
    let text = if command.long.is_empty() { command.short } else { command.long };
    let usage = usage(program, path);
    if program.describes { format!("{text}\n\n{usage}\n") } else { format!("{usage}\n") }
}

/// How the command is called.
pub fn usage(program: &Program, path: &[&'static Command]) -> String {
    let command = path[path.len() - 1];
    let mut out = String::from("Usage:\n");
    let name = path_text(path);
    let own = command_flags(program, path);
    if command.run.is_some() {
        let space = if command.args_text.is_empty() { "" } else { " " };
        out.push_str(&format!("  {name}{space}{} [flags]\n", command.args_text));
    }
    let mut subs: Vec<&Command> = command.subs.iter().filter(|sub| sub.presence == Presence::Here).collect();
    subs.sort_by_key(|sub| sub.name);
    if !subs.is_empty() {
        let width = subs.iter().map(|sub| sub.name.len()).max().unwrap_or(0).max(11);
        out.push_str(&format!("  {name} [command]\n\nAvailable Commands:\n"));
        subs.iter().for_each(|sub| out.push_str(&format!("  {:width$} {}\n", sub.name, sub.short)));
    }
    out.push_str(&format!("\nFlags:\n{}", flag_lines(own)));
    let inherited = inherited_flags(program, path);
    if !inherited.is_empty() {
        out.push_str(&format!("\nGlobal Flags:\n{}", flag_lines(inherited)));
    }
    if !subs.is_empty() {
        out.push_str(&format!("\nUse \"{name} [command] --help\" for more information about a command.\n"));
    }
    if program.options_command {
        let program = path[0].name;
        out.push_str(&format!(
            "\nUse \"{program} options\" for a list of global command-line options (applies to all commands).\n"
        ));
    }
    out.truncate(out.trim_end().len());
    out
}

/// The flags of a set, one on a line.
pub fn flag_list(flags: &[Flag]) -> String {
    flag_lines(flags.iter().collect())
}

/// What the command itself brings. The global flags of a program with an options command are shown by that alone.
fn command_flags(program: &Program, path: &[&'static Command]) -> Vec<&'static Flag> {
    let command = path[path.len() - 1];
    let apart = path.len() == 1 && program.options_command;
    let persistent = if apart { &[][..] } else { command.persistent };
    command.flags.iter().chain(persistent).chain([&HELP]).collect()
}

const HELP: Flag = Flag::bool("help", "show this help").short('h');

fn inherited_flags(program: &Program, path: &[&'static Command]) -> Vec<&'static Flag> {
    let above = &path[usize::from(program.options_command).min(path.len() - 1)..path.len() - 1];
    above.iter().flat_map(|command| command.persistent).collect()
}

fn flag_lines(mut flags: Vec<&Flag>) -> String {
    flags.retain(|flag| !flag.hidden);
    flags.sort_by_key(|flag| flag.name);
    let heads: Vec<String> = flags.iter().map(|flag| head(flag)).collect();
    let width = heads.iter().map(String::len).max().unwrap_or(0);
    let line = |(flag, head): (&&Flag, &String)| format!("{head:width$}   {}{}\n", flag.help, default_text(flag));
    flags.iter().zip(&heads).map(line).collect()
}

fn head(flag: &Flag) -> String {
    let short = flag.short.map_or("    ".to_owned(), |short| format!("-{short}, "));
    let kind = match flag.kind {
        Kind::Bool => "",
        Kind::Text => " string",
        Kind::Int => " int",
        Kind::Uint => " uint",
        Kind::Duration => " duration",
        Kind::List => " strings",
    };
    format!("  {short}--{}{kind}", flag.name)
}

fn default_text(flag: &Flag) -> String {
    match (flag.kind, flag.default) {
        (_, "" | "0" | "0s" | "false") => String::new(),
        (Kind::Text, default) => format!(" (default {})", quote(default)),
        (Kind::List, default) => format!(" (default [{default}])"),
        (_, default) => format!(" (default {default})"),
    }
}
