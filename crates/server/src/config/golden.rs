//! Files of expected text, for tests.

use std::fs;
use std::path::Path;

/// Compares with a file of the repository, or writes it with `UPDATE=1`.
pub fn golden(path: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, text).unwrap();
    }
    let wanted = fs::read_to_string(&path).unwrap_or_default();
    assert!(wanted == text, "{} is not fresh: run the test with UPDATE=1", path.display());
}
