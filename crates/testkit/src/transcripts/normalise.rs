//! Volatile text becomes placeholders, so that two runs can be compared (format: e2e/transcripts/v3/README.md).

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;

use super::table;

macro_rules! pattern {
    ($name:ident, $text:expr) => {
        static $name: LazyLock<Regex> = LazyLock::new(|| Regex::new($text).expect("invariant: the pattern is valid"));
    };
}

const DURATION: &str = r"-?(?:\d+(?:\.\d+)?(?:h|ms|m|s|µs|us|ns))+";
const SIZE: &str = r"\d+(?:\.\d+)? ?[kKMGT]?i?B";

pattern!(MOMENT, r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?");
pattern!(POINTER, r"\b0x[0-9a-f]{6,}\b");
pattern!(TOOK, &format!(r#"((?:"took"|"Took"|took)\s*[:=]?\s*"?){DURATION}"#));
pattern!(MEMBER, r"^Member +([0-9a-f]+ (?:added|removed|updated|promoted) .*cluster) +");
pattern!(ALARM, r"(memberID:\d+) +(alarm:)");
pattern!(TIME, &format!(r"\b(time = ){DURATION}"));
pattern!(TERM, r#"("(?:raft_term|raftTerm|RaftTerm)"\s*:\s*)\d+"#);
pattern!(INDEX, r#"("(?:raftIndex|raftAppliedIndex|RaftIndex|RaftAppliedIndex)"\s*:\s*)\d+"#);
pattern!(SIZES, r#"("(?:dbSize|dbSizeInUse|DBSize|DBSizeInUse|totalSize|Size)"\s*:\s*)\d+"#);
pattern!(HASH, r#"("(?:hash|Hash)"\s*:\s*)\d+"#);
pattern!(ENDPOINT_HASH, r"^((?:https?://)?<EP2?>), \d+, (-?\d+)$");
pattern!(FILE_HASH, &format!(r"^[0-9a-f]{{1,8}}(, \d+, \d+, ){SIZE}, "));
pattern!(
    STATUS,
    &format!(
        r"^((?:https?://)?<EP2?>), ([0-9a-f]+), ([\w.]*), ([\w.]*), {SIZE}, {SIZE}, -?\d+%, ({SIZE}), (true|false), (true|false), \d+, \d+, \d+, "
    )
);
pattern!(VERSION, r"3\.\d{1,2}\.\d{1,2}(?:-[a-z]+\.\d+)?");
pattern!(API, r"^(API version: )3\.\d+$");
pattern!(CLUSTER_VERSION, r"(cluster version )3\.\d+$");
pattern!(JSON_VERSION, r#"("version":")3\.\d+(")"#);
pattern!(TRACE, r"^goroutine \d+ \[");

/// Replacements of one step, in order.
pub type Extra = Vec<(Regex, String)>;

/// What a step asks for.
#[derive(Default)]
pub struct Wishes {
    /// Volatile things that stay as they are: `term`, `size`, `hash`, `version`.
    pub keep: Vec<String>,
    pub extra: Extra,
}

impl Wishes {
    fn keeps(&self, what: &str) -> bool {
        self.keep.iter().any(|kept| kept == what)
    }
}

/// Identifiers are numbered in order of first appearance within one scenario, so that it stays visible whether two outputs
/// speak of the same one.
pub struct Normaliser {
    literals: Vec<(String, String)>,
    ids: BTreeMap<u64, usize>,
}

impl Normaliser {
    /// `literals` are texts and what stands for them.
    pub fn new(mut literals: Vec<(String, String)>) -> Normaliser {
        literals.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        Normaliser { literals, ids: BTreeMap::new() }
    }

    /// The number of an identifier.
    pub fn ident(&mut self, value: u64) -> usize {
        let next = self.ids.len() + 1;
        *self.ids.entry(value).or_insert(next)
    }

    /// One line.
    pub fn line(&mut self, text: &str, wishes: &Wishes) -> String {
        let mut s = text.to_owned();
        for (text, placeholder) in &self.literals {
            s = s.replace(text, placeholder);
        }
        let mut sub = |pattern: &Regex, with: &str| s = pattern.replace_all(&s, with).into_owned();
        sub(&MOMENT, "<TS>");
        sub(&POINTER, "<PTR>");
        sub(&TOOK, "${1}<DUR>");
        sub(&MEMBER, "Member ${1} ");
        sub(&ALARM, "${1} ${2}");
        sub(&TIME, "${1}<DUR>");
        if !wishes.keeps("term") {
            sub(&TERM, "${1}<TERM>");
        }
        sub(&INDEX, "${1}<INDEX>");
        if !wishes.keeps("size") {
            sub(&SIZES, "${1}<SIZE>");
        }
        if !wishes.keeps("hash") {
            sub(&HASH, "${1}<HASH>");
            sub(&ENDPOINT_HASH, "${1}, <HASH>, ${2}");
            sub(&FILE_HASH, "<HASH>${1}<SIZE>, ");
        }
        let status = "${1}, ${2}, ${3}, ${4}, <SIZE>, <SIZE>, <PCT>, ${5}, ${6}, ${7}, <TERM>, <INDEX>, <INDEX>, ";
        sub(&STATUS, status);
        if !wishes.keeps("version") {
            s = versions(&s);
            let mut sub = |pattern: &Regex, with: &str| s = pattern.replace_all(&s, with).into_owned();
            sub(&API, "${1}<API>");
            sub(&CLUSTER_VERSION, "${1}<API>");
            sub(&JSON_VERSION, "${1}<API>${2}");
        }
        self.identifiers(&s)
    }

    /// Decimal identifiers first: 17 to 20 digits; then hexadecimal ones of 13 to 16.
    fn identifiers(&mut self, text: &str) -> String {
        let decimals = runs(
            text,
            |c| c.is_ascii_digit(),
            17..=20,
            "._+/=-",
            "._+/=",
            |run| run.parse().map(|value| format!("<ID{}:d>", self.ident(value))).ok(),
        );
        let hexadecimal = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        runs(&decimals, hexadecimal, 13..=16, "._+=", "._+/=", |run| {
            // Zero, or a small number that the scenario chose, stays.
            let value = u64::from_str_radix(run, 16).ok().filter(|value| *value >= 1 << 40)?;
            Some(format!("<ID{}:x>", self.ident(value)))
        })
    }

    /// A cell of a table under `header`.
    pub fn cell(&mut self, header: &str, text: &str, wishes: &Wishes) -> String {
        let kept = text.is_empty() || header == "HASH" && wishes.keeps("hash");
        match table::placeholder(header) {
            Some(placeholder) if !kept => placeholder.into(),
            _ => self.line(text, wishes),
        }
    }

    /// All lines; help and traces are cut short, tables laid out anew.
    pub fn text(&mut self, raw: &[u8], wishes: &Wishes, cut: bool) -> Vec<String> {
        let mut lines = split(&decode(raw).replace("\r\n", "\n"));
        if cut {
            cut_usage(&mut lines);
        }
        let (mut out, mut block) = (Vec::new(), Vec::new());
        for line in lines.into_iter().map(Some).chain([None]) {
            if let Some(line) = &line
                && line.starts_with(['┌', '│', '├', '└'])
            {
                block.push(line.clone());
                continue;
            }
            if !block.is_empty() {
                out.extend(table::normalised(self, &std::mem::take(&mut block), wishes));
            }
            out.extend(line.map(|line| extra(self.line(&line, wishes), &wishes.extra)));
        }
        out
    }
}

/// The replacements of a step.
pub fn extra(text: String, extra: &Extra) -> String {
    extra.iter().fold(text, |text, (pattern, with)| pattern.replace_all(&text, with.as_str()).into_owned())
}

/// Bytes that are no text show as `\xNN`.
pub fn decode(raw: &[u8]) -> String {
    let mut out = String::new();
    for chunk in raw.utf8_chunks() {
        out.push_str(chunk.valid());
        chunk.invalid().iter().for_each(|byte| out.push_str(&format!("\\x{byte:02x}")));
    }
    out
}

fn split(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    match lines.pop() {
        Some(last) if !last.is_empty() => lines.push(last + "<NO NEWLINE>"),
        _ => {}
    }
    lines
}

fn cut_usage(lines: &mut Vec<String>) {
    if let Some(at) = lines.iter().position(|line| line == "Usage:") {
        let tail = lines.split_off(at);
        lines.push("<USAGE>".into());
        lines.extend(tail.into_iter().filter(|line| line.starts_with("Error: ")));
    }
    if let Some(at) = lines.iter().position(|line| TRACE.is_match(line)) {
        lines.truncate(at);
        lines.push("<TRACE>".into());
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Versions that stand alone.
fn versions(text: &str) -> String {
    let (mut out, mut end) = (String::new(), 0);
    for found in VERSION.find_iter(text) {
        let before = text[..found.start()].chars().next_back();
        let after = text[found.end()..].chars().next();
        out.push_str(&text[end..found.start()]);
        let apart = |c: Option<char>| c.is_none_or(|c| !is_word(c) && c != '.');
        out.push_str(if apart(before) && apart(after) { "<VERSION>" } else { found.as_str() });
        end = found.end();
    }
    out + &text[end..]
}

/// Replaces whole runs of certain characters, of certain lengths, unless a letter, a digit or one of the given characters
/// stands beside them.
fn runs(
    text: &str,
    belongs: impl Fn(char) -> bool,
    lens: std::ops::RangeInclusive<usize>,
    not_before: &str,
    not_after: &str,
    mut replace: impl FnMut(&str) -> Option<String>,
) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(start) = rest.find(&belongs) {
        let end = start + rest[start..].find(|c| !belongs(c)).unwrap_or(rest.len() - start);
        out.push_str(&rest[..start]);
        let beside = |c: Option<char>, set: &str| c.is_some_and(|c| c.is_ascii_alphanumeric() || set.contains(c));
        let run = &rest[start..end];
        let free = lens.contains(&run.len())
            && !beside(out.chars().next_back(), not_before)
            && !beside(rest[end..].chars().next(), not_after);
        match free.then(|| replace(run)).flatten() {
            Some(placeholder) => out.push_str(&placeholder),
            None => out.push_str(run),
        }
        rest = &rest[end..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> String {
        let literals = vec![("127.0.0.1:1".into(), "<EP>".into()), ("/tmp/x".into(), "<DIR>".into())];
        Normaliser::new(literals).line(text, &Wishes::default())
    }

    #[test]
    fn what_changes_from_run_to_run_is_replaced() {
        for (text, shown) in [
            ("lease 694d9a1b2c3d4e5f granted with TTL(5s)", "lease <ID1:x> granted with TTL(5s)"),
            ("lease 00000000000004d2 revoked", "lease 00000000000004d2 revoked"),
            ("\"ID\" : 10276657743932975437", "\"ID\" : <ID1:d>"),
            ("10276657743932975437 8e9e05c52164694d", "<ID1:d> <ID1:x>"),
            ("a8e9e05c52164694dg", "a8e9e05c52164694dg"),
            ("etcd Version: 3.7.1", "etcd Version: <VERSION>"),
            ("v3.7.1.2", "v3.7.1.2"),
            ("127.0.0.1:1 is healthy: took = 1.2ms", "<EP> is healthy: took = <DUR>"),
            ("Member   8e9e05c52164694d removed from cluster  1", "Member <ID1:x> removed from cluster 1"),
        ] {
            assert_eq!(line(text), shown);
        }
    }

    #[test]
    fn tables_are_laid_out_anew() {
        let table = "┌────────┬──────┐\n│ RAFT TERM │ X │\n";
        let mut normaliser = Normaliser::new(Vec::new());
        let lines = normaliser.text(table.as_bytes(), &Wishes::default(), true);
        assert_eq!(lines[0], "<TABLE WITH UNEXPECTED LAYOUT>");
        let table = "┌───────────┬───┐\n│ RAFT TERM │ X │\n├───────────┼───┤\n│        12 │ y │\n└───────────┴───┘\n";
        let lines = normaliser.text(table.as_bytes(), &Wishes::default(), true);
        assert_eq!(lines[3], "│    <TERM> │ y │");
    }

    #[test]
    fn help_is_cut_and_a_missing_newline_shown() {
        let text = "a\nUsage:\n  x\nError: y";
        let lines = Normaliser::new(Vec::new()).text(text.as_bytes(), &Wishes::default(), true);
        assert_eq!(lines, ["a", "<USAGE>", "Error: y<NO NEWLINE>"]);
    }
}
