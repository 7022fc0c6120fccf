//! Flags and arguments of one command, by the rules of pflag.

use std::collections::BTreeMap;
use std::time::Duration;

use super::find::all_flags;
use super::table::{Args, Command, Flag, Kind};
use crate::go::{parse_bool, parse_duration, parse_int, parse_uint, quote};

#[derive(Clone, Debug, PartialEq)]
enum Value {
    Bool(bool),
    Text(String),
    Int(i64),
    Uint(u64),
    /// Nanoseconds; may be negative.
    Duration(i64),
    List(Vec<String>),
}

#[derive(Clone)]
struct Entry {
    value: Value,
    changed: bool,
}

/// The values of all flags of a command, given or by default.
#[derive(Clone, Default)]
pub struct Values(BTreeMap<&'static str, Entry>);

/// A declared flag has a value of its declared kind: the table and the code that reads it agree.
const DECLARED: &str = "invariant: the flag is declared with this kind in the table";

impl Values {
    fn new<'a>(flags: impl Iterator<Item = &'a Flag>) -> Values {
        let entry = |flag: &Flag| {
            let value = parse_value(flag.kind, flag.default).unwrap_or(Value::Text(String::new()));
            (flag.name, Entry { value, changed: false })
        };
        Values(flags.map(entry).collect())
    }

    fn value(&self, name: &str) -> &Value {
        &self.0.get(name).expect(DECLARED).value
    }

    pub fn bool(&self, name: &str) -> bool {
        matches!(self.value(name), Value::Bool(true))
    }

    pub fn text(&self, name: &str) -> &str {
        match self.value(name) {
            Value::Text(text) => text,
            _ => panic!("{DECLARED}: {name}"),
        }
    }

    pub fn int(&self, name: &str) -> i64 {
        match self.value(name) {
            Value::Int(value) => *value,
            _ => panic!("{DECLARED}: {name}"),
        }
    }

    pub fn uint(&self, name: &str) -> u64 {
        match self.value(name) {
            Value::Uint(value) => *value,
            _ => panic!("{DECLARED}: {name}"),
        }
    }

    /// `None` if it is negative.
    pub fn duration(&self, name: &str) -> Option<Duration> {
        match self.value(name) {
            Value::Duration(nanos) => u64::try_from(*nanos).ok().map(Duration::from_nanos),
            _ => panic!("{DECLARED}: {name}"),
        }
    }

    pub fn list(&self, name: &str) -> &[String] {
        match self.value(name) {
            Value::List(list) => list,
            _ => panic!("{DECLARED}: {name}"),
        }
    }

    /// Whether the user gave it.
    pub fn changed(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|entry| entry.changed)
    }

    /// Names and values as text, in order of name.
    pub fn shown(&self) -> impl Iterator<Item = (&'static str, String)> + '_ {
        self.0.iter().map(|(name, entry)| (*name, shown(&entry.value)))
    }

    /// Sets a flag from elsewhere than the command line.
    pub fn set(&mut self, flag: &Flag, text: &str) -> Result<(), String> {
        let value = parse_value(flag.kind, text)?;
        self.0.insert(flag.name, Entry { value, changed: true });
        Ok(())
    }

    fn give(&mut self, flag: &Flag, text: &str) -> Result<(), String> {
        let value = parse_value(flag.kind, text).map_err(|why| {
            let short = flag.short.map(|short| format!("-{short}, ")).unwrap_or_default();
            format!("invalid argument {} for \"{short}--{}\" flag: {why}", quote(text), flag.name)
        })?;
        let entry = self.0.get_mut(flag.name).expect(DECLARED);
        match (&mut entry.value, value) {
            (Value::List(list), Value::List(mut more)) if entry.changed => list.append(&mut more),
            (old, value) => *old = value,
        }
        entry.changed = true;
        Ok(())
    }
}

fn parse_value(kind: Kind, text: &str) -> Result<Value, String> {
    Ok(match kind {
        Kind::Bool => Value::Bool(parse_bool(text)?),
        Kind::Text => Value::Text(text.to_owned()),
        Kind::Int => Value::Int(parse_int(text, 0)?),
        Kind::Uint => Value::Uint(parse_uint(text, 0)?),
        Kind::Duration => Value::Duration(parse_duration(text)?),
        Kind::List if text.is_empty() => Value::List(Vec::new()),
        Kind::List => Value::List(text.split(',').map(str::to_owned).collect()),
    })
}

