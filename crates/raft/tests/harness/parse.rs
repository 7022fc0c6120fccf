//! Arguments of commands.

use proto::raftpb::{ConfChangeSingle, ConfChangeType, Entry};
use testkit::datadriven::{self, Case, Part};

/// Further commands, one to a line.
pub fn lines(input: &str) -> Vec<Case> {
    let script: String = input.lines().map(|line| format!("{line}\n----\n\n")).collect();
    let parts = datadriven::parse(&script).expect("commands");
    let cases = parts.into_iter().filter_map(|part| match part {
        Part::Case(case) => Some(case),
        Part::Text(_) => None,
    });
    cases.collect()
}

/// The arguments that are numbers on their own.
pub fn ids(case: &Case) -> Vec<u64> {
    case.words().map(|word| word.parse().unwrap_or_else(|_| panic!("line {}: {word} is no id", case.line))).collect()
}

/// The first of them.
pub fn first_id(case: &Case) -> u64 {
    case.words().next().and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("line {}: no id", case.line))
}

/// `v1 l2 r3 u4`.
pub fn conf_changes(text: &str) -> Result<Vec<ConfChangeSingle>, String> {
    text.split_whitespace().map(conf_change).collect()
}

fn conf_change(token: &str) -> Result<ConfChangeSingle, String> {
    let (letter, id) = token.split_at(1);
    let change_type = match letter {
        "v" => ConfChangeType::ConfChangeAddNode,
        "l" => ConfChangeType::ConfChangeAddLearnerNode,
        "r" => ConfChangeType::ConfChangeRemoveNode,
        "u" => ConfChangeType::ConfChangeUpdateNode,
        _ => return Err(format!("unknown input: {token}")),
    };
    let node_id = id.parse().map_err(|_| format!("unknown input: {token}"))?;
    Ok(ConfChangeSingle { change_type: change_type as i32, node_id })
}

/// An empty entry from `term/index`.
pub fn entry(id: &str) -> Entry {
    let (term, index) = id.split_once('/').unwrap_or_else(|| panic!("{id} is not term/index"));
    let number = |text: &str| text.parse().unwrap_or_else(|_| panic!("{id} is not term/index"));
    Entry { term: number(term), index: number(index), ..Default::default() }
}
