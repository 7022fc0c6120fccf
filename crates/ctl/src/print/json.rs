//! `-w json`: Go's rendering of the messages. Fields of messages that are zero are left out; the answers about leases and
//! watches are structures of the client library instead, whose fields are not.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proto::etcdserverpb::response_op::Response;
use proto::etcdserverpb::{
    AlarmMember, DeleteRangeResponse, HashKvResponse, LeaseTimeToLiveResponse, Member, PutResponse, RangeResponse,
    ResponseHeader, StatusResponse, TxnResponse, WatchResponse,
};
use proto::mvccpb::{Event, KeyValue};

use super::{Answer, FileFigures, FileHash, Health, took_text};

/// An object under construction.
struct Object {
    out: String,
}

impl Object {
    fn new() -> Object {
        Object { out: String::from("{") }
    }

    fn raw(mut self, name: &str, json: &str) -> Self {
        if self.out.len() > 1 {
            self.out.push(',');
        }
        self.out.push_str(&string(name));
        self.out.push(':');
        self.out.push_str(json);
        self
    }

    /// A number that is always there.
    fn number(self, name: &str, value: impl ToString) -> Self {
        self.raw(name, &value.to_string())
    }

    /// A number that is left out when it is zero.
    fn some<N: ToString + Default + PartialEq>(self, name: &str, value: N) -> Self {
        if value == N::default() { self } else { self.number(name, value) }
    }

    fn flag(self, name: &str, value: bool) -> Self {
        if value { self.raw(name, "true") } else { self }
    }

    fn text(self, name: &str, text: &str) -> Self {
        if text.is_empty() { self } else { self.raw(name, &string(text)) }
    }

    fn bytes(self, name: &str, bytes: &[u8]) -> Self {
        if bytes.is_empty() { self } else { self.raw(name, &base64(bytes)) }
    }

    /// A list that is left out when it is empty.
    fn list(self, name: &str, items: Vec<String>) -> Self {
        if items.is_empty() { self } else { self.raw(name, &array(items)) }
    }

    /// An identifier of a member or cluster; a string of hexadecimal digits if asked for.
    fn id(self, name: &str, id: u64, hex: bool) -> Self {
        match (id, hex) {
            (0, _) => self,
            (id, true) => self.raw(name, &string(&format!("{id:x}"))),
            (id, false) => self.number(name, id),
        }
    }

    fn header_fields(self, header: &Option<ResponseHeader>, hex: bool) -> Self {
        let header = header.unwrap_or_default();
        self.id("cluster_id", header.cluster_id, hex)
            .id("member_id", header.member_id, hex)
            .some("revision", header.revision)
            .some("raft_term", header.raft_term)
    }

    fn header(self, header: &Option<ResponseHeader>) -> Self {
        self.headed("header", header, false)
    }

    fn headed(self, name: &str, header: &Option<ResponseHeader>, hex: bool) -> Self {
        match header {
            Some(_) => self.raw(name, &Object::new().header_fields(header, hex).end()),
            None => self,
        }
    }

    fn end(mut self) -> String {
        self.out.push('}');
        self.out
    }
}

fn array(items: Vec<String>) -> String {
    format!("[{}]", items.join(","))
}

fn base64(bytes: &[u8]) -> String {
    format!("\"{}\"", STANDARD.encode(bytes))
}

/// Text in quotes, escaped as Go does for HTML's sake.
fn string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\x1f' => {
                // Writing to a String cannot fail.
                let _always = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Every answer has this form: one line.
