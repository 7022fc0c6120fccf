//! The downgrade job: what may be asked for at the door (facts: errors, 9; peer-protocol, 8), and how bucket `cluster`
//! keeps it.

use proto::errors::ClientError;
use serde::{Deserialize, Serialize};

use super::{Downgrade, Version, Versions};

/// The oldest version that a cluster can be brought down to: older releases keep no storage version and stop at the entry
/// that ends the job.
const LOWEST_TARGET: Version = Version::V3_5;

impl Version {
    /// The next lower minor release; `None` below `x.1`.
    pub fn one_minor_down(self) -> Option<Version> {
        self.minor.checked_sub(1).map(|minor| Version::new(self.major, minor))
    }
}

/// Reads the version that a downgrade is asked to: `x.y` or `x.y.z`, the latter with what may follow a release's number.
/// The patch number is left aside.
pub fn parse_target(text: &str) -> Result<Version, ClientError> {
    let core = text.split(['-', '+']).next().unwrap_or_default();
    // What follows the number needs all of the number.
    let is_complete = core.len() == text.len() || core.split('.').count() == 3;
    let parsed = text.parse::<Version>().ok().filter(|_| is_complete);
    parsed.map(Version::minor_line).ok_or(ClientError::WrongDowngradeVersionFormat)
}

impl Versions {
    /// Whether the cluster may be brought down to `target`, as far as a linearizable view of it knows. Gives the cluster
    /// version.
    pub fn check_downgrade(self, target: Version) -> Result<Version, ClientError> {
        let cluster = self.cluster.ok_or(ClientError::ClusterVersionUnavailable)?;
        if cluster.one_minor_down() != Some(target) || target < LOWEST_TARGET {
            return Err(ClientError::InvalidDowngradeTargetVersion);
        }
        if self.downgrade.enabled() {
            return Err(ClientError::DowngradeInProcess);
        }
        Ok(cluster)
    }

    /// Whether there is a job to be cancelled. Where there is none, releases below 3.6 say so (`release` is what this
    /// member passes itself off as), later ones answer as if there had been one.
    pub fn check_cancel(self, release: Version) -> Result<bool, ClientError> {
        if !self.downgrade.enabled() && release < Version::V3_6 {
            return Err(ClientError::NoInflightDowngrade);
        }
        Ok(self.downgrade.enabled())
    }
}

#[derive(Serialize, Deserialize)]
struct Form {
    #[serde(rename = "target-version", default)]
    target: String,
    #[serde(default)]
    enabled: bool,
}

impl Downgrade {
    /// The job that an entry sets; a target that is no version counts as none.
    pub(crate) fn set(enabled: bool, target: &str) -> Downgrade {
        Downgrade { target: target.parse::<Version>().ok().filter(|_| enabled) }
    }

    pub(crate) fn to_json(self) -> Vec<u8> {
        let target = self.target.map(|v| v.to_string()).unwrap_or_default();
        serde_json::to_vec(&Form { target, enabled: self.enabled() }).expect("strings and booleans always encode")
    }

    pub(crate) fn from_json(json: &[u8]) -> Result<Downgrade, serde_json::Error> {
        let form: Form = serde_json::from_slice(json)?;
        Ok(Downgrade::set(form.enabled, &form.target))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_versions() {
        for (text, version) in [("3.6", (3, 6)), ("3.6.9", (3, 6)), ("3.6.0-rc.1", (3, 6)), ("9.9", (9, 9))] {
            assert_eq!(parse_target(text), Ok(Version::new(version.0, version.1)), "{text}");
        }
        for text in ["", "abc", "3", "3.x", "3.6.", "3.6-rc.1", "3.6.0.1", "v3.6"] {
            assert_eq!(parse_target(text), Err(ClientError::WrongDowngradeVersionFormat), "{text}");
        }
    }

    #[test]
    fn one_minor_down_once() {
        let at = |cluster| Versions { cluster: Some(cluster), ..Versions::default() };
        assert_eq!(Versions::default().check_downgrade(Version::V3_6), Err(ClientError::ClusterVersionUnavailable));
        assert_eq!(at(Version::V3_7).check_downgrade(Version::V3_6), Ok(Version::V3_7));
        for target in [Version::V3_5, Version::V3_7, Version::new(3, 8)] {
            let refused = at(Version::V3_7).check_downgrade(target);
            assert_eq!(refused, Err(ClientError::InvalidDowngradeTargetVersion));
        }
        let too_low = at(Version::V3_5).check_downgrade(Version::V3_4);
        assert_eq!(too_low, Err(ClientError::InvalidDowngradeTargetVersion));
        let under_way = Versions { downgrade: Downgrade::set(true, "3.6.0"), ..at(Version::V3_7) };
        assert_eq!(under_way.check_downgrade(Version::V3_6), Err(ClientError::DowngradeInProcess));
        assert_eq!(under_way.check_cancel(Version::V3_5), Ok(true));
        assert_eq!(at(Version::V3_7).check_cancel(Version::V3_7), Ok(false));
        assert_eq!(at(Version::V3_5).check_cancel(Version::V3_5), Err(ClientError::NoInflightDowngrade));
    }

    #[test]
    fn stored_form() {
        let on = Downgrade::set(true, "3.5.0");
        assert_eq!(on.to_json(), br#"{"target-version":"3.5.0","enabled":true}"#);
        assert_eq!(Downgrade::default().to_json(), br#"{"target-version":"","enabled":false}"#);
        assert_eq!(Downgrade::from_json(&on.to_json()).unwrap(), on);
        assert_eq!(Downgrade::set(false, "3.5.0"), Downgrade::default());
    }
}
