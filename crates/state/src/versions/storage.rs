//! The schema of the backend: which releases can read it, and moving between them (facts: disk-formats, 10).

use super::Version;
use crate::error::{Error, Result};
use crate::state::State;

/// Refuses a file that a newer release has written. What 3.5 adds are fields that 3.4 passes over: a member of 3.4 takes
/// the snapshot of a leader of 3.5, and starts on a directory that 3.5 has used.
pub(crate) fn check_storage(storage: Option<Version>, own: Version) -> Result<()> {
    match storage {
        Some(found) if found.minor_line() > own.minor_line().max(Version::V3_5) => {
            Err(Error::StorageTooNew { found, own })
        }
        Some(_) | None => Ok(()),
    }
}

/// What became of a wish to migrate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Migration {
    /// The storage is at the target.
    Done { from: Version },
    /// It was there already.
    Unneeded,
    /// The target is no release that keeps a storage version: below 3.5.
    NoSuchTarget,
    /// The database does not say which release wrote it: no entry with a term yet (a database of 3.4).
    Unknown,
    /// The state has not caught up with its own backend yet; ask again.
    Replaying,
    /// The log since the last snapshot holds entries that only this newer release understands.
    LogTooNew { needs: Version },
}

impl State {
    /// Brings the storage to `target`, the cluster version as a rule. `log_needs` is the newest release that an entry
    /// in the log since the last snapshot asks for ([`super::required`]); it matters on the way down only.
    pub fn migrate_storage(&mut self, target: Version, log_needs: Version) -> Migration {
        let target = target.minor_line();
        if target < Version::V3_5 || target > self.rules.release {
            return Migration::NoSuchTarget;
        }
        if self.live.buckets_stale || self.applied.index < self.store.applied().index {
            return Migration::Replaying;
        }
        let Some(from) = self.live.versions.storage else {
            return Migration::Unknown;
        };
        if from == target {
            return Migration::Unneeded;
        }
        if target < from && log_needs.minor_line() > target {
            return Migration::LogTooNew { needs: log_needs };
        }
        let key = (target >= Version::V3_6).then(|| target.to_string());
        self.store.migrate_storage(key.as_deref());
        self.live.versions.storage = Some(target);
        // It is no entry's doing, so no publication follows.
        self.published.versions.storage = Some(target);
        self.republish();
        Migration::Done { from }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_schema_that_cannot_be_read_is_refused() {
        assert!(check_storage(None, Version::V3_4).is_ok());
        assert!(check_storage(Some(Version::V3_5), Version::V3_4).is_ok());
        assert!(check_storage(Some(Version::V3_6), Version::V3_4).is_err());
        assert!(check_storage(Some(Version::V3_6), Version::V3_5).is_err());
        assert!(check_storage(Some(Version::V3_5), Version::V3_7).is_ok());
    }
}