pub fn render(answer: &Answer<'_>, hex: bool) -> String {
    let mut line = match answer {
        Answer::Get(answer) => get(answer),
        Answer::Put(answer) => put(answer),
        Answer::Delete(answer) => delete(answer),
        Answer::Txn(answer) => txn(answer),
        Answer::Watch(answer) => watch(answer),
        Answer::Grant(_)
        | Answer::Revoke(..)
        | Answer::KeepAlive(_)
        | Answer::TimeToLive { .. }
        | Answer::Leases(_) => lease(answer),
        Answer::Alarms(answer) => {
            Object::new().header(&answer.header).list("alarms", answer.alarms.iter().map(alarm).collect()).end()
        }
        Answer::Members(answer) => self::members(&answer.header, None, &answer.members, hex),
        Answer::Added { answer, .. } => self::members(&answer.header, answer.member.as_ref(), &answer.members, hex),
        Answer::Removed(_, answer) => self::members(&answer.header, None, &answer.members, hex),
        Answer::Updated(_, answer) => self::members(&answer.header, None, &answer.members, hex),
        Answer::Promoted(_, answer) => self::members(&answer.header, None, &answer.members, hex),
        Answer::Downgrade(_, answer) => Object::new().header(&answer.header).text("version", &answer.version).end(),
        Answer::Health(healths) => array(healths.iter().map(health).collect()),
        Answer::Status(list) => array(list.iter().map(|(endpoint, answer)| status(endpoint, answer)).collect()),
        Answer::HashKv(list) => array(list.iter().map(|(endpoint, answer)| hash_kv(endpoint, answer)).collect()),
        Answer::MoveLeader { .. } => "{}".to_owned(),
        Answer::FileFigures(figures) => file_figures(figures),
        Answer::FileHash(hash) => file_hash(hash),
    };
    line.push('\n');
    line
}

fn lease(answer: &Answer<'_>) -> String {
    match answer {
        Answer::Grant(answer) => Object::new()
            .header_fields(&answer.header, false)
            .number("ID", answer.id)
            .number("TTL", answer.ttl)
            .raw("Error", &string(&answer.error))
            .end(),
        Answer::Revoke(_, answer) => Object::new().header(&answer.header).end(),
        Answer::KeepAlive(answer) => {
            Object::new().header_fields(&answer.header, false).number("ID", answer.id).number("TTL", answer.ttl).end()
        }
        Answer::TimeToLive { answer, .. } => time_to_live(answer),
        Answer::Leases(answer) => {
            let leases = answer.leases.iter().map(|lease| Object::new().number("id", lease.id).end()).collect();
            Object::new().header_fields(&answer.header, false).raw("leases", &array(leases)).end()
        }
        _ => String::new(),
    }
}

fn pair(pair: &KeyValue) -> String {
    Object::new()
        .bytes("key", &pair.key)
        .some("create_revision", pair.create_revision)
        .some("mod_revision", pair.mod_revision)
        .some("version", pair.version)
        .bytes("value", &pair.value)
        .some("lease", pair.lease)
        .end()
}

fn pairs(list: &[KeyValue]) -> Vec<String> {
    list.iter().map(pair).collect()
}

fn get(answer: &RangeResponse) -> String {
    Object::new()
        .header(&answer.header)
        .list("kvs", pairs(&answer.kvs))
        .flag("more", answer.more)
        .some("count", answer.count)
        .end()
}

fn put(answer: &PutResponse) -> String {
    let object = Object::new().header(&answer.header);
    match &answer.prev_kv {
        Some(previous) => object.raw("prev_kv", &pair(previous)).end(),
        None => object.end(),
    }
}

fn delete(answer: &DeleteRangeResponse) -> String {
    Object::new().header(&answer.header).some("deleted", answer.deleted).list("prev_kvs", pairs(&answer.prev_kvs)).end()
}

fn txn(answer: &TxnResponse) -> String {
    let responses = answer.responses.iter().map(|answer| {
        let (name, json) = match &answer.response {
            Some(Response::ResponseRange(answer)) => ("response_range", get(answer)),
            Some(Response::ResponsePut(answer)) => ("response_put", put(answer)),
            Some(Response::ResponseDeleteRange(answer)) => ("response_delete_range", delete(answer)),
            Some(Response::ResponseTxn(answer)) => ("response_txn", txn(answer)),
            None => return Object::new().raw("Response", "null").end(),
        };
        Object::new().raw("Response", &Object::new().raw(name, &json).end()).end()
    });
    Object::new()
        .header(&answer.header)
        .flag("succeeded", answer.succeeded)
        .list("responses", responses.collect())
        .end()
}

fn event(event: &Event) -> String {
    let object = Object::new().some("type", event.event_type);
    let object = event.kv.iter().fold(object, |object, kv| object.raw("kv", &pair(kv)));
    event.prev_kv.iter().fold(object, |object, kv| object.raw("prev_kv", &pair(kv))).end()
}

