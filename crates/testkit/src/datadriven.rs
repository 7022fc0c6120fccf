//! Behaviour as text: commands, and beneath each what it is expected to print.
//!
//! ```text
//! # Comments and empty lines stand between cases.
//! put a=1 lease=(7, 8)
//! further input, line by line
//! ----
//! rev=2
//! ```
//!
//! A case ends at the first empty line after `----`. Output that itself has empty lines stands between two doubled
//! separators (`----`, `----` before, and the same behind). A directive may go on in the next line after a trailing `\`.
//!
//! With `QUORATE_REWRITE=1` in the environment [`run`] writes what was printed into the script instead of comparing;
//! the difference is then read in the version control system.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const SEPARATOR: &str = "----";

/// One argument of a directive: `key`, `key=value` or `key=(value, value)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arg {
    pub key: String,
    pub values: Vec<String>,
}

/// A command with its input and expected output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The line of the directive in the script, from 1.
    pub line: usize,
    pub command: String,
    pub args: Vec<Arg>,
    /// The lines between directive and separator.
    pub input: String,
    /// Either empty or ending with a line break.
    pub expected: String,
    /// Directive and input as they stand in the script.
    source: String,
}

impl Case {
    /// The argument with this key.
    pub fn arg(&self, key: &str) -> Option<&Arg> {
        self.args.iter().find(|arg| arg.key == key)
    }

    /// The only value of the argument with this key.
    pub fn value(&self, key: &str) -> Option<&str> {
        let arg = self.arg(key)?;
        assert_eq!(arg.values.len(), 1, "line {}: {key} takes one value", self.line);
        Some(&arg.values[0])
    }

    /// The only value of the argument with this key, parsed.
    pub fn parsed<T: std::str::FromStr>(&self, key: &str) -> Option<T> {
        let value = self.value(key)?;
        match value.parse() {
            Ok(parsed) => Some(parsed),
            Err(_) => panic!("line {}: {key} can't be {value:?}", self.line),
        }
    }

    /// All values of the argument with this key, parsed; empty where it is absent.
    pub fn parsed_list<T: std::str::FromStr>(&self, key: &str) -> Vec<T> {
        let Some(arg) = self.arg(key) else {
            return Vec::new();
        };
        let parse = |value: &String| match value.parse() {
            Ok(parsed) => parsed,
            Err(_) => panic!("line {}: {key} can't hold {value:?}", self.line),
        };
        arg.values.iter().map(parse).collect()
    }

    /// The arguments that are a mere word.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.args.iter().filter(|arg| arg.values.is_empty()).map(|arg| arg.key.as_str())
    }
}

/// A script: cases, and the text between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// A comment or empty line.
    Text(String),
    Case(Case),
}

/// Takes a script apart. Errs with the line and the reason where it doesn't have the form above.
pub fn parse(script: &str) -> Result<Vec<Part>, String> {
    let lines: Vec<&str> = script.lines().collect();
    let mut parts = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at];
        if line.trim().is_empty() || line.starts_with('#') {
            parts.push(Part::Text(line.to_string()));
            at += 1;
        } else {
            let (case, next) = parse_case(&lines, at)?;
            parts.push(Part::Case(case));
            at = next;
        }
    }
    Ok(parts)
}

fn parse_case(lines: &[&str], start: usize) -> Result<(Case, usize), String> {
    let line = start + 1;
    let mut at = start;
    let mut directive = String::new();
    while let Some(head) = lines[at].strip_suffix('\\') {
        directive.push_str(head);
        at += 1;
        if at == lines.len() {
            return Err(format!("line {line}: the directive has no end"));
        }
    }
    directive.push_str(lines[at]);
    let separator = (at + 1..lines.len())
        .find(|&at| lines[at] == SEPARATOR)
        .ok_or_else(|| format!("line {line}: no {SEPARATOR} behind the command"))?;
    let input = join(&lines[at + 1..separator]);
    let source = join(&lines[start..separator]);

    let doubled = lines.get(separator + 1) == Some(&SEPARATOR);
    let (expected, next) = if doubled {
        let from = separator + 2;
        let end = (from..lines.len().saturating_sub(1))
            .find(|&at| lines[at] == SEPARATOR && lines[at + 1] == SEPARATOR)
            .ok_or_else(|| format!("line {line}: the doubled {SEPARATOR} is not closed"))?;
        (&lines[from..end], end + 2)
    } else {
        let from = separator + 1;
        let end = (from..lines.len()).find(|&at| lines[at].trim().is_empty()).unwrap_or(lines.len());
        (&lines[from..end], end)
    };
    let mut words = parse_args(&directive).map_err(|reason| format!("line {line}: {reason}"))?.into_iter();
    let command = words.next().ok_or_else(|| format!("line {line}: no command"))?.key;
    Ok((Case { line, command, args: words.collect(), input, expected: join(expected), source }, next))
}

fn join(lines: &[&str]) -> String {
    lines.iter().fold(String::new(), |mut text, line| {
        text.push_str(line);
        text.push('\n');
        text
    })
}

