//! Command lines by the rules of cobra and pflag: the table of commands and flags, the parser, the help, the refusals.
//!
//! A program is one [`Command`] with commands below it. Everything that is known of a flag or a command stands in that
//! table, once.

mod find;
mod help;
mod parse;
mod suggest;
mod table;

pub use help::{flag_list, usage};
pub use parse::{Refused, Values, parse_flags};
pub use suggest::suggestions;
pub use table::{Args, COMMAND, Command, Flag, Kind, Presence, Program, Run};

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::exit::{BROKEN_PIPE, Exit};

/// What the user asked a command to do.
pub struct Call {
    pub program: &'static Program,
    /// From the program down to the command.
    pub path: Vec<&'static Command>,
    pub flags: Values,
    /// Arguments without flags, as bytes: keys need not be text.
    pub args: Vec<Vec<u8>>,
    /// How many of the arguments stood before `--`, if there was one.
    pub before_dash: Option<usize>,
}

impl Call {
    /// An argument as text, to be parsed or shown.
    pub fn text(&self, index: usize) -> String {
        self.args.get(index).map(|arg| String::from_utf8_lossy(arg).into_owned()).unwrap_or_default()
    }

    /// An argument that names a key and must be text.
    pub fn name(&self, index: usize) -> Result<String, Exit> {
        let name = self.args.get(index).cloned().unwrap_or_default();
        String::from_utf8(name).map_err(|_| Exit::bad_args("the name must be UTF-8"))
    }

    /// An argument as the path of a file.
    pub fn file(&self, index: usize) -> PathBuf {
        PathBuf::from(OsString::from_vec(self.args.get(index).cloned().unwrap_or_default()))
    }

    /// `etcdctl lease grant`
    pub fn command_path(&self) -> String {
        help::path_text(&self.path)
    }
}

/// Runs a program with the arguments of the process.
pub fn main(program: &'static Program) -> ExitCode {
    let args: Vec<Vec<u8>> = std::env::args_os().skip(1).map(OsStringExt::into_vec).collect();
    let code = match dispatch(program, args) {
        Ok(()) => 0,
        Err(exit) => {
            exit.report();
            exit.code
        }
    };
    ExitCode::from(code)
}

fn dispatch(program: &'static Program, args: Vec<Vec<u8>>) -> Result<(), Exit> {
    let (path, rest) = match find::find(program.root, args) {
        Ok(found) => found,
        Err(text) => {
            let hint = format!("Run '{} --help' for usage.", program.root.name);
            return Err(refusal(program, &text, &hint));
        }
    };
    let command = path[path.len() - 1];
    if command.presence == Presence::Later {
        let text = format!("{} is not in this release", help::path_text(&path));
        return Err(Exit::error(text));
    }
    if command.name == "help" && path.len() == 2 {
        return help_command(program, rest);
    }
    let parsed = match parse::parse(&path, rest) {
        Ok(parsed) => parsed,
        Err(parse::Refused::Help) => return print(&help::help(program, &path)),
        Err(parse::Refused::Wrong(text)) => return Err(refusal(program, &text, &usage(program, &path))),
    };
    let Some(run) = command.run else {
        return print(&help::help(program, &path));
    };
    if let Some(text) = parse::missing(command, &parsed) {
        return Err(refusal(program, &text, &usage(program, &path)));
    }
    run(&Call { program, path, flags: parsed.values, args: parsed.args, before_dash: parsed.before_dash })
}

fn help_command(program: &'static Program, topics: Vec<Vec<u8>>) -> Result<(), Exit> {
    let shown: Vec<String> = topics.iter().map(|topic| format!("`{}`", String::from_utf8_lossy(topic))).collect();
    match find::find(program.root, topics) {
        Ok((path, _)) => print(&help::help(program, &path)),
        Err(_) => {
            let topics = shown.join(" ");
            eprintln!("Unknown help topic [{topics}]\n{}", usage(program, &[program.root]));
            Ok(())
        }
    }
}

/// A wrong command line: the error, what to do about it, and in some programs the error again.
fn refusal(program: &Program, text: &str, advice: &str) -> Exit {
    let again = if program.errors_twice { format!("\nError: {text}") } else { String::new() };
    Exit { code: 1, message: Some(format!("{text}\n{advice}{again}")) }
}

/// Writes to stdout at once.
pub fn print(text: &str) -> Result<(), Exit> {
    write_out(text.as_bytes())
}

/// As [`print`], for bytes that need not be text. Nobody reading any more ends the program quietly.
pub fn write_out(bytes: &[u8]) -> Result<(), Exit> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| match error.kind() {
        std::io::ErrorKind::BrokenPipe => Exit::silent(BROKEN_PIPE),
        _ => Exit::error(format!("write /dev/stdout: {}", crate::offline::reason(&error))),
    })
}

#[cfg(test)]
mod tests;
