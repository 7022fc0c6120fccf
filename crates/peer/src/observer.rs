//! What can be counted here. Names and meaning of the families are etcd's (facts: observability, 1.2); the process keeps
//! and renders them.

use std::time::Duration;

/// From whom something came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender<'a> {
    /// A member; 0 for link heartbeats.
    Member(u64),
    /// Somebody of whom only the network address is known.
    Address(&'a str),
    /// A snapshot whose message could not be read: `UNKNOWN_SNAPSHOT_SENDER`.
    UnknownSnapshot,
}

/// Counts. All methods are called on the transport's thread and do nothing unless overridden.
#[expect(unused_variables, reason = "the names are the documentation of the defaults")]
pub trait Observer: Send + Sync + 'static {
    /// `etcd_network_peer_sent_bytes_total{To}`
    fn sent_bytes(&self, to: u64, bytes: u64) {}
    /// `etcd_network_peer_received_bytes_total{From}`
    fn received_bytes(&self, from: u64, bytes: u64) {}
    /// `etcd_network_peer_sent_failures_total{To}`
    fn sent_failures(&self, to: u64, messages: u64) {}
    /// `etcd_network_peer_received_failures_total{From}`
    fn received_failure(&self, from: Sender<'_>) {}
    /// `etcd_network_peer_round_trip_time_seconds{To}`, a sample.
    fn round_trip(&self, to: u64, smoothed: Duration) {}
    /// `etcd_network_active_peers{Local,Remote}` up or down; with a loss `etcd_network_disconnected_peers_total`.
    fn activity(&self, remote: u64, active: bool) {}
    /// `etcd_network_snapshot_send_inflights_total{To}` up.
    fn snapshot_send_began(&self, to: u64) {}
    /// The same down, and success with duration or failure. `etcd_network_snapshot_send_success`, `…_failures`,
    /// `…_total_duration_seconds`.
    fn snapshot_send_ended(&self, to: u64, outcome: Result<Duration, ()>) {}
    /// `etcd_network_snapshot_receive_inflights_total{From}` up.
    fn snapshot_receive_began(&self, from: u64) {}
    /// The same down, and success with duration or failure.
    fn snapshot_receive_ended(&self, from: u64, outcome: Result<Duration, ()>) {}
    /// `etcd_network_snapshot_receive_failures{From}` for one that did not even begin.
    fn snapshot_receive_refused(&self, from: Sender<'_>) {}
}

/// Counts nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Uncounted;

impl Observer for Uncounted {}
