//! The JSON that members tell each other: member lists, versions, hashes (facts: peer-protocol, 4).

use bytes::Bytes;
use proto::etcdserverpb::Member;
use serde::{Deserialize, Deserializer, Serialize};
use state::Version;

use crate::host::{HashKv, Versions};

#[derive(Serialize, Deserialize)]
struct MemberForm {
    id: u64,
    #[serde(rename = "peerURLs", default, deserialize_with = "null_as_empty")]
    peer_urls: Vec<String>,
    #[serde(rename = "isLearner", default, skip_serializing_if = "std::ops::Not::not")]
    is_learner: bool,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(rename = "clientURLs", default, deserialize_with = "null_as_empty", skip_serializing_if = "Vec::is_empty")]
    client_urls: Vec<String>,
}

fn null_as_empty<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// The list as `/members` and `/members/promote` answer, with a line break.
pub(crate) fn members(members: &[Member]) -> Bytes {
    let forms = members.iter().map(|member| MemberForm {
        id: member.id,
        peer_urls: member.peer_urls.clone(),
        is_learner: member.is_learner,
        name: member.name.clone(),
        client_urls: member.client_urls.clone(),
    });
    line(&forms.collect::<Vec<_>>())
}

/// Reads such a list. Errs with what is wrong.
pub(crate) fn read_members(text: &[u8]) -> Result<Vec<Member>, String> {
    let forms: Vec<MemberForm> = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let mut members: Vec<Member> = forms
        .into_iter()
        .map(|form| Member {
            id: form.id,
            name: form.name,
            peer_urls: form.peer_urls,
            client_urls: form.client_urls,
            is_learner: form.is_learner,
        })
        .collect();
    members.sort_by_key(|member| member.id);
    if members.first().is_some_and(|member| member.id == 0) || members.windows(2).any(|two| two[0].id == two[1].id) {
        return Err("member ids are zero or double".to_owned());
    }
    Ok(members)
}

#[derive(Serialize, Deserialize)]
struct VersionsForm {
    etcdserver: String,
    etcdcluster: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    storage: Option<String>,
}

/// The body of `/version`.
pub(crate) fn versions(versions: &Versions) -> Bytes {
    let text = |version: Option<Version>, none: &str| version.map_or_else(|| none.to_owned(), |v| v.to_string());
    let told = versions.server >= Version::V3_6;
    let form = VersionsForm {
        etcdserver: versions.server.to_string(),
        etcdcluster: text(versions.cluster, "not_decided"),
        storage: told.then(|| text(versions.storage, "unknown")),
    };
    // etcd puts no line break here.
    self::text(&form)
}

/// Reads such a body: the server's version, and the cluster's where it is decided.
pub(crate) fn read_versions(text: &[u8]) -> Result<(Version, Option<Version>), String> {
    let form: VersionsForm = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let server = form.etcdserver.parse().map_err(|error| format!("{:?}: {error}", form.etcdserver))?;
    Ok((server, form.etcdcluster.parse().ok()))
}

#[derive(Serialize, Deserialize, Default)]
struct HeaderForm {
    #[serde(default, skip_serializing_if = "is_zero")]
    cluster_id: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    member_id: u64,
    #[serde(default, skip_serializing_if = "is_zero_signed")]
    revision: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    raft_term: u64,
}

#[derive(Serialize, Deserialize)]
struct HashForm {
    #[serde(default)]
    header: Option<HeaderForm>,
    #[serde(default, skip_serializing_if = "is_zero_hash")]
    hash: u32,
    #[serde(default, skip_serializing_if = "is_zero_signed")]
    compact_revision: i64,
    #[serde(default, skip_serializing_if = "is_zero_signed")]
    hash_revision: i64,
}

