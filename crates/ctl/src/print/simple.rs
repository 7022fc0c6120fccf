//! `-w simple`: what people read.

use proto::etcdserverpb::response_op::Response;
use proto::etcdserverpb::{
    AlarmResponse, DeleteRangeResponse, LeaseTimeToLiveResponse, PutResponse, RangeResponse, TxnResponse, WatchResponse,
};
use proto::mvccpb::KeyValue;

use super::{Answer, Health, alarm_name, event_name, lease_text, members, offline, table, took_text};

/// Bytes that need not be text, line by line.
#[derive(Default)]
struct Page {
    out: Vec<u8>,
    hex: bool,
}

impl Page {
    fn line(&mut self, text: impl AsRef<[u8]>) {
        self.out.extend_from_slice(text.as_ref());
        self.out.push(b'\n');
    }

    /// A key or value.
    fn bytes(&mut self, bytes: &[u8]) {
        if self.hex {
            let text: String = bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect();
            self.line(text);
        } else {
            self.line(bytes);
        }
    }

    fn pair(&mut self, pair: &KeyValue) {
        self.bytes(&pair.key);
        self.bytes(&pair.value);
    }
}

/// Every answer has this form.
pub fn render(answer: &Answer<'_>, hex: bool, values_only: bool) -> Vec<u8> {
    let mut page = Page { hex, ..Page::default() };
    match answer {
        Answer::Get(answer) => get(&mut page, answer, values_only),
        Answer::Put(answer) => put(&mut page, answer),
        Answer::Delete(answer) => delete(&mut page, answer),
        Answer::Txn(answer) => txn(&mut page, answer),
        Answer::Watch(answer) => watch(&mut page, answer),
        Answer::Grant(answer) if !answer.error.is_empty() => page.line(&answer.error),
        Answer::Grant(answer) => {
            page.line(format!("lease {} granted with TTL({}s)", lease_text(answer.id), answer.ttl));
        }
        Answer::Revoke(id, _) => page.line(format!("lease {} revoked", lease_text(*id))),
        Answer::KeepAlive(answer) => {
            page.line(format!("lease {} keepalived with TTL({})", lease_text(answer.id), answer.ttl));
        }
        Answer::TimeToLive { answer, keys } => time_to_live(&mut page, answer, *keys),
        Answer::Leases(answer) => {
            page.line(format!("found {} leases", answer.leases.len()));
            answer.leases.iter().for_each(|lease| page.line(lease_text(lease.id)));
        }
        Answer::Alarms(answer) => alarms(&mut page, answer),
        Answer::Health(healths) => healths.iter().for_each(|health| page.line(health_line(health))),
        Answer::Members(_) | Answer::Status(_) | Answer::HashKv(_) => {
            let rows = table::rows(answer).map(|(_, rows)| rows).unwrap_or_default();
            rows.iter().for_each(|row| page.line(row.join(", ")));
        }
        Answer::Added { .. } | Answer::Removed(..) | Answer::Updated(..) | Answer::Promoted(..) => {
            members::lines(answer).iter().for_each(|line| page.line(line));
        }
        Answer::Downgrade(action, answer) => {
            page.line(format!("Downgrade {action} success, cluster version {}", answer.version));
        }
        Answer::MoveLeader { from, to } => page.line(format!("Leadership transferred from {from:x} to {to:x}")),
        Answer::FileFigures(figures) => page.line(offline::figures_row(figures).join(", ")),
        Answer::FileHash(hash) => page.line(offline::hash_row(hash).join(", ")),
    }
    page.out
}

/// One endpoint's health, for stdout or, when it is bad, for stderr.
pub fn health_line(health: &Health) -> String {
    let took = took_text(health.took);
    match &health.error {
        None => format!("{} is healthy: successfully committed proposal: took = {took}", health.endpoint),
        Some(error) => format!("{} is unhealthy: failed to commit proposal: {error}", health.endpoint),
    }
}

fn get(page: &mut Page, answer: &RangeResponse, values_only: bool) {
    for pair in &answer.kvs {
        if values_only {
            page.bytes(&pair.value);
        } else {
            page.pair(pair);
        }
    }
}

fn put(page: &mut Page, answer: &PutResponse) {
    page.line("OK");
    answer.prev_kv.iter().for_each(|pair| page.pair(pair));
}

fn delete(page: &mut Page, answer: &DeleteRangeResponse) {
    page.line(answer.deleted.to_string());
    answer.prev_kvs.iter().for_each(|pair| page.pair(pair));
}

fn txn(page: &mut Page, answer: &TxnResponse) {
    page.line(if answer.succeeded { "SUCCESS" } else { "FAILURE" });
    for answer in &answer.responses {
        page.line("");
        match &answer.response {
            Some(Response::ResponseRange(answer)) => get(page, answer, false),
            Some(Response::ResponsePut(answer)) => put(page, answer),
            Some(Response::ResponseDeleteRange(answer)) => delete(page, answer),
            Some(Response::ResponseTxn(answer)) => txn(page, answer),
            None => page.line("unexpected response"),
        }
    }
}

fn watch(page: &mut Page, answer: &WatchResponse) {
    for event in &answer.events {
        page.line(event_name(event.event_type));
        event.prev_kv.iter().for_each(|pair| page.pair(pair));
        event.kv.iter().for_each(|pair| page.pair(pair));
    }
}

fn time_to_live(page: &mut Page, answer: &LeaseTimeToLiveResponse, keys: bool) {
    let lease = lease_text(answer.id);
    if answer.granted_ttl == 0 && answer.ttl == -1 {
        return page.line(format!("lease {lease} already expired"));
    }
    let mut line =
        format!("lease {lease} granted with TTL({}s), remaining({}s)", answer.granted_ttl, answer.ttl).into_bytes();
    if keys {
        line.extend_from_slice(b", attached keys([");
        line.extend_from_slice(&answer.keys.join(&b" "[..]));
        line.extend_from_slice(b"])");
    }
    page.line(line);
}

fn alarms(page: &mut Page, answer: &AlarmResponse) {
    for alarm in &answer.alarms {
        page.line(format!("memberID:{} alarm:{}", alarm.member_id, alarm_name(alarm.alarm)));
    }
}
