//! Values of flags, typed by the table: read from words of the command line, variables or a file.

use super::gates::Gates;
use super::number::{self, NumberError};
use super::table::{self, FLAGS, Flag, Kind};
use super::urls::Url;

/// The value of one flag.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Bool(bool),
    Uint(u64),
    Int(i64),
    /// Nanoseconds.
    Duration(i64),
    Text(String),
    Urls(Vec<Url>),
    Words(Vec<String>),
    Gates(Gates),
    Ignored,
}

/// The values of all flags, and which were given.
#[derive(Clone, Debug)]
pub struct Settings {
    values: Vec<Value>,
    given: Vec<bool>,
}

impl Settings {
    /// The defaults of the table.
    pub fn defaults() -> Settings {
        let values = FLAGS.iter().map(|flag| read(flag.kind, flag.default).unwrap_or(empty(flag.kind))).collect();
        Settings { values, given: vec![false; FLAGS.len()] }
    }

    /// Takes the word of a flag; the error is the text after the name.
    pub fn set(&mut self, place: usize, word: &str) -> Result<(), String> {
        let flag = &FLAGS[place];
        self.given[place] = true;
        if word.is_empty() && flag.kind == Kind::Urls {
            return Ok(());
        }
        self.values[place] = read(flag.kind, word)?;
        Ok(())
    }

    /// Takes a value that a file gave.
    pub fn put(&mut self, place: usize, value: Value) {
        self.given[place] = true;
        self.values[place] = value;
    }

    pub fn is_given(&self, name: &str) -> bool {
        self.given[place(name)]
    }

    pub fn is_given_at(&self, place: usize) -> bool {
        self.given[place]
    }

    /// Whether the value differs from the table's default.
    pub fn differs(&self, flag_place: usize) -> bool {
        let flag = &FLAGS[flag_place];
        self.values[flag_place] != read(flag.kind, flag.default).unwrap_or(empty(flag.kind))
    }

    pub fn value(&self, name: &str) -> &Value {
        &self.values[place(name)]
    }

    pub fn bool(&self, name: &str) -> bool {
        matches!(self.value(name), Value::Bool(true))
    }

    pub fn uint(&self, name: &str) -> u64 {
        match self.value(name) {
            Value::Uint(n) => *n,
            _ => mismatch(name),
        }
    }

    pub fn int(&self, name: &str) -> i64 {
        match self.value(name) {
            Value::Int(n) => *n,
            _ => mismatch(name),
        }
    }

    /// In nanoseconds.
    pub fn duration(&self, name: &str) -> i64 {
        match self.value(name) {
            Value::Duration(n) => *n,
            _ => mismatch(name),
        }
    }

    pub fn text(&self, name: &str) -> &str {
        match self.value(name) {
            Value::Text(text) => text,
            _ => mismatch(name),
        }
    }

    pub fn urls(&self, name: &str) -> &[Url] {
        match self.value(name) {
            Value::Urls(urls) => urls,
            _ => mismatch(name),
        }
    }

    pub fn words(&self, name: &str) -> &[String] {
        match self.value(name) {
            Value::Words(words) => words,
            _ => mismatch(name),
        }
    }

    pub fn gates(&self) -> &Gates {
        match self.value("feature-gates") {
            Value::Gates(gates) => gates,
            _ => mismatch("feature-gates"),
        }
    }
}

/// Names and kinds stand in the table and the callers beside it; a test asks for every one.
fn place(name: &str) -> usize {
    table::find(name).map_or_else(|| panic!("no flag {name} in the table"), |(place, _)| place)
}

fn mismatch(name: &str) -> ! {
    panic!("flag {name} is of another kind in the table")
}

/// Reads a word by the rules of a kind.
pub fn read(kind: Kind, word: &str) -> Result<Value, String> {
    let flag_text = |e: NumberError| e.flag_text().to_owned();
    Ok(match kind {
        Kind::Bool => Value::Bool(number::parse_bool(word).ok_or("parse error")?),
        Kind::Uint | Kind::Uint64 => Value::Uint(number::parse_uint(word, u64::MAX).map_err(flag_text)?),
        Kind::Uint32 => Value::Uint(
            number::parse_uint(word, u32::MAX.into())
                .map_err(|e| format!("strconv.ParseUint: parsing {}: {}", number::quote(word), e.text()))?,
        ),
        Kind::Int | Kind::Int64 => Value::Int(number::parse_int(word).map_err(flag_text)?),
        Kind::Duration => Value::Duration(super::parse_duration(word).map_err(|_| "parse error".to_owned())?),
        Kind::Text => Value::Text(word.into()),
        Kind::Urls if word.is_empty() => Value::Urls(Vec::new()),
        Kind::Urls => Value::Urls(Url::parse_list(word)?),
        Kind::Origins => Value::Words(origins(word)?),
        Kind::UniqueWords => Value::Words(unique(word)),
        Kind::Words if word.is_empty() => Value::Words(Vec::new()),
        Kind::Words => Value::Words(word.split(',').map(str::to_owned).collect()),
        Kind::Choice(words) if words.contains(&word) => Value::Text(word.into()),
        Kind::Choice(_) => return Err("invalid value".into()),
        Kind::Gates => Value::Gates(Gates::parse(word)?),
        Kind::Ignored => Value::Ignored,
    })
}

fn empty(kind: Kind) -> Value {
    match kind {
        Kind::Bool => Value::Bool(false),
        Kind::Uint | Kind::Uint64 | Kind::Uint32 => Value::Uint(0),
        Kind::Int | Kind::Int64 => Value::Int(0),
        Kind::Duration => Value::Duration(0),
        Kind::Text | Kind::Choice(_) => Value::Text(String::new()),
        Kind::Urls => Value::Urls(Vec::new()),
        Kind::Origins | Kind::UniqueWords | Kind::Words => Value::Words(Vec::new()),
        Kind::Gates => Value::Gates(Gates::default()),
        Kind::Ignored => Value::Ignored,
    }
}

/// Origins are `*` or URLs; empty means `*`.
fn origins(word: &str) -> Result<Vec<String>, String> {
    if word.is_empty() || word == "*" {
        return Ok(vec!["*".into()]);
    }
    Ok(Url::parse_list(word)?.iter().map(ToString::to_string).collect())
}

fn unique(word: &str) -> Vec<String> {
    if word.is_empty() {
        return Vec::new();
    }
    let mut words: Vec<_> = word.split(',').map(str::to_owned).collect();
    words.sort();
    words.dedup();
    words
}

/// The name of the Go type that a file's decoder names in errors.
pub fn go_type(flag: &Flag) -> &'static str {
    match flag.kind {
        Kind::Bool => "bool",
        Kind::Uint => "uint",
        Kind::Uint64 => "uint64",
        Kind::Uint32 => "uint32",
        Kind::Int => "int",
        Kind::Int64 => "int64",
        Kind::Duration => "time.Duration",
        Kind::Words => "[]string",
        _ => "string",
    }
}
