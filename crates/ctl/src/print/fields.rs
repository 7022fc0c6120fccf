//! `-w fields`: `"Name" : value`, one on a line.

use std::fmt::{Display, Write};

use proto::etcdserverpb::response_op::Response;
use proto::etcdserverpb::{
    DeleteRangeResponse, HashKvResponse, Member, PutResponse, RangeResponse, ResponseHeader, StatusResponse,
    TxnResponse, WatchResponse,
};
use proto::mvccpb::KeyValue;

use super::{Answer, Health, alarm_name, event_name, lease_text, took_text};
use crate::go::{quote, quote_bytes};

#[derive(Default)]
struct Page {
    out: String,
    hex: bool,
}

impl Page {
    fn field(&mut self, name: &str, value: impl Display) {
        // Writing to a String cannot fail.
        let _always = writeln!(self.out, "\"{name}\" : {value}");
    }

    fn text(&mut self, name: &str, text: &str) {
        self.field(name, quote(text));
    }

    /// A member or cluster.
    fn id(&mut self, name: &str, id: u64) {
        if self.hex { self.field(name, format!("{id:x}")) } else { self.field(name, id) }
    }

    fn lease(&mut self, name: &str, id: i64) {
        if self.hex { self.field(name, lease_text(id)) } else { self.field(name, id) }
    }

    fn end_of_element(&mut self) {
        self.out.push('\n');
    }

    fn header(&mut self, header: &Option<ResponseHeader>) {
        let header = header.unwrap_or_default();
        self.id("ClusterID", header.cluster_id);
        self.id("MemberID", header.member_id);
        if header.revision > 0 {
            self.field("Revision", header.revision);
        }
        self.field("RaftTerm", header.raft_term);
    }

    fn pair(&mut self, prefix: &str, pair: &KeyValue) {
        self.field(&format!("{prefix}Key"), quote_bytes(&pair.key));
        self.field(&format!("{prefix}CreateRevision"), pair.create_revision);
        self.field(&format!("{prefix}ModRevision"), pair.mod_revision);
        self.field(&format!("{prefix}Version"), pair.version);
        self.field(&format!("{prefix}Value"), quote_bytes(&pair.value));
        self.lease(&format!("{prefix}Lease"), pair.lease);
    }
}

/// Answers to changes of the cluster do not have this form.
pub fn render(answer: &Answer<'_>, hex: bool) -> Option<String> {
    let mut page = Page { hex, ..Page::default() };
    match answer {
        Answer::Get(answer) => get(&mut page, answer),
        Answer::Put(answer) => put(&mut page, answer),
        Answer::Delete(answer) => delete(&mut page, answer),
        Answer::Txn(answer) => txn(&mut page, answer),
        Answer::Watch(answer) => watch(&mut page, answer),
        Answer::Grant(_)
        | Answer::Revoke(..)
        | Answer::KeepAlive(_)
        | Answer::TimeToLive { .. }
        | Answer::Leases(_) => lease(&mut page, answer),
        Answer::Alarms(answer) => {
            page.header(&answer.header);
            for alarm in &answer.alarms {
                page.id("MemberID", alarm.member_id);
                page.field("AlarmType", alarm_name(alarm.alarm));
                page.end_of_element();
            }
        }
        Answer::Members(answer) => {
            page.header(&answer.header);
            answer.members.iter().for_each(|member| self::member(&mut page, member));
        }
        Answer::Health(healths) => healths.iter().for_each(|health| self::health(&mut page, health)),
        Answer::Status(list) => list.iter().for_each(|(endpoint, answer)| status(&mut page, endpoint, answer)),
        Answer::HashKv(list) => list.iter().for_each(|(endpoint, answer)| hash_kv(&mut page, endpoint, answer)),
        Answer::FileFigures(figures) => {
            page.field("Hash", figures.hash);
            page.field("Revision", figures.revision);
            page.field("Keys", figures.total_keys);
            page.field("Size", figures.total_size);
            page.field("Version", &figures.version);
        }
        Answer::FileHash(hash) => {
            page.field("Hash", hash.hash);
            page.field("Hash revision", hash.hash_revision);
            page.field("Compact revision", hash.compact_revision);
        }
        Answer::Added { .. }
        | Answer::Removed(..)
        | Answer::Updated(..)
        | Answer::Promoted(..)
        | Answer::MoveLeader { .. }
        | Answer::Downgrade(..) => return None,
    }
    Some(page.out)
}

