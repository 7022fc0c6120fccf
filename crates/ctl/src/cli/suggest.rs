//! Names that the user may have meant.

use super::table::{Command, Presence};

/// How many edits away a suggestion may be.
const DISTANCE_MAX: usize = 2;

/// The commands, in the order of the table, whose name is close to `typed` or begins with it.
pub fn suggestions(command: &Command, typed: &str) -> Vec<&'static str> {
    let typed = typed.to_lowercase();
    let shown = command.subs.iter().filter(|sub| sub.presence == Presence::Here && sub.name != "help");
    shown
        .map(|sub| sub.name)
        .filter(|name| {
            distance(&typed, &name.to_lowercase()) <= DISTANCE_MAX || name.to_lowercase().starts_with(&typed)
        })
        .collect()
}

/// Insertions, deletions and substitutions between two words.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn distances() {
        for (a, b, edits) in
            [("gte", "get", 2), ("set", "put", 2), ("set", "user", 2), ("", "ab", 2), ("get", "get", 0)]
        {
            assert_eq!(distance(a, b), edits, "{a} {b}");
        }
    }
}
