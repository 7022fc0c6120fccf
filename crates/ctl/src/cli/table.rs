//! What the table of a program is made of.

use super::Call;
use crate::exit::Exit;

/// The type of a flag's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Bool,
    Text,
    Int,
    Uint,
    Duration,
    /// Commas separate; repeated flags add up.
    List,
}

/// One flag.
#[derive(Clone, Copy)]
pub struct Flag {
    pub name: &'static str,
    pub short: Option<char>,
    pub kind: Kind,
    /// As it would be written; empty for none.
    pub default: &'static str,
    pub help: &'static str,
    pub required: bool,
    /// Obeyed, but not shown any more.
    pub hidden: bool,
}

impl Flag {
    pub const fn new(name: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Flag {
        Flag { name, short: None, kind, default, help, required: false, hidden: false }
    }

    pub const fn bool(name: &'static str, help: &'static str) -> Flag {
        Flag::new(name, Kind::Bool, "false", help)
    }

    pub const fn text(name: &'static str, default: &'static str, help: &'static str) -> Flag {
        Flag::new(name, Kind::Text, default, help)
    }

    pub const fn int(name: &'static str, default: &'static str, help: &'static str) -> Flag {
        Flag::new(name, Kind::Int, default, help)
    }

    pub const fn short(self, short: char) -> Flag {
        Flag { short: Some(short), ..self }
    }

    pub const fn required(self) -> Flag {
        Flag { required: true, ..self }
    }

    pub const fn hidden(self) -> Flag {
        Flag { hidden: true, ..self }
    }
}

/// How many arguments the parser lets through; most commands count them on their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Args {
    Any,
    Exactly(usize),
}

/// Whether a command is there, and shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    Here,
    /// Works, but is not shown any more.
    Deprecated,
    /// Known by name, refused, not shown.
    Later,
}

/// What a command does.
pub type Run = fn(&Call) -> Result<(), Exit>;

/// A command, a group of commands, or a whole program.
pub struct Command {
    pub name: &'static str,
    /// What follows the name in the usage line.
    pub args_text: &'static str,
    pub short: &'static str,
    /// Stands before the usage in the help; the short text does if this is empty.
    pub long: &'static str,
    pub flags: &'static [Flag],
    /// Flags of this command and all below it.
    pub persistent: &'static [Flag],
    pub subs: &'static [Command],
    pub args: Args,
    pub presence: Presence,
    /// `None` for a group: it shows its help.
    pub run: Option<Run>,
}

/// The beginning of every entry.
pub const COMMAND: Command = Command {
    name: "",
    args_text: "",
    short: "",
    long: "",
    flags: &[],
    persistent: &[],
    subs: &[],
    args: Args::Any,
    presence: Presence::Here,
    run: None,
};

impl Command {
    /// A command of a later release.
    pub const fn later(name: &'static str) -> Command {
        Command { name, presence: Presence::Later, ..COMMAND }
    }
}

/// A program and its manners.
pub struct Program {
    pub root: &'static Command,
    /// A command lists the global flags, instead of every help.
    pub options_command: bool,
    /// Refused command lines end with the error once more.
    pub errors_twice: bool,
    /// Help begins with what the command is for.
    pub describes: bool,
}
