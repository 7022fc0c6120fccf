//! How a command ends: the exit codes of etcd's tools (facts: cli-v3, 1).

/// The server refused or could not be reached; wrong syntax.
pub const ERROR: u8 = 1;
/// The client could not be made.
pub const BAD_CONNECTION: u8 = 2;
/// Wrong input on stdin.
pub const INVALID_INPUT: u8 = 3;
/// The value of a flag is not supported.
pub const BAD_FEATURE: u8 = 4;
/// Broken off.
pub const INTERRUPTED: u8 = 5;
/// What shells see of a program that SIGPIPE has ended, as it ends etcd's tools.
pub const BROKEN_PIPE: u8 = 141;
/// Wrong arguments.
pub const BAD_ARGS: u8 = 128;

/// An end that is not success.
#[derive(Debug, PartialEq, Eq)]
pub struct Exit {
    pub code: u8,
    /// Written to stderr after `Error: `.
    pub message: Option<String>,
}

impl Exit {
    pub fn new(code: u8, message: impl ToString) -> Exit {
        Exit { code, message: Some(message.to_string()) }
    }

    pub fn error(message: impl ToString) -> Exit {
        Exit::new(ERROR, message)
    }

    pub fn bad_args(message: impl ToString) -> Exit {
        Exit::new(BAD_ARGS, message)
    }

    pub fn bad_feature(message: impl ToString) -> Exit {
        Exit::new(BAD_FEATURE, message)
    }

    /// Everything has been said already.
    pub fn silent(code: u8) -> Exit {
        Exit { code, message: None }
    }

    pub(crate) fn report(&self) {
        if let Some(message) = &self.message {
            eprintln!("Error: {message}");
        }
    }
}

impl From<client::Error> for Exit {
    fn from(error: client::Error) -> Exit {
        Exit::error(error)
    }
}
