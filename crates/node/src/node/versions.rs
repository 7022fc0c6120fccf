//! The leader's watch over versions: the cluster version is the lowest that any member reports, and only rises here
//! (facts: peer-protocol, 8).

use std::time::Duration;

use proto::etcdserverpb::Member;
use state::Version;

use crate::event::VersionReport;

/// How often the leader looks.
pub(super) const CHECK_INTERVAL: Duration = Duration::from_secs(4);

/// The version to set, if one is due. `own` is this member's; reports of the others may be missing or empty.
pub(super) fn decide(
    own_id: u64,
    own: Version,
    members: &[Member],
    reports: &[VersionReport],
    current: Option<Version>,
) -> Option<Version> {
    let mut lowest = own.minor_line();
    let mut all_answered = true;
    for member in members.iter().filter(|member| member.id != own_id) {
        match reports.iter().find(|report| report.member == member.id).and_then(|report| report.server) {
            Some(version) => lowest = lowest.min(version.minor_line()),
            None => all_answered = false,
        }
    }
    match current {
        None if all_answered => Some(lowest),
        None => Some(Version::V3_0),
        Some(current) if all_answered && lowest > current => Some(lowest),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(n: u64) -> Vec<Member> {
        (1..=n).map(|id| Member { id, ..Member::default() }).collect()
    }

    fn report(member: u64, server: Option<Version>) -> VersionReport {
        VersionReport { member, server }
    }

    #[test]
    fn alone_it_is_the_own_one_and_only_rises() {
        let own = Version { major: 3, minor: 7, patch: 1 };
        assert_eq!(decide(1, own, &members(1), &[], None), Some(Version::V3_7));
        assert_eq!(decide(1, own, &members(1), &[], Some(Version::V3_5)), Some(Version::V3_7));
        assert_eq!(decide(1, own, &members(1), &[], Some(Version::V3_7)), None);
        assert_eq!(decide(1, Version::V3_6, &members(1), &[], Some(Version::V3_7)), None);
    }

    #[test]
    fn the_lowest_counts_and_all_must_answer() {
        let own = Version::V3_7;
        let old = report(2, Some(Version { major: 3, minor: 6, patch: 14 }));
        assert_eq!(decide(1, own, &members(2), std::slice::from_ref(&old), Some(Version::V3_5)), Some(Version::V3_6));
        assert_eq!(decide(1, own, &members(3), &[old, report(3, None)], Some(Version::V3_5)), None);
        assert_eq!(decide(1, own, &members(2), &[], None), Some(Version::V3_0));
    }
}