#[derive(Serialize, Deserialize, Default)]
struct RevisionForm {
    #[serde(default, skip_serializing_if = "is_zero_signed")]
    revision: i64,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

fn is_zero_signed(n: &i64) -> bool {
    *n == 0
}

fn is_zero_hash(n: &u32) -> bool {
    *n == 0
}

/// The body of an answer to `/members/hashkv`, without a line break.
pub(crate) fn hash_kv(hash: &HashKv) -> Bytes {
    text(&HashForm {
        header: Some(HeaderForm { revision: hash.current_revision, ..HeaderForm::default() }),
        hash: hash.hash,
        compact_revision: hash.compact_revision,
        hash_revision: hash.hash_revision,
    })
}

/// Reads such a body.
pub(crate) fn read_hash_kv(text: &[u8]) -> Result<HashKv, String> {
    let form: HashForm = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    Ok(HashKv {
        hash: form.hash,
        compact_revision: form.compact_revision,
        hash_revision: form.hash_revision,
        current_revision: form.header.unwrap_or_default().revision,
    })
}

/// The body of a request for `/members/hashkv`.
pub(crate) fn revision(revision: i64) -> Bytes {
    text(&RevisionForm { revision })
}

/// Reads such a body.
pub(crate) fn read_revision(text: &[u8]) -> Result<i64, String> {
    serde_json::from_slice::<RevisionForm>(text).map(|form| form.revision).map_err(|error| error.to_string())
}

/// With a line break.
fn line<T: Serialize>(form: &T) -> Bytes {
    let mut text = Vec::from(text(form));
    text.push(b'\n');
    text.into()
}

/// Strings, numbers and booleans always encode.
fn text<T: Serialize>(form: &T) -> Bytes {
    serde_json::to_vec(form).map(Bytes::from).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_read_as_etcd_writes_them() {
        let text = br#"[{"id":12575576836155971495,"peerURLs":["http://h:1"],"name":"a","clientURLs":["http://h:2"]},
            {"id":7,"peerURLs":["http://h:3"],"isLearner":true,"name":""}]"#;
        let read = read_members(text).unwrap();
        assert_eq!((read[0].id, read[0].is_learner, read[1].name.as_str()), (7, true, "a"));
        let written = String::from_utf8(members(&read).to_vec()).unwrap();
        let first = r#"[{"id":7,"peerURLs":["http://h:3"],"isLearner":true,"name":""},"#;
        let first = first.replace(r#","name":"""#, "");
        assert!(written.starts_with(&first), "{written}");
        assert!(written.ends_with("\"name\":\"a\",\"clientURLs\":[\"http://h:2\"]}]\n"), "{written}");
        assert!(read_members(br#"[{"id":0}]"#).is_err());
        assert!(read_members(br#"[{"id":1},{"id":1}]"#).is_err());
        assert!(read_members(b"{}").is_err());
    }

    #[test]
    fn versions_leave_storage_out_below_3_6() {
        let mut told = Versions { server: Version::V3_7, cluster: None, storage: None };
        let text = |told: &Versions| String::from_utf8(versions(told).to_vec()).unwrap();
        assert_eq!(text(&told), r#"{"etcdserver":"3.7.0","etcdcluster":"not_decided","storage":"unknown"}"#);
        told = Versions { server: Version::V3_5, cluster: Some(Version::V3_5), storage: None };
        assert_eq!(text(&told), r#"{"etcdserver":"3.5.0","etcdcluster":"3.5.0"}"#);
        assert_eq!(read_versions(text(&told).as_bytes()), Ok((Version::V3_5, Some(Version::V3_5))));
        assert_eq!(read_versions(br#"{"etcdserver":"3.4.23","etcdcluster":"not_decided"}"#).map(|v| v.1), Ok(None));
        assert!(read_versions(br#"{"etcdserver":"x","etcdcluster":"3.5.0"}"#).is_err());
    }

    #[test]
    fn hashes_leave_zeros_out() {
        let hash = HashKv { hash: 9, compact_revision: 0, hash_revision: 4, current_revision: 5 };
        let text = hash_kv(&hash);
        assert_eq!(&text[..], b"{\"header\":{\"revision\":5},\"hash\":9,\"hash_revision\":4}");
        assert_eq!(read_hash_kv(&text), Ok(hash));
        assert_eq!((&revision(0)[..], &revision(3)[..]), (&b"{}"[..], &b"{\"revision\":3}"[..]));
        assert_eq!((read_revision(b"{}"), read_revision(b"{\"revision\":3}")), (Ok(0), Ok(3)));
        assert!(read_revision(b"[").is_err());
    }
}
