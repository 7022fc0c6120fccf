//! The licences of everything that is linked into the programs.

use crate::{Failure, root};
use serde_json::Value;
use std::process::Command;

/// Licences that may be linked in without further thought.
const ALLOWED: [&str; 11] = [
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "MIT",
    "MIT-0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Unicode-3.0",
    "Zlib",
    "CC0-1.0",
    "BSL-1.0",
];

/// Packages with a weak copyleft, file by file, used unmodified.
const EXCEPTIONS: [(&str, &str); 2] = [("imbl", "MPL-2.0+"), ("imbl-sized-chunks", "MPL-2.0+")];

/// Prints what is not allowed and errs if anything is not.
pub fn check() -> Result<(), Failure> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let arguments = ["metadata", "--format-version", "1", "--locked"];
    let output = Command::new(cargo).args(arguments).current_dir(root()).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().ok_or("no packages in the metadata")?;
    let wrong: Vec<String> = packages.iter().filter_map(refusal).collect();
    if !wrong.is_empty() {
        return Err(format!("licences that are not allowed:\n  {}", wrong.join("\n  ")).into());
    }
    println!("licences: {} packages allowed", packages.len());
    Ok(())
}

fn refusal(package: &Value) -> Option<String> {
    let name = package["name"].as_str().unwrap_or_default();
    let licence = package["license"].as_str().unwrap_or_default();
    let excepted = EXCEPTIONS.iter().any(|(known, words)| *known == name && *words == licence);
    let fine = excepted || is_allowed(licence);
    (!fine).then(|| format!("{name}: {licence:?}"))
}

/// Whether an SPDX expression can be met with allowed licences.
fn is_allowed(expression: &str) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    alternatives(&mut rest) && rest.is_empty()
}

fn alternatives(rest: &mut &[&str]) -> bool {
    let mut met = conjunction(rest);
    while let Some(("OR", after)) = rest.split_first().map(|(word, after)| (*word, after)) {
        *rest = after;
        met |= conjunction(rest);
    }
    met
}

fn conjunction(rest: &mut &[&str]) -> bool {
    let mut met = licence(rest);
    while let Some(("AND", after)) = rest.split_first().map(|(word, after)| (*word, after)) {
        *rest = after;
        met &= licence(rest);
    }
    met
}

/// One licence, perhaps with an exception, or an expression in parentheses.
fn licence(rest: &mut &[&str]) -> bool {
    match **rest {
        ["(", ref after @ ..] => {
            *rest = after;
            let met = alternatives(rest);
            *rest = rest.get(1..).unwrap_or_default();
            met
        }
        [name, "WITH", exception, ref after @ ..] => {
            *rest = after;
            ALLOWED.contains(&format!("{name} WITH {exception}").as_str())
        }
        [name, ref after @ ..] => {
            *rest = after;
            ALLOWED.contains(&name)
        }
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alternatives_and_conjunctions() {
        assert!(is_allowed("MIT OR GPL-3.0") && is_allowed("MIT/Apache-2.0") && is_allowed("MIT AND ISC"));
        assert!(!is_allowed("GPL-3.0") && !is_allowed("MIT AND GPL-3.0") && !is_allowed(""));
        assert!(is_allowed("(MIT OR Apache-2.0) AND Unicode-3.0"));
    }
}
