//! The command line by the rules of Go's package `flag`.

use super::number;
use super::settings::Settings;
use super::table::{self, Kind};

/// Why reading stopped.
#[derive(Debug, PartialEq, Eq)]
pub enum Stop {
    /// `-h` or `--help`.
    Help,
    /// The line that stands above the usage.
    Usage(String),
}

/// Reads flags into `settings` until the first word that is none; returns the words from there on.
pub fn parse<'a>(words: &'a [String], settings: &mut Settings) -> Result<&'a [String], Stop> {
    let mut rest = words;
    while let Some((word, after)) = rest.split_first() {
        let Some(body) = word.strip_prefix('-').filter(|body| !body.is_empty()) else { return Ok(rest) };
        let body = match body.strip_prefix('-') {
            Some("") => return Ok(after),
            Some(body) => body,
            None => body,
        };
        if body.is_empty() || body.starts_with(['-', '=']) {
            return Err(Stop::Usage(format!("bad flag syntax: {word}")));
        }
        rest = one(body, after, settings)?;
    }
    Ok(rest)
}

/// Takes one flag and returns what follows it.
fn one<'a>(body: &str, after: &'a [String], settings: &mut Settings) -> Result<&'a [String], Stop> {
    let (name, value) = match body.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (body, None),
    };
    let Some((place, flag)) = table::find(name) else {
        return Err(match name {
            "help" | "h" => Stop::Help,
            _ => Stop::Usage(format!("flag provided but not defined: -{name}")),
        });
    };
    if flag.is_bool() {
        let word = value.unwrap_or("true");
        let done = settings.set(place, word);
        return done.map(|()| after).map_err(|why| match value {
            Some(_) => Stop::Usage(format!("invalid boolean value {} for -{name}: {why}", number::quote(word))),
            None => Stop::Usage(format!("invalid boolean flag {name}: {why}")),
        });
    }
    let (word, after) = match (value, after.split_first()) {
        (Some(word), _) => (word, after),
        (None, Some((word, after))) => (word.as_str(), after),
        (None, None) => return Err(Stop::Usage(format!("flag needs an argument: -{name}"))),
    };
    debug_assert!(flag.kind != Kind::Ignored, "ignored names take no word");
    settings
        .set(place, word)
        .map(|()| after)
        .map_err(|why| Stop::Usage(format!("invalid value {} for flag -{name}: {why}", number::quote(word))))
}
