//! How a configuration changes: by one voter at a time, or through a joint configuration.
//!
//! [`Changer`] computes the configuration and the members' progress after a change and leaves the present ones alone:
//! whatever doesn't fit has no effect.

mod restore;

use proto::raftpb::{ConfChangeSingle, ConfChangeTransition, ConfChangeType, ConfChangeV2};

use crate::NONE;
use crate::error::ConfChangeError;
use crate::tracker::{Configuration, Inflights, Progress, ProgressMap};

pub use restore::restore;

/// What a configuration change starts from.
#[derive(Clone, Copy, Debug)]
pub struct Changer<'a> {
    pub config: &'a Configuration,
    pub progress: &'a ProgressMap,
    /// The last index of the log: where sending to new members starts.
    pub last_index: u64,
    /// An empty window for each new member.
    pub inflights: &'a Inflights,
}

/// What a change comes to.
pub type Changed = (Configuration, ProgressMap);

impl Changer<'_> {
    /// Takes the way that the change itself asks for: out of a joint configuration, into one, or straight.
    pub fn change(&self, change: &ConfChangeV2) -> Result<Changed, ConfChangeError> {
        let transition = ConfChangeTransition::try_from(change.transition)
            .map_err(|_| ConfChangeError::UnknownTransition(change.transition))?;
        // An empty change leaves the joint configuration; how it was entered no longer matters, nor does the context.
        if transition == ConfChangeTransition::Auto && change.changes.is_empty() {
            return self.leave_joint();
        }
        match transition {
            ConfChangeTransition::Auto if change.changes.len() == 1 => self.simple(&change.changes),
            ConfChangeTransition::Auto | ConfChangeTransition::JointImplicit => self.enter_joint(true, &change.changes),
            ConfChangeTransition::JointExplicit => self.enter_joint(false, &change.changes),
        }
    }

    /// Makes the present voters the outgoing ones, and the changed ones the incoming.
    pub fn enter_joint(&self, auto_leave: bool, changes: &[ConfChangeSingle]) -> Result<Changed, ConfChangeError> {
        if self.config.voters.is_joint() {
            return Err(ConfChangeError::AlreadyJoint);
        }
        if self.config.voters.incoming.is_empty() {
            return Err(ConfChangeError::JointWithoutVoters);
        }
        let mut draft = self.draft();
        draft.config.voters.outgoing = draft.config.voters.incoming.clone();
        draft.apply(changes)?;
        draft.config.auto_leave = auto_leave;
        Ok(draft.checked())
    }

    /// Drops the outgoing voters; those of them with no other role are no members any more.
    pub fn leave_joint(&self) -> Result<Changed, ConfChangeError> {
        if !self.config.voters.is_joint() {
            return Err(ConfChangeError::NotJoint);
        }
        let mut draft = self.draft();
        let config = &mut draft.config;
        for id in std::mem::take(&mut config.learners_next) {
            config.learners.insert(id);
            if let Some(progress) = draft.progress.get_mut(&id) {
                progress.is_learner = true;
            }
        }
        config.voters.outgoing.clear();
        config.auto_leave = false;
        draft.progress.retain(|id, _| config.voters.incoming.contains(*id) || config.learners.contains(id));
        Ok(draft.checked())
    }

    /// Changes at most one voter, and any number of learners.
    pub fn simple(&self, changes: &[ConfChangeSingle]) -> Result<Changed, ConfChangeError> {
        if self.config.voters.is_joint() {
            return Err(ConfChangeError::SimpleInJoint);
        }
        let mut draft = self.draft();
        draft.apply(changes)?;
        let (before, after) = (&self.config.voters.incoming, &draft.config.voters.incoming);
        let removed = before.iter().filter(|id| !after.contains(*id)).count();
        let added = after.iter().filter(|id| !before.contains(*id)).count();
        if removed + added > 1 {
            return Err(ConfChangeError::MoreThanOneVoter);
        }
        Ok(draft.checked())
    }

    fn draft(&self) -> Draft<'_> {
        Draft { config: self.config.clone(), progress: self.progress.clone(), changer: self }
    }
}

/// A configuration in the making.
struct Draft<'a> {
    config: Configuration,
    progress: ProgressMap,
    changer: &'a Changer<'a>,
}

impl Draft<'_> {
    fn apply(&mut self, changes: &[ConfChangeSingle]) -> Result<(), ConfChangeError> {
        for change in changes {
            let unknown = |_| ConfChangeError::UnknownType(change.change_type);
            let change_type = ConfChangeType::try_from(change.change_type).map_err(unknown)?;
            if change.node_id == NONE {
                // The mark of a change that the application refused.
                continue;
            }
            match change_type {
                ConfChangeType::ConfChangeAddNode => self.make_voter(change.node_id),
                ConfChangeType::ConfChangeAddLearnerNode => self.make_learner(change.node_id),
                ConfChangeType::ConfChangeRemoveNode => self.remove(change.node_id),
                // Says something about a member that only the application knows.
                ConfChangeType::ConfChangeUpdateNode => {}
            }
        }
        if self.config.voters.incoming.is_empty() {
            return Err(ConfChangeError::NoVotersLeft);
        }
        Ok(())
    }

    fn make_voter(&mut self, id: u64) {
        self.config.learners.remove(&id);
        self.config.learners_next.remove(&id);
        self.config.voters.incoming.insert(id);
        self.member(id).is_learner = false;
    }

    fn make_learner(&mut self, id: u64) {
        if self.config.learners.contains(&id) || self.config.learners_next.contains(&id) {
            return;
        }
        self.config.voters.incoming.remove(id);
        if self.config.voters.outgoing.contains(id) {
            // Still a voter of the outgoing set, and nobody is both.
            self.config.learners_next.insert(id);
            self.member(id);
        } else {
            self.config.learners.insert(id);
            self.member(id).is_learner = true;
        }
    }

    fn remove(&mut self, id: u64) {
        self.config.voters.incoming.remove(id);
        self.config.learners.remove(&id);
        self.config.learners_next.remove(&id);
        // A voter of the outgoing set is needed until that is left.
        if !self.config.voters.outgoing.contains(id) {
            self.progress.remove(&id);
        }
    }

    fn member(&mut self, id: u64) -> &mut Progress {
        let changer = self.changer;
        self.progress.entry(id).or_insert_with(|| {
            let mut progress = Progress::new(changer.last_index.max(1), changer.inflights.clone(), false);
            // It just came: a check of the quorum before it could answer shall not count it as lost.
            progress.recent_active = true;
            progress
        })
    }

    fn checked(self) -> Changed {
        assert_consistent(&self.config, &self.progress);
        (self.config, self.progress)
    }
}

/// Asserts what [`Configuration`] promises, and that exactly its members are tracked.
fn assert_consistent(config: &Configuration, progress: &ProgressMap) {
    let voters = config.voters.ids();
    assert!(voters.is_disjoint(&config.learners), "a voter is a learner: {config}");
    let outgoing = |id: &u64| config.voters.outgoing.contains(*id);
    assert!(config.learners_next.iter().all(outgoing), "a coming learner is no outgoing voter: {config}");
    assert!(config.learners_next.is_disjoint(&config.learners), "a coming learner is one already: {config}");
    assert!(config.voters.is_joint() || !config.auto_leave, "auto leave of what is not joint: {config}");
    assert!(voters.union(&config.learners).eq(progress.keys()), "not exactly the members are tracked: {config}");
    let marked = |(id, progress): (&u64, &Progress)| progress.is_learner == config.learners.contains(id);
    assert!(progress.iter().all(marked), "a learner is not marked as such: {config}");
}
