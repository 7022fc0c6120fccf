//! Keys and ranges as command lines name them.

use bytes::Bytes;
use client::concurrency::prefix_end;

use crate::cli::Values;
use crate::exit::Exit;
use crate::go::parse_int;

/// The end of the range that begins where it ends itself: everything from there on.
pub const EVERYTHING: Bytes = Bytes::from_static(b"\0");

/// Key and range end from one or two arguments with `--prefix` or `--from-key`.
pub fn range(flags: &Values, args: &[Vec<u8>]) -> Result<(Bytes, Bytes), Exit> {
    let (prefix, from_key) = (flags.bool("prefix"), flags.bool("from-key"));
    let key = Bytes::from(args.first().cloned().unwrap_or_default());
    match args.get(1) {
        Some(_) if prefix || from_key => {
            Err(Exit::bad_args("too many arguments, only accept one argument when `--prefix` or `--from-key` is set"))
        }
        Some(end) => Ok((key, Bytes::from(end.clone()))),
        None if prefix => Ok(with_prefix(key)),
        None if from_key && key.is_empty() => Ok((EVERYTHING, EVERYTHING)),
        None if from_key => Ok((key, EVERYTHING)),
        None => Ok((key, Bytes::new())),
    }
}

/// The range of a prefix; that of the empty one is everything.
pub fn with_prefix(key: Bytes) -> (Bytes, Bytes) {
    if key.is_empty() { (EVERYTHING, EVERYTHING) } else { (key.clone(), prefix_end(&key)) }
}

/// `--prefix` and `--from-key` exclude each other.
pub fn refuse_both(flags: &Values) -> Result<(), Exit> {
    if flags.bool("prefix") && flags.bool("from-key") {
        return Err(Exit::bad_args("`--prefix` and `--from-key` cannot be set at the same time, choose one"));
    }
    Ok(())
}

/// A lease named by an argument.
pub fn lease_arg(text: &str) -> Result<i64, Exit> {
    parse_int(text, 16).map_err(|why| Exit::bad_args(format!("bad lease ID arg ({why}), expecting ID in Hex")))
}
