//! The oldest release that understands an entry (facts: disk-formats, 10): a storage downgrade waits until the log since
//! the last snapshot holds nothing newer than its target.

use proto::raftpb::Entry;

use super::Version;
use crate::command::{AuthCommand, Command, decode};

/// The release that an entry needs. Entries that cannot be read need none.
pub fn required(entry: &Entry) -> Version {
    let Ok(decoded) = decode(entry) else {
        return Version::V3_0;
    };
    match decoded.command {
        Command::LeaseCheckpoint(_) => Version::V3_4,
        Command::Auth(AuthCommand::Status) => Version::V3_5,
        Command::ClusterVersionSet(set) => {
            set.ver.parse().map_or(Version::V3_5, |v: Version| v.minor_line().max(Version::V3_5))
        }
        Command::ClusterMemberAttrSet(_) | Command::DowngradeInfoSet(_) => Version::V3_5,
        Command::DowngradeVersionTest => Version::V3_6,
        _ => Version::V3_0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;
    use proto::{etcdserverpb as pb, membershippb};

    #[test]
    fn a_cluster_version_counts_itself() {
        let set = |ver: &str| {
            let cluster_version_set = Some(membershippb::ClusterVersionSetRequest { ver: ver.into() });
            let r = pb::InternalRaftRequest { cluster_version_set, ..Default::default() };
            required(&Entry { data: r.encode_to_vec().into(), ..Default::default() })
        };
        assert_eq!(set("3.6.0"), Version::V3_6);
        assert_eq!(set("3.4.0"), Version::V3_5);
        assert_eq!(required(&Entry::default()), Version::V3_0);
    }
}
