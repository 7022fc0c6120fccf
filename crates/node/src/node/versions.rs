//! The leader's watch over versions: the cluster version is the lowest that any member reports, and only rises, except in a
//! downgrade (facts: peer-protocol, 8).

use std::time::Duration;

use proto::etcdserverpb::Member;
use state::Version;

use crate::event::VersionReport;

/// How often the leader looks.
pub(super) const CHECK_INTERVAL: Duration = Duration::from_secs(4);

/// The version to set, if one is due. `own` is this member's; reports of the others may be missing or empty. During a
/// downgrade the target is set, and nothing else.
pub(super) fn decide(
    own_id: u64,
    own: Version,
    members: &[Member],
    reports: &[VersionReport],
    current: Option<Version>,
    downgrade_target: Option<Version>,
) -> Option<Version> {
    let lowest = lowest_version(own_id, own, members, reports);
    let Some(current) = current else { return Some(lowest.unwrap_or(Version::V3_0)) };
    let lowest = lowest?;
    match downgrade_target {
        Some(target) => {
            let fits = |from: Version| from == target || from.one_minor_down() == Some(target);
            (current != target && fits(current) && fits(lowest)).then_some(target)
        }
        None => (lowest > current).then_some(lowest),
    }
}

/// Whether all members run the version that the cluster is brought down to, so that the job is done.
pub(super) fn all_run(
    own_id: u64,
    own: Version,
    members: &[Member],
    reports: &[VersionReport],
    target: Version,
) -> bool {
    let runs = |version: Version| version.minor_line() == target.minor_line();
    let others = members.iter().filter(|member| member.id != own_id);
    runs(own) && others.map(|member| reported(reports, member.id)).all(|version| version.is_some_and(runs))
}

/// The lowest version that any member runs; `None` where one does not answer.
fn lowest_version(own_id: u64, own: Version, members: &[Member], reports: &[VersionReport]) -> Option<Version> {
    let mut lowest = own.minor_line();
    for member in members.iter().filter(|member| member.id != own_id) {
        lowest = lowest.min(reported(reports, member.id)?.minor_line());
    }
    Some(lowest)
}

fn reported(reports: &[VersionReport], member: u64) -> Option<Version> {
    reports.iter().find(|report| report.member == member)?.server
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
        assert_eq!(decide(1, own, &members(1), &[], None, None), Some(Version::V3_7));
        assert_eq!(decide(1, own, &members(1), &[], Some(Version::V3_5), None), Some(Version::V3_7));
        assert_eq!(decide(1, own, &members(1), &[], Some(Version::V3_7), None), None);
        assert_eq!(decide(1, Version::V3_6, &members(1), &[], Some(Version::V3_7), None), None);
    }

    #[test]
    fn the_lowest_counts_and_all_must_answer() {
        let own = Version::V3_7;
        let old = report(2, Some(Version { major: 3, minor: 6, patch: 14 }));
        assert_eq!(
            decide(1, own, &members(2), std::slice::from_ref(&old), Some(Version::V3_5), None),
            Some(Version::V3_6)
        );
        assert_eq!(decide(1, own, &members(3), &[old, report(3, None)], Some(Version::V3_5), None), None);
        assert_eq!(decide(1, own, &members(2), &[], None, None), Some(Version::V3_0));
    }

    #[test]
    fn a_downgrade_goes_one_minor_down_and_no_further() {
        let own = Version { major: 3, minor: 7, patch: 1 };
        let (v6, v7) = (Version::V3_6, Version::V3_7);
        let two = members(2);
        let other = |version| vec![report(2, Some(version))];
        let decide =
            |reports: &[VersionReport], current, target| decide(1, own, &two, reports, Some(current), Some(target));
        assert_eq!(decide(&other(v7), v7, v6), Some(v6));
        assert_eq!(decide(&other(v6), v7, v6), Some(v6));
        assert_eq!(decide(&other(v7), v6, v6), None, "it stays down while the job is on");
        assert_eq!(decide(&other(v7), v7, Version::V3_5), None, "two steps");
        assert_eq!(decide(&[], v7, v6), None, "somebody does not answer");
        assert!(!all_run(1, own, &two, &other(v6), v6) && !all_run(1, v6, &two, &[], v6));
        assert!(all_run(1, v6, &two, &other(Version { patch: 14, ..v6 }), v6));
    }
}