fn watch(answer: &WatchResponse) -> String {
    let events =
        if answer.events.is_empty() { "null".to_owned() } else { array(answer.events.iter().map(event).collect()) };
    Object::new()
        .raw("Header", &Object::new().header_fields(&answer.header, false).end())
        .raw("Events", &events)
        .number("CompactRevision", answer.compact_revision)
        .number("Canceled", answer.canceled)
        .number("Created", answer.created)
        .raw("CancelReason", &string(&answer.cancel_reason))
        .end()
}

fn time_to_live(answer: &LeaseTimeToLiveResponse) -> String {
    let keys = match answer.keys.as_slice() {
        [] => "null".to_owned(),
        keys => array(keys.iter().map(|key| base64(key)).collect()),
    };
    Object::new()
        .header_fields(&answer.header, false)
        .number("id", answer.id)
        .number("ttl", answer.ttl)
        .number("granted-ttl", answer.granted_ttl)
        .raw("keys", &keys)
        .end()
}

fn alarm(alarm: &AlarmMember) -> String {
    Object::new().some("memberID", alarm.member_id).some("alarm", alarm.alarm).end()
}

/// The answers about members are alike; one names the member it is about.
fn members(header: &Option<ResponseHeader>, about: Option<&Member>, members: &[Member], hex: bool) -> String {
    let object = Object::new().headed("header", header, hex);
    let object = about.into_iter().fold(object, |object, about| object.raw("member", &member(about, hex)));
    object.list("members", members.iter().map(|one| member(one, hex)).collect()).end()
}

fn member(member: &Member, hex: bool) -> String {
    let urls = |urls: &[String]| urls.iter().map(|url| string(url)).collect();
    Object::new()
        .id("ID", member.id, hex)
        .text("name", &member.name)
        .list("peerURLs", urls(&member.peer_urls))
        .list("clientURLs", urls(&member.client_urls))
        .flag("isLearner", member.is_learner)
        .end()
}

fn health(health: &Health) -> String {
    Object::new()
        .raw("endpoint", &string(&health.endpoint))
        .number("health", health.error.is_none())
        .raw("took", &string(&took_text(health.took)))
        .text("error", health.error.as_deref().unwrap_or_default())
        .end()
}

fn status(endpoint: &str, status: &StatusResponse) -> String {
    let errors = status.errors.iter().map(|error| string(error)).collect();
    let object = Object::new()
        .header(&status.header)
        .text("version", &status.version)
        .some("dbSize", status.db_size)
        .some("leader", status.leader)
        .some("raftIndex", status.raft_index)
        .some("raftTerm", status.raft_term)
        .some("raftAppliedIndex", status.raft_applied_index)
        .list("errors", errors)
        .some("dbSizeInUse", status.db_size_in_use)
        .flag("isLearner", status.is_learner)
        .text("storageVersion", &status.storage_version)
        .some("dbSizeQuota", status.db_size_quota);
    let object = match &status.downgrade_info {
        Some(info) => {
            let info = Object::new().flag("enabled", info.enabled).text("targetVersion", &info.target_version);
            object.raw("downgradeInfo", &info.end())
        }
        None => object,
    };
    Object::new().raw("Endpoint", &string(endpoint)).raw("Status", &object.end()).end()
}

fn hash_kv(endpoint: &str, answer: &HashKvResponse) -> String {
    let hash = Object::new()
        .header(&answer.header)
        .some("hash", answer.hash)
        .some("compact_revision", answer.compact_revision)
        .some("hash_revision", answer.hash_revision);
    Object::new().raw("Endpoint", &string(endpoint)).raw("HashKV", &hash.end()).end()
}

fn file_figures(figures: &FileFigures) -> String {
    Object::new()
        .number("hash", figures.hash)
        .number("revision", figures.revision)
        .number("totalKey", figures.total_keys)
        .number("totalSize", figures.total_size)
        .raw("version", &string(&figures.version))
        .end()
}

fn file_hash(hash: &FileHash) -> String {
    Object::new()
        .number("hash", hash.hash)
        .number("hashRevision", hash.hash_revision)
        .number("compactRevision", hash.compact_revision)
        .end()
}
