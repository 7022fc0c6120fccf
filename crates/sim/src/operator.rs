//! Who looks after the cluster: adds, promotes, updates and removes members, moves the leadership, gives space back. One
//! work at a time; one whose answer does not come is of unknown fate, and forgotten.

use std::time::Duration;

use bytes::Bytes;
use node::{Event, InitialMember, Outcome, Role, member_id};
use proto::raftpb::{ConfChange, ConfChangeType};
use state::members::{ChangeContext, Member};

use crate::member::{Fate, Slot, Task};
use crate::model::News;
use crate::rng::Rng;
use crate::world::{Happening, Waiter, World};

/// So long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(9);
/// A change whose answer did not come may take so long to take effect: it is passed on, held back, or lies with a paused
/// member.
const UNSURE: Duration = Duration::from_secs(16);
/// The operator's cluster has at most so many members.
const MEMBERS_MAX: usize = 7;
/// A removed member that does not stop by itself is switched off by then.
const RETIRED_WITHIN_MS: u64 = 3000;

/// The operator.
#[derive(Debug)]
pub struct Operator {
    rng: Rng,
    works: u64,
    busy: bool,
    /// Until then a change whose answer did not come may still take effect.
    unsure_until: Duration,
    /// Members get numbers that were never used.
    names: u64,
}

impl Operator {
    pub fn new(rng: Rng) -> Self {
        Self { rng, works: 0, busy: false, unsure_until: Duration::ZERO, names: 100 }
    }
}

/// A change of membership as an operator wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Add { peer_url: String, as_learner: bool },
    Promote(u64),
    Remove(u64),
    Update { id: u64, peer_url: String },
}

impl Change {
    /// As it goes into the log; `now_secs` makes the id of a new member.
    fn request(&self, ticket: u64, now_secs: i64) -> ConfChange {
        let (kind, node_id, context) = match self {
            Change::Add { peer_url, as_learner } => {
                let peer_urls = vec![peer_url.clone()];
                let id = member_id(&peer_urls, "", Some(now_secs));
                let member = Member { id, peer_urls, is_learner: *as_learner, ..Member::default() };
                let kind = match as_learner {
                    true => ConfChangeType::ConfChangeAddLearnerNode,
                    false => ConfChangeType::ConfChangeAddNode,
                };
                (kind, id, Some(ChangeContext { member, is_promote: false }))
            }
            Change::Promote(id) => {
                let member = Member { id: *id, ..Member::default() };
                (ConfChangeType::ConfChangeAddNode, *id, Some(ChangeContext { member, is_promote: true }))
            }
            Change::Remove(id) => (ConfChangeType::ConfChangeRemoveNode, *id, None),
            Change::Update { id, peer_url } => {
                let member = Member { id: *id, peer_urls: vec![peer_url.clone()], ..Member::default() };
                (ConfChangeType::ConfChangeUpdateNode, *id, Some(ChangeContext { member, is_promote: false }))
            }
        };
        let context = context.map(|context| Bytes::from(context.to_json())).unwrap_or_default();
        ConfChange { id: ticket, change_type: kind as i32, node_id, context }
    }
}

impl World {
    /// The operator does something, if nothing is under way.
    pub fn operator_turn(&mut self) {
        let Some(gap) = self.options.operator_gap_max.filter(|_| !self.faults_over) else { return };
        let next = self.operator.rng.between(50, gap.as_millis().max(51) as u64);
        self.schedule.after(Duration::from_millis(next), Happening::Operator);
        if self.operator.busy {
            return;
        }
        let members = self.consensus.model.members.now.len();
        match self.operator.rng.below(100) {
            0..22 if members < MEMBERS_MAX => self.operator_adds(true),
            22..36 if members < MEMBERS_MAX => self.operator_adds(false),
            36..56 => self.operator_promotes(),
            56..74 if members > 1 => self.operator_removes(),
            74..82 => self.operator_updates(),
            82..94 => self.operator_moves_leader(),
            _ => self.operator_defragments(),
        }
    }

    fn new_url(&mut self) -> String {
        self.operator.names += 1;
        format!("http://m{}:2380", self.operator.names)
    }

    fn operator_adds(&mut self, as_learner: bool) {
        // Sometimes the new member takes the place of one that is gone.
        let taken = |url: &String| self.consensus.model.members.now.values().any(|m| m.peer_urls.contains(url));
        let mut free =
            self.slots.iter().filter(|slot| slot.fate == Fate::Gone).filter_map(|slot| slot.peer_urls.first());
        let replaced = free.rfind(|url| !taken(url)).cloned();
        let peer_url = match replaced.filter(|_| self.operator.rng.permille(500)) {
            Some(url) => url,
            None => self.new_url(),
        };
        self.operator_changes(Change::Add { peer_url, as_learner }, None);
    }

    fn operator_promotes(&mut self) {
        let learner = self.consensus.model.members.learners().next();
        let leader = self.believes_to_lead();
        if let (Some(id), Some(_)) = (learner, leader) {
            self.operator_changes(Change::Promote(id), leader);
        }
    }

