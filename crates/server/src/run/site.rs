//! What the HTTP side is told of the member.

use super::front::Front;
use crate::http::{Alarm, Read, Status, Versions};
use crate::metrics::{MemberAlarm, Metrics, Op, Scrape};
use node::Role;
use proto::errors::ClientError;
use proto::etcdserverpb::AlarmType;
use state::Version;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

/// The member behind the HTTP side of one front-door thread.
pub struct Site {
    pub front: Front,
    pub metrics: Arc<Metrics>,
}

impl Status for Site {
    fn has_leader(&self) -> bool {
        self.front.shared.status.get().leader != 0
    }

    fn alarms(&self) -> Vec<Alarm> {
        let kind = |alarm: &proto::etcdserverpb::AlarmMember| match alarm.alarm() {
            AlarmType::Nospace => Alarm::NoSpace,
            AlarmType::Corrupt => Alarm::Corrupt,
            AlarmType::None => Alarm::Unknown,
        };
        self.front.view().alarms().all().iter().map(kind).collect()
    }

    fn is_learner(&self) -> bool {
        self.front.view().members().is_learner(self.front.shared.member_id)
    }

    fn probe(&self, read: Read) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + '_>> {
        Box::pin(async move {
            if read == Read::Linearizable {
                self.front.read_index().await.map_err(|error: ClientError| error.text().to_owned())?;
            }
            let (began, metrics) = (Instant::now(), &self.metrics);
            let read = self.front.view().kv().get_kv(b"a", 0);
            metrics.ranges.observe(Op::Range, read.is_ok(), began.elapsed());
            metrics.ranges_run.inc();
            read.map(|_| ()).map_err(|error| error.to_string())
        })
    }

    fn versions(&self) -> Versions {
        let versions = self.front.view().versions();
        Versions {
            server: self.front.shared.version.to_string(),
            cluster: versions.cluster.map(|version| version.to_string()),
            storage: versions.storage.map(|version| version.to_string()),
            shows_storage: self.front.shared.version >= Version::V3_6,
        }
    }

    fn metrics_page(&self) -> String {
        self.metrics.render(&self.scrape())
    }
}

impl Site {
    fn scrape(&self) -> Scrape {
        let shared = &self.front.shared;
        let (node, view) = (shared.status.get(), self.front.view());
        let alarm = |alarm: &proto::etcdserverpb::AlarmMember| {
            let kind = match alarm.alarm() {
                AlarmType::Nospace => "NOSPACE",
                AlarmType::Corrupt => "CORRUPT",
                AlarmType::None => return None,
            };
            Some(MemberAlarm { member: alarm.member_id, kind })
        };
        let watching = shared.hubs.stats();
        Scrape {
            has_leader: Some(i64::from(node.leader != 0)),
            is_leader: Some(i64::from(node.role == Role::Leader)),
            is_learner: Some(i64::from(view.members().is_learner(shared.member_id))),
            installing_snapshots: Some(i64::from(shared.figures.is_installing())),
            proposals_committed: Some(node.committed as i64),
            proposals_applied: Some(view.applied_entry().index as i64),
            proposals_pending: Some(node.proposals_pending as i64),
            quota_backend_bytes: Some(shared.quota_bytes),
            db_total_bytes: Some(view.kv().size() as i64),
            db_in_use_bytes: Some(view.kv().size_in_use() as i64),
            open_read_transactions: Some(view.kv().open_readers() as i64),
            keys: Some(shared.figures.live_keys()),
            current_revision: Some(view.kv().revision()),
            compact_revision: Some(view.kv().compact_revision()),
            compaction_last: Some(shared.figures.compaction_last()),
            defrag_inflight: Some(i64::from(shared.figures.is_defragmenting())),
            oldest_view_secs: Some(shared.figures.pins.oldest().as_secs() as i64),
            pending_events: Some(watching.pending_events as i64),
            watch_streams: Some(watching.streams as i64),
            watchers: Some(watching.watchers as i64),
            slow_watchers: Some(watching.slow_watchers as i64),
            auth_revision: Some(view.auth().revision() as i64),
            server_version: shared.version.to_string(),
            server_id: Some(shared.member_id),
            cluster_version: view.versions().cluster.map(|version| format!("{}.{}", version.major, version.minor)),
            members: view.members().iter().map(|member| member.id).collect(),
            alarms: view.alarms().all().iter().filter_map(alarm).collect(),
            gates: Some(shared.gates.clone()),
        }
    }
}
