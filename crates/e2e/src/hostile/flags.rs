//! Flags, variables and configuration files that make no sense.

use super::{Failure, Score, run_to_end};
use std::path::Path;

/// All cases of this kind.
pub fn all(binary: &Path, scratch: &Path, score: &mut Score) -> Result<(), Failure> {
    let file = scratch.join("garbage.yaml");
    std::fs::write(&file, "name: [unclosed\n\u{1}\u{2}: {")?;
    let file = file.to_string_lossy().into_owned();
    let missing = scratch.join("missing.yaml").to_string_lossy().into_owned();
    let cases: [(&[&str], &str); 8] = [
        (&["--no-such-flag"], "flag provided but not defined: -no-such-flag"),
        (&["--heartbeat-interval", "soon"], "invalid value \"soon\" for flag -heartbeat-interval"),
        (&["--quota-backend-bytes", "many"], "invalid value \"many\" for flag -quota-backend-bytes"),
        (&["--listen-client-urls", "nonsense"], "nonsense"),
        (
            &["--election-timeout", "10"],
            "--election-timeout[10ms] should be at least as 5 times as --heartbeat-interval[100ms]",
        ),
        (&["--config-file", &file], "yaml"),
        (&["--config-file", &missing], "no such file or directory"),
        (&["stray"], "is not a valid flag"),
    ];
    for (words, expected) in cases {
        let (status, text) = run_to_end(binary, words)?;
        if status.success() || !text.contains(expected) || text.contains("panicked at") {
            return Err(format!("{words:?}: {status}, expected {expected:?} in\n{text}").into());
        }
        score.pass(&format!("flags {words:?}"));
    }
    Ok(())
}
