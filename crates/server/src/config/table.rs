//! The table of flags: the one home of their names, types, defaults, file keys and help.
//!
//! The rows stand in [`rows`](super::table) order of `--help`; parser, `ETCD_*` names, file keys and help are read from
//! here.

#[path = "rows.rs"]
mod rows;

pub use rows::FLAGS;

/// One flag.
#[derive(Debug)]
pub struct Flag {
    /// As on the command line, without dashes.
    pub name: &'static str,
    pub kind: Kind,
    /// In the syntax of the command line.
    pub default: &'static str,
    /// The first etcd release with this name.
    pub since: &'static str,
    pub key: Key,
    pub status: Status,
    pub section: Section,
    /// Without the final newline; lines of a longer help are split here.
    pub help: &'static str,
}

/// The type of a flag: what it accepts and how it errs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Bool,
    /// Go's `uint` and `uint64`, which err alike on the command line.
    Uint,
    Uint64,
    Uint32,
    Int,
    Int64,
    Duration,
    Text,
    /// URLs, sorted and without duplicates; an empty word leaves the default.
    Urls,
    /// URLs or a lone `*`; one word in a file.
    Origins,
    /// Words, sorted and without duplicates; one word in a file.
    UniqueWords,
    /// Words in order; a list in a file.
    Words,
    /// One of these.
    Choice(&'static [&'static str]),
    /// `Gate=bool,...`.
    Gates,
    /// An old name that is accepted without effect, as etcd does.
    Ignored,
}

/// The name in a configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The flag's own name.
    Same,
    /// A path of nested keys, joined by dots.
    Path(&'static str),
    /// Not settable in a file.
    None,
}

/// What this build does with a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Obeyed,
    /// Every value is accepted and none changes what can be observed, for this reason.
    Accepted(&'static str),
    /// Any value but the default is refused: this is what is missing.
    Later(&'static str),
    /// Not shown in the list of flags: `--version`, `--config-file` and old names.
    Hidden,
}

/// The headings of `--help`, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    Member,
    Clustering,
    Security,
    Auth,
    Monitoring,
    Logging,
    Tracing,
    Features,
    Compatibility,
    Unsafe,
    None,
}

impl Section {
    pub const ALL: [Section; 10] = [
        Section::Member,
        Section::Clustering,
        Section::Security,
        Section::Auth,
        Section::Monitoring,
        Section::Logging,
        Section::Tracing,
        Section::Features,
        Section::Compatibility,
        Section::Unsafe,
    ];

    pub fn title(self) -> &'static str {
        match self {
            Section::Member => "Member",
            Section::Clustering => "Clustering",
            Section::Security => "Security",
            Section::Auth => "Auth",
            Section::Monitoring => "Profiling and Monitoring",
            Section::Logging => "Logging",
            Section::Tracing => "Distributed tracing",
            Section::Features => "Features",
            Section::Compatibility => "Compatibility",
            Section::Unsafe => "Unsafe feature",
            Section::None => "",
        }
    }
}

impl Flag {
    /// The variable that sets this flag.
    pub fn variable(&self) -> String {
        format!("ETCD_{}", self.name.replace('-', "_").to_ascii_uppercase())
    }

    /// The path of keys in a configuration file.
    pub fn file_path(&self) -> Option<Vec<&'static str>> {
        match self.key {
            Key::Same => Some(vec![self.name]),
            Key::Path(path) => Some(path.split('.').collect()),
            Key::None => None,
        }
    }

    /// Whether the flag takes no following word.
    pub fn is_bool(&self) -> bool {
        matches!(self.kind, Kind::Bool | Kind::Ignored)
    }
}

/// Finds a flag and its place in the table.
pub fn find(name: &str) -> Option<(usize, &'static Flag)> {
    FLAGS.iter().enumerate().find(|(_, flag)| flag.name == name)
}
