//! `-w simple` of changes of the membership.

use proto::etcdserverpb::{MemberAddResponse, ResponseHeader};

use super::Answer;
use crate::go::quote;

/// Lines without their ends; none for other answers.
pub fn lines(answer: &Answer<'_>) -> Vec<String> {
    match answer {
        Answer::Added { name, peer_urls, answer } => added(name, peer_urls, answer),
        Answer::Removed(id, answer) => vec![changed(*id, "removed from", &answer.header)],
        Answer::Updated(id, answer) => vec![changed(*id, "updated in", &answer.header)],
        Answer::Promoted(id, answer) => vec![changed(*id, "promoted in", &answer.header)],
        _ => Vec::new(),
    }
}

/// Identifiers stand at the right of 16 columns.
fn changed(id: u64, how: &str, header: &Option<ResponseHeader>) -> String {
    format!("Member {id:16x} {how} cluster {:16x}", header.unwrap_or_default().cluster_id)
}

/// Who was added, and what the new member has to be started with.
fn added(name: &str, peer_urls: &str, answer: &MemberAddResponse) -> Vec<String> {
    let member = answer.member.clone().unwrap_or_default();
    let how = if member.is_learner { "added as learner to" } else { "added to" };
    let mut cluster = Vec::new();
    for other in &answer.members {
        let name = if other.id == member.id { name } else { &other.name };
        cluster.extend(other.peer_urls.iter().map(|url| format!("{name}={url}")));
    }
    vec![
        changed(member.id, how, &answer.header),
        String::new(),
        format!("ETCD_NAME={}", quote(name)),
        format!("ETCD_INITIAL_CLUSTER={}", quote(&cluster.join(","))),
        format!("ETCD_INITIAL_ADVERTISE_PEER_URLS={}", quote(peer_urls)),
        "ETCD_INITIAL_CLUSTER_STATE=\"existing\"".to_owned(),
    ]
}
