//! What an entry brings about, sorted by who must hear of it; answers that wait for more than their entry.

use std::time::Duration;

use state::{ApplyError, Effect, Outcome};

use super::{Applier, Output};
use crate::event::{Applied, AppliedConfChange, LeaseChange, Now, Ticket};

type Reply = (Ticket, Result<Outcome, ApplyError>);

/// What a run of entries amounts to.
#[derive(Default)]
pub(super) struct Batch {
    pub applied: Applied,
    pub replies: Vec<Reply>,
    pub members_changed: bool,
    entries: usize,
}

impl Batch {
    pub fn is_empty(&self) -> bool {
        self.entries == 0 && !self.applied.snapshot_installed
    }
}

/// Answers held back.
#[derive(Default)]
pub(super) struct Held {
    /// Over quota: until the alarm is raised, or until then.
    no_space: Vec<(Duration, Reply)>,
    /// Physical compactions: until the sweep has reached the revision …
    physical: Vec<(i64, Reply)>,
    /// … and a commit followed.
    swept: Vec<Reply>,
}

impl Held {
    /// The sweep has reached this revision.
    pub fn swept(&mut self, revision: i64) {
        let (done, rest): (Vec<_>, Vec<_>) = self.physical.drain(..).partition(|(wanted, _)| *wanted <= revision);
        self.physical = rest;
        self.swept.extend(done.into_iter().map(|(_, reply)| reply));
    }

    /// Whether somebody waits for a commit.
    pub fn wants_commit(&self) -> bool {
        !self.swept.is_empty()
    }

    /// Everything swept so far is sealed: these wait for the job only.
    pub fn take_swept(&mut self) -> Vec<Reply> {
        std::mem::take(&mut self.swept)
    }

    pub fn release_late(&mut self, now: Duration, replies: &mut Vec<Reply>) {
        let (late, rest): (Vec<_>, Vec<_>) = self.no_space.drain(..).partition(|(deadline, _)| now >= *deadline);
        self.no_space = rest;
        replies.extend(late.into_iter().map(|(_, reply)| reply));
    }

    pub fn next_late(&self) -> Option<Duration> {
        self.no_space.iter().map(|(deadline, _)| *deadline).min()
    }

    /// The state was replaced: nobody will sweep or raise anything for these any more.
    pub fn release_all(&mut self, replies: &mut Vec<Reply>) {
        replies.extend(self.no_space.drain(..).map(|(_, reply)| reply));
        replies.extend(self.physical.drain(..).map(|(_, reply)| reply));
        replies.append(&mut self.swept);
    }
}

impl Applier {
    pub(super) fn sort_effects(&mut self, entry: state::Applied, batch: &mut Batch, out: &mut Output, now: Now) {
        batch.entries += 1;
        let mut raising_no_space = false;
        let mut conf_change = None;
        let mut removed_self = false;
        for effect in entry.effects {
            match effect {
                Effect::LeaseGranted { id, ttl_secs } => {
                    batch.applied.leases.push(LeaseChange::Granted { id, ttl_secs });
                }
                Effect::LeaseRevoked { id } => batch.applied.leases.push(LeaseChange::Revoked { id }),
                Effect::LeaseCheckpointed { id, remaining_secs } => {
                    batch.applied.leases.push(LeaseChange::Checkpointed { id, remaining_secs });
                }
                Effect::ConfChange(change) => conf_change = Some(change),
                Effect::RaiseNoSpace => {
                    batch.applied.over_quota = true;
                    raising_no_space = true;
                }
                Effect::CompactionScheduled { .. } => self.sweep_at = Some(now.monotonic),
                Effect::AlarmsChanged => {
                    self.held.release_late(Duration::MAX, &mut batch.replies);
                    out.effects.push(Effect::AlarmsChanged);
                }
                Effect::MembersChanged => {
                    batch.members_changed = true;
                    out.effects.push(Effect::MembersChanged);
                }
                Effect::RemovedSelf => {
                    removed_self = true;
                    out.effects.push(Effect::RemovedSelf);
                }
                Effect::ClusterVersionChanged { from, to } => {
                    self.migrate_at = now.monotonic;
                    if from.is_some_and(|from| to < from) {
                        self.commits.want_snapshot_file();
                    }
                    out.effects.push(Effect::ClusterVersionChanged { from, to });
                }
                other => out.effects.push(other),
            }
        }
        if let Some(change) = conf_change {
            let outcome = entry.outcome.unwrap_or(Ok(Outcome::Done));
            let (index, ticket, change) = (entry.index, entry.id, Some(change));
            batch.applied.conf_changes.push(AppliedConfChange { index, ticket, change, outcome, removed_self });
            return;
        }
        let Some(outcome) = entry.outcome.filter(|_| entry.id != 0) else { return };
        let reply = (entry.id, outcome);
        if raising_no_space {
            self.held.no_space.push((now.monotonic + self.options.request_timeout, reply));
        } else if let Ok(Outcome::Compaction { revision, physical: true, .. }) = reply.1 {
            self.held.physical.push((revision, reply));
        } else {
            batch.replies.push(reply);
        }
    }
}
