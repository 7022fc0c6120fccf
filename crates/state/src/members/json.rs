//! The JSON forms of members (facts: disk-formats, 3 and 6; peer-protocol, 5), in the field order of etcd.

use serde::{Deserialize, Deserializer, Serialize};

use super::Member;

/// What the members themselves tell: `/0/members/<id>/attributes`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[serde(rename = "clientURLs", default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub client_urls: Vec<String>,
}

/// What the cluster decides about a member: `/0/members/<id>/raftAttributes`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RaftAttributes {
    #[serde(rename = "peerURLs", default, deserialize_with = "or_default")]
    pub peer_urls: Vec<String>,
    #[serde(rename = "isLearner", default, skip_serializing_if = "is_false")]
    pub is_learner: bool,
}

#[derive(Serialize, Deserialize)]
struct MemberJson {
    id: u64,
    #[serde(flatten)]
    raft: RaftAttributes,
    #[serde(flatten)]
    attributes: Attributes,
}

/// The context of a conf change: the member, and whether it is a promotion.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeContext {
    pub member: Member,
    pub is_promote: bool,
}

#[derive(Serialize, Deserialize)]
struct ContextJson {
    #[serde(flatten)]
    member: MemberJson,
    #[serde(rename = "isPromote", default)]
    is_promote: bool,
}

impl Member {
    fn to_json_form(&self) -> MemberJson {
        MemberJson { id: self.id, raft: self.raft_attributes(), attributes: self.attributes() }
    }

    fn from_json_form(form: MemberJson) -> Member {
        Member {
            id: form.id,
            name: form.attributes.name,
            peer_urls: form.raft.peer_urls,
            client_urls: form.attributes.client_urls,
            is_learner: form.raft.is_learner,
        }
    }

    /// What the member tells of itself.
    pub fn attributes(&self) -> Attributes {
        Attributes { name: self.name.clone(), client_urls: self.client_urls.clone() }
    }

    /// What the cluster decides about the member.
    pub fn raft_attributes(&self) -> RaftAttributes {
        RaftAttributes { peer_urls: self.peer_urls.clone(), is_learner: self.is_learner }
    }

    /// The value in bucket `members`, also the context of bootstrap's conf changes.
    pub fn to_json(&self) -> Vec<u8> {
        encode(&self.to_json_form())
    }

    /// Reads [`Member::to_json`], in any order and with unknown fields.
    pub fn from_json(json: &[u8]) -> Result<Member, serde_json::Error> {
        serde_json::from_slice(json).map(Member::from_json_form)
    }
}

impl Attributes {
    pub fn to_json(&self) -> Vec<u8> {
        encode(self)
    }

    pub fn from_json(json: &[u8]) -> Result<Attributes, serde_json::Error> {
        serde_json::from_slice(json)
    }
}

impl RaftAttributes {
    pub fn to_json(&self) -> Vec<u8> {
        encode(self)
    }

    pub fn from_json(json: &[u8]) -> Result<RaftAttributes, serde_json::Error> {
        serde_json::from_slice(json)
    }
}

impl ChangeContext {
    pub fn to_json(&self) -> Vec<u8> {
        encode(&ContextJson { member: self.member.to_json_form(), is_promote: self.is_promote })
    }

    pub fn from_json(json: &[u8]) -> Result<ChangeContext, serde_json::Error> {
        let form: ContextJson = serde_json::from_slice(json)?;
        Ok(ChangeContext { member: Member::from_json_form(form.member), is_promote: form.is_promote })
    }
}

/// Go writes these characters, which can only stand inside strings, as escapes.
const ESCAPED: [(char, &str); 5] =
    [('<', "\\u003c"), ('>', "\\u003e"), ('&', "\\u0026"), ('\u{2028}', "\\u2028"), ('\u{2029}', "\\u2029")];

fn encode(value: &impl Serialize) -> Vec<u8> {
    let text = serde_json::to_string(value).expect("strings, numbers and lists always encode");
    if !text.contains(ESCAPED.map(|(plain, _)| plain)) {
        return text.into_bytes();
    }
    ESCAPED.iter().fold(text, |text, (plain, escape)| text.replace(*plain, escape)).into_bytes()
}

fn is_false(b: &bool) -> bool {
    !b
}

/// Go writes an empty list as null.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(d: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(d)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_read_and_write_in_the_order_of_the_original() {
        let text = r#"{"id":12575576836155971495,"peerURLs":["http://a:1"],"isLearner":true,"name":"n","clientURLs":["http://c:2"]}"#;
        let member = Member::from_json(text.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(member.to_json()).unwrap(), text);
        let bare = Member { id: 1, peer_urls: vec!["http://a:1".into()], ..Member::default() };
        assert_eq!(bare.to_json(), br#"{"id":1,"peerURLs":["http://a:1"]}"#);
        assert_eq!(
            Member::from_json(br#"{"id":7,"peerURLs":null,"name":"x"}"#).unwrap().peer_urls,
            Vec::<String>::new()
        );
    }

    #[test]
    fn strings_are_escaped_as_go_does() {
        let member = Member { id: 1, name: "<a&b>\u{2028}".into(), ..Member::default() };
        let json = member.to_json();
        assert_eq!(String::from_utf8_lossy(&json), r#"{"id":1,"peerURLs":[],"name":"\u003ca\u0026b\u003e\u2028"}"#);
        assert_eq!(Member::from_json(&json).unwrap(), member);
    }

    #[test]
    fn contexts_tell_promotions() {
        let promote = ChangeContext { member: Member { id: 3, ..Member::default() }, is_promote: true };
        let json = promote.to_json();
        assert_eq!(String::from_utf8_lossy(&json), r#"{"id":3,"peerURLs":[],"isPromote":true}"#);
        assert_eq!(ChangeContext::from_json(&json).unwrap(), promote);
        assert!(!ChangeContext::from_json(br#"{"id":3,"peerURLs":["u"]}"#).unwrap().is_promote);
    }
}
