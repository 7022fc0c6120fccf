//! Counters and histograms without labels: one row each, with its name and help.

use std::sync::Arc;

use super::Page;
use super::buckets::{E1, E2, E3, E4, E5, E8, E10, E11};
use super::cells::{Counter, Histogram, Slab};
use super::text::{self, Kind};

/// Makes the structure, its constructor and its rendering from one list.
macro_rules! handles {
    (
        counters { $($(#[$counter_doc:meta])* $counter:ident = $counter_name:literal, $counter_help:literal;)* }
        sums { $($(#[$sum_doc:meta])* $sum:ident = $sum_name:literal, $sum_help:literal;)* }
        histograms { $($(#[$histogram_doc:meta])* $histogram:ident = $histogram_name:literal, $buckets:ident, $histogram_help:literal;)* }
    ) => {
        /// What the server moves while it works.
        #[derive(Debug)]
        pub struct Handles {
            $(#[doc = concat!("`", $counter_name, "`: ", $counter_help)] $(#[$counter_doc])* pub $counter: Counter,)*
            $(#[doc = concat!("`", $sum_name, "`, a gauge by type: ", $sum_help)] $(#[$sum_doc])* pub $sum: Counter,)*
            $(#[doc = concat!("`", $histogram_name, "`: ", $histogram_help)] $(#[$histogram_doc])* pub $histogram: Histogram,)*
        }

        impl Handles {
            pub(super) fn new(slab: &Arc<Slab>) -> Handles {
                Handles {
                    $($counter: Counter::new(slab),)*
                    $($sum: Counter::new(slab),)*
                    $($histogram: Histogram::new(slab, &$buckets),)*
                }
            }

            pub(super) fn render(&self, page: &mut Page) {
                $(page.family($counter_name, $counter_help, Kind::Counter, |out| {
                    text::sample(out, $counter_name, "", self.$counter.value() as f64);
                });)*
                $(page.family($sum_name, $sum_help, Kind::Gauge, |out| {
                    text::sample(out, $sum_name, "", self.$sum.value() as f64);
                });)*
                $(page.family($histogram_name, $histogram_help, Kind::Histogram, |out| {
                    text::histogram(out, $histogram_name, "", &self.$histogram);
                });)*
            }

            /// The names of the fields, for the test that looks for their use.
            #[cfg(test)]
            pub(super) const FIELDS: &[&str] = &[$(stringify!($counter),)* $(stringify!($sum),)* $(stringify!($histogram),)*];
        }
    };
}

handles! {
    counters {
        // Server and consensus.
        leader_changes_seen = "etcd_server_leader_changes_seen_total", "Changes of the known leader to another member.";
        heartbeat_send_failures = "etcd_server_heartbeat_send_failures_total", "Heartbeats that the leader sent late.";
        learner_promotions = "etcd_server_learner_promote_successes", "Promotions that this leader carried out.";
        proposals_failed = "etcd_server_proposals_failed_total", "Proposals that raft refused or that timed out.";
        slow_apply = "etcd_server_slow_apply_total", "Applied requests and local reads that took too long.";
        slow_read_indexes = "etcd_server_slow_read_indexes_total", "Read indexes that came too late or timed out.";
        read_indexes_failed = "etcd_server_read_indexes_failed_total", "Read indexes that were dropped.";
        health_success = "etcd_server_health_success", "Healthy answers of /health.";
        health_failures = "etcd_server_health_failures", "Unhealthy answers of /health.";
        // Key space.
        puts = "etcd_mvcc_put_total", "Puts applied on this member.";
        deletes = "etcd_mvcc_delete_total", "Delete-range operations applied on this member.";
        ranges_run = "etcd_mvcc_range_total", "Range operations executed on this member.";
        txns = "etcd_mvcc_txn_total", "Transactions with more than one operation applied on this member.";
        watch_events = "etcd_debugging_mvcc_events_total", "Events delivered to watch streams.";
        compacted_keys = "etcd_debugging_mvcc_db_compaction_keys_total", "Revisions removed by compactions.";
        // Leases.
        leases_granted = "etcd_debugging_lease_granted_total", "Leases granted.";
        leases_revoked = "etcd_debugging_lease_revoked_total", "Leases revoked, expired ones included.";
        leases_renewed = "etcd_debugging_lease_renewed_total", "Lease renewals handled by this leader.";
        leases_expired = "etcd_debugging_server_lease_expired_total", "Leases that this leader found expired.";
        // Network.
        client_received_bytes = "etcd_network_client_grpc_received_bytes_total", "Bytes of gRPC messages from clients.";
        client_sent_bytes = "etcd_network_client_grpc_sent_bytes_total", "Bytes of gRPC messages to clients.";
    }
    sums {
        wal_written_bytes = "etcd_disk_wal_write_bytes_total", "Bytes written to the log since the start.";
        put_bytes = "etcd_debugging_mvcc_total_put_size_in_bytes", "Key and value bytes put since the start.";
    }
    histograms {
        wal_fsync = "etcd_disk_wal_fsync_duration_seconds", E1, "Syncs of the log.";
        wal_write = "etcd_disk_wal_write_duration_seconds", E1, "Writes to the log.";
        backend_commit = "etcd_disk_backend_commit_duration_seconds", E1, "Commits of the backend.";
        backend_defrag = "etcd_disk_backend_defrag_duration_seconds", E3, "Defragmentations of the backend.";
        backend_snapshot = "etcd_disk_backend_snapshot_duration_seconds", E4, "Life of a snapshot of the backend.";
        snap_fsync = "etcd_snap_fsync_duration_seconds", E1, "Syncs of raft snapshot files.";
        snap_db_fsync = "etcd_snap_db_fsync_duration_seconds", E1, "Syncs of received databases.";
        snap_db_save = "etcd_snap_db_save_total_duration_seconds", E2, "Saving a received database.";
        snap_save = "etcd_debugging_snap_save_total_duration_seconds", E1, "Saving a raft snapshot.";
        snap_marshal = "etcd_debugging_snap_save_marshalling_duration_seconds", E1, "Encoding a raft snapshot.";
        hash = "etcd_mvcc_hash_duration_seconds", E5, "Hashes of the whole backend.";
        hash_rev = "etcd_mvcc_hash_rev_duration_seconds", E5, "Hashes up to a revision.";
        compaction_pause = "etcd_debugging_mvcc_db_compaction_pause_duration_milliseconds", E10, "Steps of a compaction.";
        compaction_total = "etcd_debugging_mvcc_db_compaction_total_duration_milliseconds", E11, "Whole compactions.";
        /// Observed with `observe_units`.
        lease_ttls = "etcd_debugging_lease_ttl_total", E8, "Lifetimes of granted leases, in seconds.";
        watch_send = "etcd_debugging_server_watch_send_loop_watch_stream_duration_seconds", E1, "Sending a watch response.";
        watch_send_per_event = "etcd_debugging_server_watch_send_loop_watch_stream_duration_per_event_seconds", E1,
            "Sending a watch response, for each of its events.";
        watch_control = "etcd_debugging_server_watch_send_loop_control_stream_duration_seconds", E1,
            "Sending a created or canceled response.";
        watch_progress = "etcd_debugging_server_watch_send_loop_progress_duration_seconds", E1,
            "Rounds of progress notifications.";
    }
}
