//! Texts of `--help` and `--version`, made from the table.

use std::fmt::Write as _;

use super::table::{FLAGS, Section, Status};

const USAGE: &str = "Usage:

  etcd [flags]
    Start a server.

  etcd --version
    Print the version and exit.

  etcd -h | --help
    Print this text and exit.

  etcd --config-file
    Read everything from this YAML or JSON file; flags and variables beside it don't count.
";

/// What goes to stderr, after a wrong flag too.
pub fn usage_text() -> &'static str {
    USAGE
}

/// The list of flags.
pub fn flags_text() -> String {
    let mut out = String::new();
    for section in Section::ALL {
        let shown = FLAGS.iter().filter(|flag| flag.section == section && flag.status != Status::Hidden);
        line(&mut out, format_args!("{}:", section.title()));
        for flag in shown {
            line(&mut out, format_args!("  --{} '{}'", flag.name, flag.default));
            flag.help.lines().for_each(|text| line(&mut out, format_args!("    {text}")));
            match flag.status {
                Status::Later(missing) => line(&mut out, format_args!("    Not in this build yet: {missing}.")),
                Status::Accepted(why) => line(&mut out, format_args!("    Accepted without effect: {why}.")),
                Status::Obeyed | Status::Hidden => {}
            }
        }
        line(&mut out, format_args!(""));
    }
    line(
        &mut out,
        format_args!("Every flag can be given as a variable: ETCD_ and its name in upper case, '-' turned into '_'."),
    );
    out
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String does not fail.
    writeln!(out, "{text}").unwrap_or_default();
}

/// The four lines of `--version`. `version` is the release reported, `commit` that of this build.
pub fn version_text(version: &str, commit: &str) -> String {
    let (os, arch) = (std::env::consts::OS, go_arch());
    format!("etcd Version: {version}\nGit SHA: {commit}\nGo Version: none (Rust)\nGo OS/Arch: {os}/{arch}\n")
}

/// The machine's architecture by Go's name.
pub fn go_arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