/// Splits at spaces outside of parentheses.
fn parse_args(directive: &str) -> Result<Vec<Arg>, String> {
    let mut args = Vec::new();
    let mut rest = directive.trim_start();
    while !rest.is_empty() {
        let end = rest.find([' ', '\t', '=']).unwrap_or(rest.len());
        let (key, tail) = rest.split_at(end);
        let (values, tail) = match tail.strip_prefix('=') {
            None => (Vec::new(), tail),
            Some(list) if list.starts_with('(') => {
                let close = list.find(')').ok_or_else(|| format!("{key}: no closing parenthesis"))?;
                let values = list[1..close].split(',').map(|value| value.trim().to_string());
                (values.filter(|value| !value.is_empty()).collect(), &list[close + 1..])
            }
            Some(value) => {
                let end = value.find([' ', '\t']).unwrap_or(value.len());
                (vec![value[..end].to_string()], &value[end..])
            }
        };
        args.push(Arg { key: key.to_string(), values });
        rest = tail.trim_start();
    }
    Ok(args)
}

/// The scripts (`*.txt`) directly inside a directory, by name. Panics where there are none.
pub fn scripts(dir: impl AsRef<Path>) -> Vec<PathBuf> {
    let dir = dir.as_ref();
    let entries = std::fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("directory entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    paths.sort();
    assert!(!paths.is_empty(), "no scripts in {}", dir.display());
    paths
}

/// Runs every case of a script through `execute` and compares what it returns with what is expected, or rewrites the
/// script; see the module's documentation. Panics with the first difference.
pub fn run(path: impl AsRef<Path>, mut execute: impl FnMut(&Case) -> String) {
    let path = path.as_ref();
    let rewrite = std::env::var_os("QUORATE_REWRITE").is_some_and(|value| value == "1");
    if !rewrite {
        return check(path, |expected| expected.to_string(), execute);
    }
    let mut script = String::new();
    for part in read(path) {
        match part {
            Part::Text(line) => {
                script.push_str(&line);
                script.push('\n');
            }
            Part::Case(case) => write_case(&mut script, &case, &with_line_end(execute(&case))),
        }
    }
    std::fs::write(path, script).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

fn write_case(script: &mut String, case: &Case, output: &str) {
    script.push_str(&case.source);
    let has_empty_lines = output.lines().any(|line| line.trim().is_empty());
    let frame = if has_empty_lines { "----\n----\n" } else { "" };
    let head = if has_empty_lines { frame } else { "----\n" };
    write!(script, "{head}{output}{frame}").expect("writing to a string");
}

/// As [`run`], but never rewrites, and puts the expected output through `normalise` first: for scripts that others
/// own, of which some lines are out of scope.
pub fn check(path: impl AsRef<Path>, normalise: impl Fn(&str) -> String, mut execute: impl FnMut(&Case) -> String) {
    let path = path.as_ref();
    for part in read(path) {
        let Part::Case(case) = part else { continue };
        let expected = with_line_end(normalise(&case.expected));
        let actual = with_line_end(execute(&case));
        if expected != actual {
            panic!("{}", difference(path, &case, &expected, &actual));
        }
    }
}

fn read(path: &Path) -> Vec<Part> {
    let script = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    parse(&script).unwrap_or_else(|reason| panic!("{}: {reason}", path.display()))
}

fn with_line_end(mut text: String) -> String {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

fn difference(path: &Path, case: &Case, expected: &str, actual: &str) -> String {
    let mut report = format!("{}:{}: {}\n", path.display(), case.line, case.source.trim_end());
    let (mut expected, mut actual) = (expected.lines(), actual.lines());
    loop {
        match (expected.next(), actual.next()) {
            (None, None) => return report,
            (Some(same), Some(other)) if same == other => writeln!(report, "  {same}"),
            (wanted, got) => {
                wanted.into_iter().for_each(|line| report.push_str(&format!("- {line}\n")));
                got.into_iter().for_each(|line| report.push_str(&format!("+ {line}\n")));
                Ok(())
            }
        }
        .expect("writing to a string");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only_case(script: &str) -> Case {
        let parts = parse(script).unwrap();
        let mut cases = parts.into_iter().filter_map(|part| match part {
            Part::Case(case) => Some(case),
            Part::Text(_) => None,
        });
        let case = cases.next().unwrap();
        assert!(cases.next().is_none());
        case
    }

    #[test]
    fn takes_a_case_apart() {
        let case = only_case("# hello\n\nput a b=1 c=(1, 2,3) \\\n  d=()\nmore\n\ninput\n----\nok\nyes\n\n# end\n");
        assert_eq!((case.line, case.command.as_str()), (3, "put"));
        assert_eq!(case.words().collect::<Vec<_>>(), ["a", "d"]);
        assert_eq!(case.parsed::<u64>("b"), Some(1));
        assert_eq!(case.parsed_list::<u64>("c"), [1, 2, 3]);
        assert_eq!(case.input, "more\n\ninput\n");
        assert_eq!(case.expected, "ok\nyes\n");
    }

    #[test]
    fn doubled_separators_hold_empty_lines() {
        let case = only_case("show\n----\n----\na\n\nb\n----\n----\n");
        assert_eq!(case.expected, "a\n\nb\n");
    }

    #[test]
    fn malformed_scripts_are_refused_by_line() {
        assert_eq!(parse("\nput a\n").unwrap_err(), "line 2: no ---- behind the command");
        assert_eq!(parse("put a=(1\n----\n").unwrap_err(), "line 1: a: no closing parenthesis");
    }

    #[test]
    fn a_rewritten_case_reads_back() {
        for output in ["", "ok\n", "a\n\nb\n"] {
            let case = only_case("put a\ninput\n----\nold\n");
            let mut script = String::new();
            write_case(&mut script, &case, output);
            assert_eq!(only_case(&script).expected, output);
            assert_eq!(only_case(&script).source, case.source);
        }
    }
}
