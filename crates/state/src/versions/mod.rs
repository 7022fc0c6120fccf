//! Versions: of a release, of the cluster, of the storage; downgrade state.

mod apply;
mod downgrade;
mod requirement;
mod storage;

use std::fmt;
use std::str::FromStr;

pub(crate) use apply::{check_own, replay_cluster_version};
pub use downgrade::parse_target;
pub use requirement::required;
pub use storage::Migration;
pub(crate) use storage::check_storage;

/// A release, `major.minor.patch`. Cluster and storage versions have patch 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    pub major: u64,
    pub minor: u64,
    pub patch: u64,
}

impl Version {
    pub const V3_0: Version = Version::new(3, 0);
    pub const V3_4: Version = Version::new(3, 4);
    pub const V3_5: Version = Version::new(3, 5);
    pub const V3_6: Version = Version::new(3, 6);
    pub const V3_7: Version = Version::new(3, 7);

    /// The minor release, patch 0.
    pub const fn new(major: u64, minor: u64) -> Version {
        Version { major, minor, patch: 0 }
    }

    /// The same minor release with patch 0, as cluster and storage versions are written.
    pub const fn minor_line(self) -> Version {
        Version::new(self.major, self.minor)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// The text is no version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a version of the form major.minor.patch")]
pub struct ParseVersionError;

impl FromStr for Version {
    type Err = ParseVersionError;

    /// Accepts `3.6.1` and, with patch 0, `3.6`; what follows a `-` or `+` (pre-release, build) is left aside.
    fn from_str(text: &str) -> std::result::Result<Version, ParseVersionError> {
        let core = text.split(['-', '+']).next().unwrap_or_default();
        let mut parts = [0u64; 3];
        let mut seen = 0;
        for part in core.split('.') {
            if seen == 3 || part.is_empty() || !part.bytes().all(|b| b.is_ascii_digit()) {
                return Err(ParseVersionError);
            }
            parts[seen] = part.parse().map_err(|_| ParseVersionError)?;
            seen += 1;
        }
        if seen < 2 {
            return Err(ParseVersionError);
        }
        Ok(Version { major: parts[0], minor: parts[1], patch: parts[2] })
    }
}

/// A downgrade job of the cluster, as kept in bucket `cluster`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Downgrade {
    /// `Some` while the job is enabled.
    pub target: Option<Version>,
}

impl Downgrade {
    /// Whether a job is under way.
    pub fn enabled(self) -> bool {
        self.target.is_some()
    }
}

/// The versions that the state knows of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Versions {
    /// `None` until the leader has decided it.
    pub cluster: Option<Version>,
    pub downgrade: Downgrade,
    /// The schema of the backend: `storageVersion`, or 3.5 by its traces; `None` = unknown.
    pub storage: Option<Version>,
}
