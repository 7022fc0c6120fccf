//! Gauges that are looked up when somebody asks for the page.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use super::Page;
use super::text::{self, Kind, label};
use crate::config::{Gates, Stage};

/// Makes the structure and its rendering from one list.
macro_rules! gauges {
    ($($field:ident = $name:literal, $help:literal;)*) => {
        /// What the server knows at this moment. `None` doesn't appear.
        #[derive(Clone, Debug, Default)]
        pub struct Scrape {
            $(#[doc = concat!("`", $name, "`: ", $help)] pub $field: Option<i64>,)*
            /// The release that this member reports, `3.7.1`.
            pub server_version: String,
            pub server_id: Option<u64>,
            /// `3.7`, once it is decided.
            pub cluster_version: Option<String>,
            /// Members of the cluster, this one included.
            pub members: Vec<u64>,
            pub alarms: Vec<MemberAlarm>,
            pub gates: Option<Gates>,
        }

        impl Scrape {
            fn plain(&self) -> Vec<(&'static str, &'static str, Option<i64>)> {
                vec![$(($name, $help, self.$field),)*]
            }
        }
    };
}

gauges! {
    has_leader = "etcd_server_has_leader", "Whether the member knows a leader.";
    is_leader = "etcd_server_is_leader", "Whether the member is the leader.";
    is_learner = "etcd_server_is_learner", "Whether the member is a learner.";
    installing_snapshots = "etcd_server_snapshot_apply_in_progress_total", "Whether a received snapshot is being installed.";
    proposals_committed = "etcd_server_proposals_committed_total", "Raft index committed.";
    proposals_applied = "etcd_server_proposals_applied_total", "Raft index applied.";
    proposals_pending = "etcd_server_proposals_pending", "Proposals that wait for their result.";
    quota_backend_bytes = "etcd_server_quota_backend_bytes", "Quota of the backend, negative where it is off.";
    db_total_bytes = "etcd_mvcc_db_total_size_in_bytes", "Size of the backend.";
    db_in_use_bytes = "etcd_mvcc_db_total_size_in_use_in_bytes", "Size of the backend without free pages.";
    open_read_transactions = "etcd_mvcc_db_open_read_transactions", "Open read transactions of the backend.";
    keys = "etcd_debugging_mvcc_keys_total", "Keys that exist.";
    current_revision = "etcd_debugging_mvcc_current_revision", "Revision of the store.";
    compact_revision = "etcd_debugging_mvcc_compact_revision", "Revision of the last compaction, -1 before the first.";
    compaction_last = "etcd_debugging_mvcc_db_compaction_last", "When the last compaction was, in seconds since 1970.";
    defrag_inflight = "etcd_disk_defrag_inflight", "Whether a defragmentation runs.";
    pending_events = "etcd_debugging_mvcc_pending_events_total", "Events that wait for their watch stream.";
    watch_streams = "etcd_debugging_mvcc_watch_stream_total", "Open watch streams.";
    watchers = "etcd_debugging_mvcc_watcher_total", "Watchers.";
    slow_watchers = "etcd_debugging_mvcc_slow_watcher_total", "Watchers that lag behind.";
    auth_revision = "etcd_debugging_auth_revision", "Revision of users and roles.";
    oldest_view_secs = "quorate_mvcc_oldest_view_age_seconds", "Age of the oldest open view of the store.";
}

/// An alarm that is up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MemberAlarm {
    pub member: u64,
    /// `NOSPACE` or `CORRUPT`.
    pub kind: &'static str,
}

/// Label values that have been shown: they go to 0 and don't vanish.
#[derive(Debug, Default)]
pub struct Seen {
    versions: Mutex<BTreeSet<String>>,
    alarms: Mutex<BTreeSet<MemberAlarm>>,
}

impl Scrape {
    pub(super) fn render(&self, page: &mut Page, seen: &Seen) {
        for (name, help, value) in self.plain() {
            if let Some(value) = value {
                page.family(name, help, Kind::Gauge, |out| text::sample(out, name, "", value as f64));
            }
        }
        let one = |page: &mut Page, name: &'static str, help: &str, labels: String| {
            page.family(name, help, Kind::Gauge, |out| text::sample(out, name, &labels, 1.0));
        };
        one(page, "etcd_server_version", "The server's version.", label("server_version", &self.server_version));
        let help = "No Go runtime is here; the label says so.";
        one(page, "etcd_server_go_version", help, label("server_go_version", "none"));
        if let Some(id) = self.server_id {
            one(page, "etcd_server_id", "The member's id.", label("server_id", &format!("{id:x}")));
        }
        self.render_versions(page, seen);
        self.render_alarms(page, seen);
        self.render_members(page);
        self.render_gates(page);
    }

    fn render_versions(&self, page: &mut Page, seen: &Seen) {
        let mut versions = seen.versions.lock().unwrap_or_else(PoisonError::into_inner);
        versions.extend(self.cluster_version.clone());
        let name = "etcd_cluster_version";
        page.family(name, "The version of the cluster.", Kind::Gauge, |out| {
            for version in versions.iter() {
                let current = self.cluster_version.as_ref() == Some(version);
                text::sample(out, name, &label("cluster_version", version), f64::from(u8::from(current)));
            }
        });
    }

    fn render_alarms(&self, page: &mut Page, seen: &Seen) {
        let mut alarms = seen.alarms.lock().unwrap_or_else(PoisonError::into_inner);
        alarms.extend(self.alarms.iter().cloned());
        let name = "etcd_debugging_server_alarms";
        page.family(name, "Alarms that are up.", Kind::Gauge, |out| {
            for alarm in alarms.iter() {
                let id = format!("{:x}", alarm.member);
                let labels = format!("{},{}", label("alarm_type", alarm.kind), label("server_id", &id));
                text::sample(out, name, &labels, f64::from(u8::from(self.alarms.contains(alarm))));
            }
        });
    }

    fn render_members(&self, page: &mut Page) {
        let Some(id) = self.server_id else { return };
        let mut members: Vec<String> = self.members.iter().map(|member| format!("{member:x}")).collect();
        members.sort();
        let name = "etcd_network_known_peers";
        page.family(name, "Members of the cluster.", Kind::Gauge, |out| {
            for member in &members {
                let labels = format!("{},{}", label("Local", &format!("{id:x}")), label("Remote", member));
                text::sample(out, name, &labels, 1.0);
            }
        });
    }

    fn render_gates(&self, page: &mut Page) {
        let Some(gates) = &self.gates else { return };
        let name = "etcd_server_feature_enabled";
        page.family(name, "Features and whether they are on.", Kind::Gauge, |out| {
            for (gate, stage, on) in gates.all() {
                let stage = match stage {
                    Stage::Alpha => "ALPHA",
                    Stage::Beta => "BETA",
                };
                let labels = format!("{},{}", label("name", gate), label("stage", stage));
                text::sample(out, name, &labels, f64::from(u8::from(on)));
            }
        });
    }
}