    fn operator_removes(&mut self) {
        // Of two voters none is removed: one that leads and leaves may be the only one that knows that it may, and the other
        // then waits for its vote for ever, in etcd as here.
        let is_sure = self.schedule.now() >= self.operator.unsure_until;
        let voters: Vec<u64> = self.consensus.model.members.voters().collect();
        let Some(id) = self.any_member() else { return };
        if is_sure && (voters.len() > 2 || !voters.contains(&id)) {
            self.operator_changes(Change::Remove(id), None);
        }
    }

    fn operator_updates(&mut self) {
        let voters: Vec<u64> = self.consensus.model.members.voters().collect();
        let Some(id) = voters.get(self.operator.rng.index(voters.len().max(1))).copied() else { return };
        let peer_url = self.new_url();
        self.operator_changes(Change::Update { id, peer_url }, None);
    }

    fn operator_moves_leader(&mut self) {
        let (Some(leader), Some(target)) = (self.believes_to_lead(), self.any_member()) else { return };
        if let Some(ticket) = self.operator_asks(leader) {
            self.hand(leader, Event::MoveLeader { ticket, target });
        }
    }

    fn operator_defragments(&mut self) {
        let Some(member) = self.any_member().and_then(|id| self.places.get(&id).copied()) else { return };
        if let Some(running) = self.slots[member].running.as_mut() {
            let ticket = running.booted.ids.next();
            running.tasks.push_back(Task::Defragment(ticket));
            self.figures.defragmentations += 1;
            self.step(member);
        }
    }

    fn any_member(&mut self) -> Option<u64> {
        let members: Vec<u64> = self.consensus.model.members.now.keys().copied().collect();
        members.get(self.operator.rng.index(members.len().max(1))).copied()
    }

    /// A member that takes itself for the leader; the one of the newest term where there are several.
    pub fn believes_to_lead(&self) -> Option<usize> {
        let status = |member: usize| self.slots[member].running.as_ref().map(|running| running.booted.node.status());
        let leaders = self.members().filter_map(|member| Some((status(member)?, member)));
        leaders.filter(|(status, _)| status.role == Role::Leader).max_by_key(|(status, _)| status.term).map(|(_, m)| m)
    }

    /// Asks a member, by default any that runs, for a change.
    fn operator_changes(&mut self, change: Change, at: Option<usize>) {
        let running: Vec<usize> = self.members().filter(|member| self.slots[*member].running.is_some()).collect();
        let any = running.get(self.operator.rng.index(running.len().max(1))).copied();
        let Some(member) = at.or(any) else { return };
        if let Some(ticket) = self.operator_asks(member) {
            self.propose_change(member, &change, ticket);
        }
    }

    /// Hands a change of membership to a member.
    pub fn propose_change(&mut self, member: usize, change: &Change, ticket: u64) {
        let now_secs = 1_700_000_000 + self.schedule.now().as_secs() as i64;
        self.hand(member, Event::ProposeConfChange(change.request(ticket, now_secs)));
    }

    /// A ticket for a request at this member, whose answer is waited for; none where it would not hear of it.
    fn operator_asks(&mut self, member: usize) -> Option<u64> {
        if self.slots[member].is_paused(self.schedule.now()) {
            return None;
        }
        let running = self.slots[member].running.as_mut()?;
        let ticket = running.booted.ids.next();
        running.waiting.insert(ticket, Waiter::Operator);
        self.operator.busy = true;
        self.operator.works += 1;
        let work = self.operator.works;
        self.schedule.after(PATIENCE, Happening::OperatorGivesUp { work });
        Some(ticket)
    }

    pub fn operator_gives_up(&mut self, work: u64) {
        if self.operator.works == work && self.operator.busy {
            self.operator_lost();
        }
    }

    /// There will be no answer.
    pub fn operator_lost(&mut self) {
        self.operator.busy = false;
        self.operator.unsure_until = self.schedule.now() + UNSURE;
    }

    pub fn operator_told(&mut self, outcome: &Outcome) {
        self.figures.transfers += u64::from(*outcome == Outcome::LeaderMoved);
        self.operator.busy = false;
        if matches!(outcome, Outcome::Failed(_)) {
            self.operator_lost();
        }
    }

    /// The log has a change of membership.
    pub fn membership_changed(&mut self, news: News) {
        match news {
            News::Added { id, .. } if self.places.contains_key(&id) => {}
            News::Added { id, peer_urls } => {
                let place = self.slots.len();
                let member = InitialMember { name: format!("m{place}"), peer_urls };
                let slot = Slot::new(id, member, &self.options, &mut self.rng);
                self.slots.push(Slot { joins: true, ..slot });
                self.places.insert(id, place);
                let delay = Duration::from_millis(self.rng.between(10, 1500));
                self.schedule.after(delay, Happening::Restart { member: place });
            }
            News::Removed { id } => {
                let Some(place) = self.places.get(&id).copied() else { return };
                self.slots[place].fate = Fate::Leaves;
                let delay = Duration::from_millis(self.rng.between(0, RETIRED_WITHIN_MS));
                self.schedule.after(delay, Happening::Retire { member: place });
            }
        }
    }
}