fn shown(value: &Value) -> String {
    match value {
        Value::Bool(value) => value.to_string(),
        Value::Text(text) => text.clone(),
        Value::Int(value) => value.to_string(),
        Value::Uint(value) => value.to_string(),
        Value::Duration(nanos) => crate::go::format_duration((*nanos).into()),
        Value::List(list) => format!("[{}]", list.join(",")),
    }
}

/// A parsed command line.
pub struct Parsed {
    pub values: Values,
    pub args: Vec<Vec<u8>>,
    pub before_dash: Option<usize>,
}

/// Why there is none.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    /// The user asked for help.
    Help,
    Wrong(String),
}

/// Reads what follows the command's name.
pub fn parse(path: &[&'static Command], args: Vec<Vec<u8>>) -> Result<Parsed, Refused> {
    let parsed = parse_flags(all_flags(path), args)?;
    if parsed.values.0.contains_key(HELP.name) && parsed.values.bool(HELP.name) {
        return Err(Refused::Help);
    }
    Ok(parsed)
}

const HELP: Flag = Flag::bool("help", "").short('h');

/// Reads flags of a given set and arguments in any order.
pub fn parse_flags(flags: impl Iterator<Item = &'static Flag>, args: Vec<Vec<u8>>) -> Result<Parsed, Refused> {
    let flags: Vec<&Flag> = flags.chain([&HELP]).collect();
    let mut parsed = Parsed { values: Values::new(flags.iter().copied()), args: Vec::new(), before_dash: None };
    let mut rest = args.into_iter();
    while let Some(arg) = rest.next() {
        if arg == b"--" {
            parsed.before_dash = Some(parsed.args.len());
            parsed.args.extend(rest);
            break;
        }
        if arg.len() < 2 || arg[0] != b'-' {
            parsed.args.push(arg);
            continue;
        }
        let text = String::from_utf8_lossy(&arg).into_owned();
        let mut next = || rest.next().map(|value| String::from_utf8_lossy(&value).into_owned());
        let outcome = match text.strip_prefix("--") {
            Some(name) => parse_long(&flags, &mut parsed.values, &text, name, &mut next),
            None => parse_short(&flags, &mut parsed.values, &text[1..], &mut next),
        };
        outcome.map_err(Refused::Wrong)?;
    }
    Ok(parsed)
}

fn parse_long(
    flags: &[&Flag],
    values: &mut Values,
    arg: &str,
    name: &str,
    next: &mut impl FnMut() -> Option<String>,
) -> Result<(), String> {
    if name.starts_with(['-', '=']) {
        return Err(format!("bad flag syntax: {arg}"));
    }
    let (name, value) = match name.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (name, None),
    };
    let flag = flags.iter().find(|flag| flag.name == name).ok_or_else(|| format!("unknown flag: --{name}"))?;
    let value = match value {
        Some(value) => value,
        None if flag.kind == Kind::Bool => "true".to_owned(),
        None => next().ok_or_else(|| format!("flag needs an argument: {arg}"))?,
    };
    values.give(flag, &value)
}

/// One or more flags of one letter each; the last may bring its value.
fn parse_short(
    flags: &[&Flag],
    values: &mut Values,
    mut letters: &str,
    next: &mut impl FnMut() -> Option<String>,
) -> Result<(), String> {
    while let Some(letter) = letters.chars().next() {
        let flag = flags
            .iter()
            .find(|flag| flag.short == Some(letter))
            .ok_or_else(|| format!("unknown shorthand flag: '{letter}' in -{letters}"))?;
        let rest = &letters[letter.len_utf8()..];
        let value = match rest.strip_prefix('=') {
            Some(value) if !value.is_empty() => value.to_owned(),
            _ if flag.kind == Kind::Bool => {
                values.give(flag, "true")?;
                letters = rest;
                continue;
            }
            _ if !rest.is_empty() => rest.to_owned(),
            _ => next().ok_or_else(|| format!("flag needs an argument: '{letter}' in -{letters}"))?,
        };
        return values.give(flag, &value);
    }
    Ok(())
}

/// What is wrong with the number of arguments or with flags that must be given.
pub fn missing(command: &Command, parsed: &Parsed) -> Option<String> {
    if let Args::Exactly(wanted) = command.args
        && parsed.args.len() != wanted
    {
        return Some(format!("accepts {wanted} arg(s), received {}", parsed.args.len()));
    }
    let required = command.flags.iter().filter(|flag| flag.required && !parsed.values.changed(flag.name));
    let names: Vec<String> = required.map(|flag| quote(flag.name)).collect();
    (!names.is_empty()).then(|| format!("required flag(s) {} not set", names.join(", ")))
}
