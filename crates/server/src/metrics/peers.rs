//! What the peer protocol moves: series by peer, made when the peer is first heard of (facts: observability, 1.2); and why
//! learners were not promoted.

use super::Page;
use super::buckets::{Buckets, E2, E7};
use super::text::{self, Kind, label};
use ::peer::{Observer, Sender};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Senders without a place in the membership that have series of their own; the others are counted under one name, since
/// anybody can be one.
const STRANGERS_MAX: usize = 64;
const OTHER_STRANGERS: &str = "other";
const UNKNOWN_SNAPSHOT_SENDER: &str = "UNKNOWN_SNAPSHOT_SENDER";

/// The series. Moved on the thread of the peer protocol, read by whoever asks for the page.
#[derive(Debug, Default)]
pub struct Peers(Arc<Mutex<Series>>);

#[derive(Debug, Default)]
struct Series {
    /// This member.
    local: String,
    /// Counters and gauges by family and label value.
    plain: BTreeMap<(Family, String), i64>,
    durations: BTreeMap<(Timed, String), Durations>,
    strangers: usize,
}

macro_rules! families {
    ($name:ident { $($variant:ident = $text:literal, $kind:expr, $labels:literal, $help:literal;)* }) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        enum $name { $($variant,)* }

        impl $name {
            const ALL: &[($name, &'static str, Kind, &'static str, &'static str)] =
                &[$(($name::$variant, $text, $kind, $labels, $help),)*];
        }
    };
}

families! { Family {
    ActivePeers = "etcd_network_active_peers", Kind::Gauge, "Remote", "Connected peers.";
    Disconnected = "etcd_network_disconnected_peers_total", Kind::Counter, "Remote", "Connections to peers lost.";
    SentBytes = "etcd_network_peer_sent_bytes_total", Kind::Counter, "To", "Bytes of raft messages sent.";
    ReceivedBytes = "etcd_network_peer_received_bytes_total", Kind::Counter, "From", "Bytes of raft messages received.";
    SentFailures = "etcd_network_peer_sent_failures_total", Kind::Counter, "To", "Raft messages that were not sent.";
    ReceivedFailures = "etcd_network_peer_received_failures_total", Kind::Counter, "From", "Incoming raft messages that broke.";
    SnapshotSent = "etcd_network_snapshot_send_success", Kind::Counter, "To", "Snapshots sent.";
    SnapshotSending = "etcd_network_snapshot_send_inflights_total", Kind::Gauge, "To", "Snapshots being sent.";
    SnapshotSendFailed = "etcd_network_snapshot_send_failures", Kind::Counter, "To", "Snapshots that were not sent.";
    SnapshotReceived = "etcd_network_snapshot_receive_success", Kind::Counter, "From", "Snapshots received.";
    SnapshotReceiving = "etcd_network_snapshot_receive_inflights_total", Kind::Gauge, "From", "Snapshots being received.";
    PromotionFailed = "etcd_server_learner_promote_failures", Kind::Counter, "Reason", "Promotions that this leader refused.";
    SnapshotReceiveFailed = "etcd_network_snapshot_receive_failures", Kind::Counter, "From", "Snapshots that were not received.";
} }

families! { Timed {
    RoundTrip = "etcd_network_peer_round_trip_time_seconds", Kind::Histogram, "To", "Round trips to peers.";
    SnapshotSend = "etcd_network_snapshot_send_total_duration_seconds", Kind::Histogram, "To", "Sending a snapshot.";
    SnapshotReceive = "etcd_network_snapshot_receive_total_duration_seconds", Kind::Histogram, "From", "Receiving a snapshot.";
} }

impl Timed {
    fn buckets(self) -> &'static Buckets {
        match self {
            Timed::RoundTrip => &E7,
            Timed::SnapshotSend | Timed::SnapshotReceive => &E2,
        }
    }
}

/// A histogram that one thread moves under the lock of all.
#[derive(Clone, Debug)]
struct Durations {
    /// One more than there are bounds.
    counts: Vec<u64>,
    sum: f64,
}

impl Peers {
    /// Counts for this member.
    pub fn observer(&self, member: u64) -> Counting {
        lock(&self.0).local = hex(member);
        Counting(self.0.clone())
    }

    /// This member, as the leader, has not carried out a promotion.
    pub fn promotion_failed(&self, reason: &str) {
        lock(&self.0).add(Family::PromotionFailed, reason.to_owned(), 1);
    }

