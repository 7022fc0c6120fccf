//! Settings from a configuration file: YAML, or JSON, which is a part of it. Types and error texts are those of etcd's
//! own decoder: YAML is turned into JSON, JSON into a structure.

use super::gates::Gates;
use super::load::Failure;
use super::number;
use super::settings::{self, Settings, Value};
use super::table::{FLAGS, Flag, Kind};
use super::yaml::{self, Tree};

/// Takes the values of a file; unknown keys don't count.
pub fn apply(text: &str, settings: &mut Settings) -> Result<(), Failure> {
    let tree =
        yaml::parse(text).map_err(|why| Failure::verify(format!("error converting YAML to JSON: yaml: {why}")))?;
    let keys = match tree {
        Tree::Null => return Ok(()),
        Tree::Map(keys) => keys,
        other => return Err(decode_error(other.json_name(), "Go value of type embed.configYAML")),
    };
    let mut words = Vec::new();
    walk(&sorted(keys), &mut Vec::new(), settings, &mut words)?;
    // Words that need more than a JSON type are read when the whole file has been decoded.
    words.sort_by_key(|(place, _)| Reading::of(&FLAGS[*place]) as usize);
    for (place, word) in words {
        read_word(place, &word, settings)?;
    }
    Ok(())
}

fn decode_error(found: &str, wanted: &str) -> Failure {
    Failure::verify(format!(
        "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {found} into {wanted}"
    ))
}

/// etcd's JSON has its keys in order, so the first error is that of the first key.
fn sorted(mut keys: Vec<(String, Tree)>) -> Vec<(String, Tree)> {
    let mut unique: Vec<(String, Tree)> = Vec::with_capacity(keys.len());
    for (key, value) in keys.drain(..) {
        match unique.iter_mut().find(|(known, _)| *known == key) {
            Some(known) => known.1 = value,
            None => unique.push((key, value)),
        }
    }
    unique.sort_by(|a, b| a.0.cmp(&b.0));
    unique
}

fn walk(
    keys: &[(String, Tree)],
    path: &mut Vec<String>,
    settings: &mut Settings,
    words: &mut Vec<(usize, String)>,
) -> Result<(), Failure> {
    for (key, tree) in keys.iter().filter(|(_, tree)| !matches!(tree, Tree::Null)) {
        path.push(key.to_ascii_lowercase());
        match (find(path), tree) {
            (Found::Flag(place), tree) => take(place, tree, path, settings, words)?,
            (Found::Group, Tree::Map(inner)) => walk(&sorted(inner.clone()), path, settings, words)?,
            (Found::Group, other) => return Err(decode_error(other.json_name(), &field(path, group_type(path)))),
            (Found::Nothing, _) => {}
        }
        path.pop();
    }
    Ok(())
}

enum Found {
    Flag(usize),
    Group,
    Nothing,
}

fn find(path: &[String]) -> Found {
    for (place, flag) in FLAGS.iter().enumerate() {
        let Some(flag_path) = flag.file_path() else { continue };
        if flag_path.len() >= path.len() && flag_path.iter().zip(path).all(|(a, b)| a == b) {
            return if flag_path.len() == path.len() { Found::Flag(place) } else { Found::Group };
        }
    }
    Found::Nothing
}

/// etcd's name of the structure under a key.
fn group_type(path: &[String]) -> &'static str {
    match path.last().map(String::as_str) {
        Some("socket-options") => "transport.SocketOpts",
        Some("discovery-config") => "v3discovery.DiscoveryConfig",
        Some("client") => "clientv3.ConfigSpec",
        Some("secure") => "clientv3.SecureConfig",
        Some("auth") => "clientv3.AuthConfig",
        _ => "embed.securityConfig",
    }
}

fn field(path: &[String], kind: &str) -> String {
    let owner = match path.len() {
        0 | 1 => "configYAML",
        n => group_type(&path[..n - 1]).rsplit('.').next().unwrap_or_default(),
    };
    format!("Go struct field {owner}.{} of type {kind}", path.join("."))
}

/// Takes one value of the right JSON type.
fn take(
    place: usize,
    tree: &Tree,
    path: &[String],
    settings: &mut Settings,
    words: &mut Vec<(usize, String)>,
) -> Result<(), Failure> {
    let flag = &FLAGS[place];
    let kind = settings::go_type(flag);
    let wrong = |found: &str| decode_error(found, &field(path, kind));
    let value = match (flag.kind, tree) {
        (Kind::Bool, tree) => Value::Bool(tree.as_bool().ok_or_else(|| wrong(tree.json_name()))?),
        (Kind::Uint | Kind::Uint64 | Kind::Uint32, Tree::Number(n)) => {
            let max = if flag.kind == Kind::Uint32 { u64::from(u32::MAX) } else { u64::MAX };
            let value = n.as_u64().filter(|v| *v <= max);
            Value::Uint(value.ok_or_else(|| wrong(&format!("number {n}")))?)
        }
        (Kind::Int | Kind::Int64, Tree::Number(n)) => {
            Value::Int(n.as_i64().ok_or_else(|| wrong(&format!("number {n}")))?)
        }
        (Kind::Duration, Tree::Number(n)) => Value::Duration(n.as_i64().ok_or_else(|| wrong(&format!("number {n}")))?),
        (Kind::Words, Tree::List(items)) => {
            let texts = items.iter().map(|item| match item {
                Tree::Text(text) => Ok(text.clone()),
                Tree::Null => Ok(String::new()),
                other => Err(decode_error(other.json_name(), &field(path, "string"))),
            });
            Value::Words(texts.collect::<Result<_, _>>()?)
        }
        (Kind::Text, Tree::Text(text)) => Value::Text(text.clone()),
        (_, Tree::Text(text)) if kind == "string" => {
            words.push((place, text.clone()));
            return Ok(());
        }
        (_, tree) => return Err(wrong(tree.json_name())),
    };
    settings.put(place, value);
    Ok(())
}

/// The order in which words are read after decoding.
#[derive(Clone, Copy)]
enum Reading {
    Urls,
    Origins,
    State,
    Rest,
}

impl Reading {
    fn of(flag: &Flag) -> Reading {
        match flag.kind {
            Kind::Urls => Reading::Urls,
            Kind::Origins => Reading::Origins,
            Kind::Choice(_) => Reading::State,
            _ => Reading::Rest,
        }
    }
}

fn read_word(place: usize, word: &str, settings: &mut Settings) -> Result<(), Failure> {
    let flag = &FLAGS[place];
    if word.is_empty() {
        return Ok(());
    }
    let text = match (flag.kind, flag.name) {
        (Kind::Gates, _) => {
            let gates = Gates::parse(word).map_err(Failure::verify)?;
            settings.put(place, Value::Gates(gates));
            return Ok(());
        }
        // etcd reports this one under another name.
        (Kind::Urls, "advertise-client-urls") => "unexpected error setting up advertise-peer-urls: ".to_owned(),
        (Kind::Urls | Kind::Origins, name) => format!("unexpected error setting up {name}: "),
        (_, "initial-cluster-state") => {
            let wrong = format!("unexpected clusterState {}", number::quote(word));
            return settings.set(place, word).map_err(|_| Failure::verify(wrong));
        }
        (_, name) => {
            let quoted = number::quote(word);
            let wrong = |why| Failure::verify(format!("invalid value {quoted} for {name}: {why}"));
            return settings.set(place, word).map_err(wrong);
        }
    };
    settings.set(place, word).map_err(|why| Failure::Plain(text + &why))
}
