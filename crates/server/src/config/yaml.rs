//! YAML as a tree, read by serde_yaml_ng. Unlike its own tree it keeps doubles, of which the last one counts.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// Reads a document; the error is the text of the YAML library of etcd, as far as the causes are the same.
pub fn parse(text: &str) -> Result<Tree, String> {
    serde_yaml_ng::from_str(text).map_err(|e| error_text(&e, text))
}

/// How the messages about the order of tokens begin. etcd's library counts lines from 0 there, and from 1 where it cannot make
/// out a token.
const OF_THE_PARSER: [&str; 4] = ["did not find expected", "found duplicate", "found incompatible", "found undefined"];

fn error_text(error: &serde_yaml_ng::Error, document: &str) -> String {
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or(&text);
    let Some(at) = error.location().filter(|at| at.line() > 1 || text == "unknown anchor") else {
        return text.to_owned();
    };
    if text == "unknown anchor" {
        let name = document.get(at.index()..).and_then(|rest| rest.strip_prefix('*')).unwrap_or_default();
        let name = name.split(|c: char| !c.is_ascii_alphanumeric() && !"-_".contains(c)).next().unwrap_or_default();
        return format!("{text} '{name}' referenced");
    }
    let of_the_parser = OF_THE_PARSER.iter().any(|begin| text.starts_with(begin));
    format!("line {}: {text}", at.line() - usize::from(of_the_parser))
}

/// A YAML document.
#[derive(Clone, Debug)]
pub enum Tree {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Tree>),
    /// In the file's order, doubles included.
    Map(Vec<(String, Tree)>),
}

#[derive(Clone, Copy, Debug)]
pub enum Number {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
}

impl Number {
    pub fn as_u64(self) -> Option<u64> {
        match self {
            Number::Unsigned(n) => Some(n),
            Number::Signed(n) => u64::try_from(n).ok(),
            Number::Float(f) => whole(f).and_then(|n| u64::try_from(n).ok()),
        }
    }

    pub fn as_i64(self) -> Option<i64> {
        match self {
            Number::Unsigned(n) => i64::try_from(n).ok(),
            Number::Signed(n) => Some(n),
            Number::Float(f) => whole(f),
        }
    }
}

/// A float that stands for an integer, as `1e2` does.
fn whole(float: f64) -> Option<i64> {
    (float.fract() == 0.0 && float.abs() < 9e15).then_some(float as i64)
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Number::Unsigned(n) => n.fmt(f),
            Number::Signed(n) => n.fmt(f),
            Number::Float(n) => n.fmt(f),
        }
    }
}

impl Tree {
    pub fn json_name(&self) -> &'static str {
        match self {
            Tree::Null => "null",
            Tree::Bool(_) => "bool",
            Tree::Number(_) => "number",
            Tree::Text(_) => "string",
            Tree::List(_) => "array",
            Tree::Map(_) => "object",
        }
    }

    /// The words `yes`, `no`, `on` and `off` are booleans in the YAML that etcd reads.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Tree::Bool(b) => Some(*b),
            Tree::Text(text) => match text.to_ascii_lowercase().as_str() {
                "y" | "yes" | "on" => Some(true),
                "n" | "no" | "off" => Some(false),
                _ => None,
            },
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML document")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Number(Number::Signed(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Number(Number::Unsigned(value)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Number(Number::Float(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Text(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_none<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Tree, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Tree::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Tree, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, value)) = access.next_entry::<Tree, Tree>()? {
            let key = match key {
                Tree::Text(text) => text,
                Tree::Bool(b) => b.to_string(),
                Tree::Number(n) => n.to_string(),
                other => other.json_name().to_owned(),
            };
            entries.push((key, value));
        }
        Ok(Tree::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As etcd 3.5.1 says them.
    #[test]
    fn what_is_wrong_is_told_in_the_words_of_etcds_library() {
        for (document, told) in [
            ("name: [\n", "line 1: did not find expected node content"),
            ("a: b\nname: {\n", "line 2: did not find expected node content"),
            ("a: [1,2\nb: 3\n", "line 1: did not find expected ',' or ']'"),
            ("\n\nname: x\n}\n", "line 3: did not find expected key"),
            ("name: \"x\n", "line 2: found unexpected end of stream"),
            ("name: x\n  foo: y\n", "line 2: mapping values are not allowed in this context"),
            ("a: b: c\n", "mapping values are not allowed in this context"),
            ("name: @x\n", "found character that cannot start any token"),
            ("a: *x\n", "unknown anchor 'x' referenced"),
            ("b: 1\na: *long-name\n", "unknown anchor 'long-name' referenced"),
        ] {
            assert_eq!(parse(document).err().as_deref(), Some(told), "{document:?}");
        }
    }
}