    pub(super) fn render(&self, page: &mut Page) {
        let series = lock(&self.0);
        let local = format!("{},", label("Local", &series.local));
        for (family, name, kind, by, help) in Family::ALL {
            let both = if *by == "Remote" { local.as_str() } else { "" };
            page.family(name, help, *kind, |out| {
                for ((_, value), n) in
                    series.plain.range((*family, String::new())..).take_while(|((f, _), _)| f == family)
                {
                    text::sample(out, name, &format!("{both}{}", label(by, value)), *n as f64);
                }
            });
        }
        for (timed, name, kind, by, help) in Timed::ALL {
            page.family(name, help, *kind, |out| {
                for ((_, value), durations) in
                    series.durations.range((*timed, String::new())..).take_while(|((t, _), _)| t == timed)
                {
                    let labels = label(by, value);
                    text::buckets(out, name, &labels, timed.buckets(), &durations.counts, durations.sum);
                }
            });
        }
    }
}

/// Counts what the peer protocol does.
#[derive(Clone, Debug)]
pub struct Counting(Arc<Mutex<Series>>);

fn lock(series: &Mutex<Series>) -> MutexGuard<'_, Series> {
    series.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Series {
    fn add(&mut self, family: Family, of: String, n: i64) {
        *self.plain.entry((family, of)).or_default() += n;
    }

    /// The name under which a sender is counted.
    fn name_of(&mut self, sender: Sender<'_>) -> String {
        match sender {
            Sender::Member(id) => format!("{id:x}"),
            Sender::UnknownSnapshot => UNKNOWN_SNAPSHOT_SENDER.to_owned(),
            Sender::Address(address) => {
                let key = (Family::ReceivedFailures, address.to_owned());
                if self.plain.contains_key(&key) {
                    return key.1;
                }
                if self.strangers >= STRANGERS_MAX {
                    return OTHER_STRANGERS.to_owned();
                }
                self.strangers += 1;
                key.1
            }
        }
    }

    fn observe(&mut self, timed: Timed, of: String, took: Duration) {
        let bounds = timed.buckets().bounds;
        let durations = self.durations.entry((timed, of));
        let durations = durations.or_insert_with(|| Durations { counts: vec![0; bounds.len() + 1], sum: 0.0 });
        let secs = took.as_secs_f64();
        let place = bounds.iter().position(|bound| secs <= *bound).unwrap_or(bounds.len());
        durations.counts[place] += 1;
        durations.sum += secs;
    }
}

fn hex(id: u64) -> String {
    format!("{id:x}")
}

fn to_i64(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

impl Observer for Counting {
    fn sent_bytes(&self, to: u64, bytes: u64) {
        lock(&self.0).add(Family::SentBytes, hex(to), to_i64(bytes));
    }

    fn received_bytes(&self, from: u64, bytes: u64) {
        lock(&self.0).add(Family::ReceivedBytes, hex(from), to_i64(bytes));
    }

    fn sent_failures(&self, to: u64, messages: u64) {
        lock(&self.0).add(Family::SentFailures, hex(to), to_i64(messages));
    }

    fn received_failure(&self, from: Sender<'_>) {
        let mut series = lock(&self.0);
        let name = series.name_of(from);
        series.add(Family::ReceivedFailures, name, 1);
    }

    fn round_trip(&self, to: u64, smoothed: Duration) {
        lock(&self.0).observe(Timed::RoundTrip, hex(to), smoothed);
    }

    fn activity(&self, remote: u64, active: bool) {
        let mut series = lock(&self.0);
        series.add(Family::ActivePeers, hex(remote), if active { 1 } else { -1 });
        if !active {
            series.add(Family::Disconnected, hex(remote), 1);
        }
    }

    fn snapshot_send_began(&self, to: u64) {
        lock(&self.0).add(Family::SnapshotSending, hex(to), 1);
    }

    fn snapshot_send_ended(&self, to: u64, outcome: Result<Duration, ()>) {
        let mut series = lock(&self.0);
        series.add(Family::SnapshotSending, hex(to), -1);
        match outcome {
            Ok(took) => {
                series.add(Family::SnapshotSent, hex(to), 1);
                series.observe(Timed::SnapshotSend, hex(to), took);
            }
            Err(()) => series.add(Family::SnapshotSendFailed, hex(to), 1),
        }
    }

    fn snapshot_receive_began(&self, from: u64) {
        lock(&self.0).add(Family::SnapshotReceiving, hex(from), 1);
    }

    fn snapshot_receive_ended(&self, from: u64, outcome: Result<Duration, ()>) {
        let mut series = lock(&self.0);
        series.add(Family::SnapshotReceiving, hex(from), -1);
        match outcome {
            Ok(took) => {
                series.add(Family::SnapshotReceived, hex(from), 1);
                series.observe(Timed::SnapshotReceive, hex(from), took);
            }
            Err(()) => series.add(Family::SnapshotReceiveFailed, hex(from), 1),
        }
    }

    fn snapshot_receive_refused(&self, from: Sender<'_>) {
        let mut series = lock(&self.0);
        let name = series.name_of(from);
        series.add(Family::SnapshotReceiveFailed, name, 1);
    }
}
