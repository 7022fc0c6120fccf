//! Proposals that a member makes on its own: what it is called, the cluster version, revocations, checkpoints, alarms,
//! compactions, v2 SYNC. In the form that every member of a cluster at that version takes (facts: peer-protocol, 6, 7).

use bytes::Bytes;
use prost::Message;
use proto::etcdserverpb::{
    AlarmRequest, AlarmType, CompactionRequest, InternalRaftRequest, LeaseCheckpoint, LeaseCheckpointRequest,
    LeaseRevokeRequest, RequestHeader, V2Request, alarm_request::AlarmAction,
};
use proto::membershippb::{Attributes, ClusterMemberAttrSetRequest, ClusterVersionSetRequest, DowngradeInfoSetRequest};
use state::Version;

/// The first cluster version at which every member takes the v3 forms, and the first at which one refuses the v2 forms.
const V3_FORMS_SINCE: Version = Version::V3_6;

/// Whether members, version and time are told in the v2 form.
pub(crate) fn in_v2_form(cluster_version: Version) -> bool {
    cluster_version < V3_FORMS_SINCE
}

fn header(id: u64) -> RequestHeader {
    RequestHeader { id, ..RequestHeader::default() }
}

fn encode(id: u64, request: InternalRaftRequest) -> Bytes {
    InternalRaftRequest { header: Some(request.header.clone().unwrap_or_else(|| header(id))), ..request }
        .encode_to_vec()
        .into()
}

fn v2_put(id: u64, path: String, val: String) -> Bytes {
    V2Request { id, method: "PUT".into(), path, val, ..V2Request::default() }.encode_to_vec().into()
}

/// Publishes name and client URLs of a member.
pub(crate) fn member_attributes(id: u64, member: u64, name: &str, client_urls: &[String], cluster: Version) -> Bytes {
    if in_v2_form(cluster) {
        #[derive(serde::Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Value<'a> {
            #[serde(skip_serializing_if = "str::is_empty")]
            name: &'a str,
            #[serde(rename = "clientURLs", skip_serializing_if = "<[String]>::is_empty")]
            client_urls: &'a [String],
        }
        let val = serde_json::to_string(&Value { name, client_urls }).expect("strings are always JSON");
        return v2_put(id, format!("/0/members/{member:x}/attributes"), val);
    }
    let member_attributes = Some(Attributes { name: name.to_owned(), client_urls: client_urls.to_vec() });
    let set = ClusterMemberAttrSetRequest { member_id: member, member_attributes };
    encode(id, InternalRaftRequest { cluster_member_attr_set: Some(set), ..InternalRaftRequest::default() })
}

/// Sets the cluster version to `to`; `cluster` is the present one, which decides the form.
pub(crate) fn cluster_version(id: u64, to: Version, cluster: Version) -> Bytes {
    let ver = to.minor_line().to_string();
    if in_v2_form(cluster) {
        return v2_put(id, "/0/version".into(), ver);
    }
    let set = ClusterVersionSetRequest { ver };
    encode(id, InternalRaftRequest { cluster_version_set: Some(set), ..InternalRaftRequest::default() })
}

/// Ends the downgrade of the cluster.
pub(crate) fn downgrade_end(id: u64) -> Bytes {
    let set = DowngradeInfoSetRequest { enabled: false, ver: String::new() };
    encode(id, InternalRaftRequest { downgrade_info_set: Some(set), ..InternalRaftRequest::default() })
}

/// Lets the v2 tree drop what has ended by this moment.
pub(crate) fn v2_sync(id: u64, unix_nanos: i64) -> Bytes {
    V2Request { id, method: "SYNC".into(), time: unix_nanos, ..V2Request::default() }.encode_to_vec().into()
}

/// Revokes a lease that has ended, as root where authentication is on (then with its revision).
pub(crate) fn lease_revoke(id: u64, lease: i64, auth_revision: Option<u64>) -> Bytes {
    let header = match auth_revision {
        Some(auth_revision) => RequestHeader { id, username: "root".into(), auth_revision },
        None => header(id),
    };
    let revoke = LeaseRevokeRequest { id: lease };
    encode(id, InternalRaftRequest { header: Some(header), lease_revoke: Some(revoke), ..Default::default() })
}

/// Records the remaining seconds of leases.
pub(crate) fn lease_checkpoint(id: u64, leases: &[(i64, i64)]) -> Bytes {
    let checkpoints =
        leases.iter().map(|(id, remaining)| LeaseCheckpoint { id: *id, remaining_ttl: *remaining }).collect();
    let checkpoint = LeaseCheckpointRequest { checkpoints };
    encode(id, InternalRaftRequest { lease_checkpoint: Some(checkpoint), ..InternalRaftRequest::default() })
}

/// Raises the alarm that this member's database is over its quota.
pub(crate) fn no_space(id: u64, member: u64) -> Bytes {
    raise(id, member, AlarmType::Nospace)
}

/// Raises the alarm that this member's data differ from the others'.
pub(crate) fn corrupt(id: u64, member: u64) -> Bytes {
    raise(id, member, AlarmType::Corrupt)
}

fn raise(id: u64, member: u64, alarm: AlarmType) -> Bytes {
    let alarm = AlarmRequest { action: AlarmAction::Activate as i32, member_id: member, alarm: alarm as i32 };
    encode(id, InternalRaftRequest { alarm: Some(alarm), ..InternalRaftRequest::default() })
}

/// Compacts the history.
pub(crate) fn compaction(id: u64, revision: i64) -> Bytes {
    let compaction = CompactionRequest { revision, physical: false };
    encode(id, InternalRaftRequest { compaction: Some(compaction), ..InternalRaftRequest::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_follow_the_cluster_version() {
        let urls = ["http://a:1".to_owned()];
        let old = V2Request::decode(member_attributes(7, 0xab, "a", &urls, Version::V3_5)).unwrap();
        assert_eq!((old.id, old.method.as_str(), old.path.as_str()), (7, "PUT", "/0/members/ab/attributes"));
        assert_eq!(old.val, r#"{"name":"a","clientURLs":["http://a:1"]}"#);
        let new = InternalRaftRequest::decode(member_attributes(7, 0xab, "a", &urls, Version::V3_6)).unwrap();
        assert_eq!(new.header.unwrap().id, 7);
        assert_eq!(new.cluster_member_attr_set.unwrap().member_id, 0xab);
        let old = V2Request::decode(cluster_version(7, Version::V3_6, Version::V3_5)).unwrap();
        assert_eq!((old.path.as_str(), old.val.as_str()), ("/0/version", "3.6.0"));
        let new = InternalRaftRequest::decode(cluster_version(7, Version::V3_7, Version::V3_6)).unwrap();
        assert_eq!(new.cluster_version_set.unwrap().ver, "3.7.0");
    }

    #[test]
    fn revocations_are_roots_where_authentication_is_on() {
        let revoke = InternalRaftRequest::decode(lease_revoke(1, 5, Some(9))).unwrap();
        let header = revoke.header.unwrap();
        assert_eq!((header.username.as_str(), header.auth_revision), ("root", 9));
        assert_eq!(InternalRaftRequest::decode(lease_revoke(1, 5, None)).unwrap().header.unwrap().username, "");
    }
}
