//! The page of flags in `docs/`, made from the table.

use std::fmt::Write as _;

use super::table::{FLAGS, Flag, Key, Kind, Section, Status};

/// The whole page.
pub fn flags_page() -> String {
    let mut out = String::from(
        "# Flags of `etcd`\n\nMade from the table of flags in `crates/server/src/config/rows.rs` by the test \
         `config::tests::the_page_of_flags_is_fresh` (`UPDATE=1` rewrites it).\n\nEvery flag can be given as a variable: `ETCD_` and \
         its name in upper case, `-` turned into `_`. A configuration file is the only source where one is given.\n",
    );
    for section in Section::ALL {
        put(&mut out, format_args!("\n## {}\n\n", section.title()));
        out.push_str("| flag | type | default | since | key in a file | meaning |\n|---|---|---|---|---|---|\n");
        FLAGS
            .iter()
            .filter(|flag| flag.section == section && flag.status != Status::Hidden)
            .for_each(|f| row(&mut out, f));
    }
    out
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String does not fail.
    out.write_fmt(text).unwrap_or_default();
}

fn row(out: &mut String, flag: &Flag) {
    let default = if flag.default.is_empty() { String::new() } else { format!("`{}`", flag.default) };
    let key = match flag.key {
        Key::Same => "same".to_owned(),
        Key::Path(path) => format!("`{path}`"),
        Key::None => "none".to_owned(),
    };
    let status = match flag.status {
        Status::Obeyed | Status::Hidden => String::new(),
        Status::Accepted(why) => format!(" *Accepted without effect: {why}.*"),
        Status::Later(missing) => format!(" *Not in this build yet: {missing}.*"),
    };
    let help = flag.help.replace('\n', " ").replace('|', "\\|");
    let (name, kind, since) = (flag.name, kind(flag.kind), flag.since);
    put(out, format_args!("| `--{name}` | {kind} | {default} | {since} | {key} | {help}{status} |\n"));
}

fn kind(kind: Kind) -> String {
    match kind {
        Kind::Bool => "bool".into(),
        Kind::Uint | Kind::Uint64 => "uint".into(),
        Kind::Uint32 => "uint32".into(),
        Kind::Int | Kind::Int64 => "int".into(),
        Kind::Duration => "duration".into(),
        Kind::Text => "text".into(),
        Kind::Urls => "URLs".into(),
        Kind::Origins => "URLs or `*`".into(),
        Kind::UniqueWords | Kind::Words => "words".into(),
        Kind::Choice(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
        Kind::Gates => "`Name=bool,...`".into(),
        Kind::Ignored => "ignored".into(),
    }
}