fn lease(page: &mut Page, answer: &Answer<'_>) {
    match answer {
        Answer::Grant(answer) => {
            page.header(&answer.header);
            page.lease("ID", answer.id);
            page.field("TTL", answer.ttl);
        }
        Answer::Revoke(_, answer) => page.header(&answer.header),
        Answer::KeepAlive(answer) => {
            page.header(&answer.header);
            page.lease("ID", answer.id);
            page.field("TTL", answer.ttl);
        }
        Answer::TimeToLive { answer, .. } => {
            page.header(&answer.header);
            page.lease("ID", answer.id);
            page.field("TTL", answer.ttl);
            page.field("GrantedTTL", answer.granted_ttl);
            answer.keys.iter().for_each(|key| page.field("Key", quote_bytes(key)));
        }
        Answer::Leases(answer) => {
            page.header(&answer.header);
            answer.leases.iter().for_each(|lease| page.lease("ID", lease.id));
        }
        _ => {}
    }
}

fn get(page: &mut Page, answer: &RangeResponse) {
    page.header(&answer.header);
    answer.kvs.iter().for_each(|pair| page.pair("", pair));
    page.field("More", answer.more);
    page.field("Count", answer.count);
}

fn put(page: &mut Page, answer: &PutResponse) {
    page.header(&answer.header);
    answer.prev_kv.iter().for_each(|pair| page.pair("Prev", pair));
}

fn delete(page: &mut Page, answer: &DeleteRangeResponse) {
    page.header(&answer.header);
    page.field("Deleted", answer.deleted);
    answer.prev_kvs.iter().for_each(|pair| page.pair("Prev", pair));
}

fn txn(page: &mut Page, answer: &TxnResponse) {
    page.header(&answer.header);
    page.field("Succeeded", answer.succeeded);
    for answer in &answer.responses {
        match &answer.response {
            Some(Response::ResponseRange(answer)) => get(page, answer),
            Some(Response::ResponsePut(answer)) => put(page, answer),
            Some(Response::ResponseDeleteRange(answer)) => delete(page, answer),
            Some(Response::ResponseTxn(answer)) => txn(page, answer),
            None => page.field("Unknown", "unexpected response"),
        }
    }
}

fn watch(page: &mut Page, answer: &WatchResponse) {
    page.header(&answer.header);
    for event in &answer.events {
        page.field("Type", event_name(event.event_type));
        event.prev_kv.iter().for_each(|pair| page.pair("Prev", pair));
        event.kv.iter().for_each(|pair| page.pair("", pair));
    }
}

fn member(page: &mut Page, member: &Member) {
    page.id("ID", member.id);
    page.text("Name", &member.name);
    member.peer_urls.iter().for_each(|url| page.text("PeerURL", url));
    member.client_urls.iter().for_each(|url| page.text("ClientURL", url));
    page.field("IsLearner", member.is_learner);
    page.end_of_element();
}

fn health(page: &mut Page, health: &Health) {
    page.text("Endpoint", &health.endpoint);
    page.field("Health", health.error.is_none());
    page.field("Took", took_text(health.took));
    page.field("Error", health.error.as_deref().unwrap_or_default());
    page.end_of_element();
}

fn status(page: &mut Page, endpoint: &str, status: &StatusResponse) {
    let downgrade = status.downgrade_info.clone().unwrap_or_default();
    page.header(&status.header);
    page.text("Version", &status.version);
    page.text("StorageVersion", &status.storage_version);
    page.field("DBSize", status.db_size);
    page.field("DBSizeInUse", status.db_size_in_use);
    page.field("DBSizeQuota", status.db_size_quota);
    page.field("Leader", status.leader);
    page.field("IsLearner", status.is_learner);
    page.field("RaftIndex", status.raft_index);
    page.field("RaftTerm", status.raft_term);
    page.field("RaftAppliedIndex", status.raft_applied_index);
    page.field("Errors", format!("[{}]", status.errors.join(" ")));
    page.text("Endpoint", endpoint);
    page.text("DowngradeTargetVersion", &downgrade.target_version);
    page.field("DowngradeEnabled", downgrade.enabled);
    page.end_of_element();
}

fn hash_kv(page: &mut Page, endpoint: &str, answer: &HashKvResponse) {
    page.header(&answer.header);
    page.text("Endpoint", endpoint);
    page.field("Hash", answer.hash);
    page.field("HashRevision", answer.hash_revision);
    page.end_of_element();
}
