//! Command lines of the form `--name value ...`.

use super::Failure;
use std::collections::BTreeMap;
use std::str::FromStr;

/// What was given, checked against what is known.
#[derive(Debug)]
pub struct Arguments(BTreeMap<String, String>);

impl Arguments {
    /// Errs at a name that is not among `known`.
    pub fn parse(known: &[&str]) -> Result<Arguments, Failure> {
        let mut given = BTreeMap::new();
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let name = word.strip_prefix("--").filter(|name| known.contains(name));
            let name = name.ok_or_else(|| format!("unknown argument {word}; there are {known:?}"))?;
            let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
            given.insert(name.to_owned(), value);
        }
        Ok(Arguments(given))
    }

    pub fn required(&self, name: &str) -> Result<&str, Failure> {
        self.text(name).ok_or_else(|| format!("--{name} is missing").into())
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub fn or<T: FromStr<Err: std::error::Error + 'static>>(&self, name: &str, otherwise: T) -> Result<T, Failure> {
        self.text(name).map_or(Ok(otherwise), |text| Ok(text.parse()?))
    }
}
