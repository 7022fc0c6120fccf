//! A whole cluster on one thread, from one seed: messages are lost, doubled and reordered, members crash and come back,
//! disks are slow, members come and go.

mod member;
mod oracle;
mod rng;

use std::collections::BTreeMap;

use bytes::Bytes;
use proto::raftpb::{
    ConfChange, ConfChangeSingle, ConfChangeTransition, ConfChangeType, ConfChangeV2, Message, MessageType,
};
use raft::{Config, RoleName, SnapshotStatus, describe};

use member::Member;
use oracle::Oracle;
use rng::Rng;

/// Members that may ever be.
const MEMBERS: u64 = 5;
/// Messages on their way before the oldest are lost.
const NETWORK_MAX: usize = 400;

pub struct Cluster {
    rng: Rng,
    members: BTreeMap<u64, Member>,
    network: Vec<Message>,
    oracle: Oracle,
    /// Members that nobody can reach.
    isolated: Vec<u64>,
    /// Reads under way: who asked with which number, and the last index applied anywhere by then.
    reads: BTreeMap<(u64, u64), u64>,
    proposals: u64,
    /// What was seen to happen, so that a test can tell that it does.
    pub elections: u64,
    pub snapshots: u64,
    pub reads_served: u64,
    pub conf_changes: u64,
}

impl Cluster {
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let voters: Vec<u64> = (1..=if rng.percent(50) { 3 } else { MEMBERS }).collect();
        let (pre_vote, check_quorum) = (rng.percent(60), rng.percent(60));
        let oracle = Oracle::new();
        let founding = oracle.founding_snapshot(voters.clone());
        let members = (1..=MEMBERS).map(|id| {
            let config = Config {
                id,
                seed,
                pre_vote,
                check_quorum,
                election_ticks: 5,
                async_storage_writes: rng.percent(60),
                max_size_per_message: rng.pick(&[0, 100, 10_000]),
                max_committed_size_per_ready: rng.pick(&[1, 100, 10_000]),
                max_inflight_messages: rng.pick(&[1, 3, 100]),
                step_down_on_removal: rng.percent(50),
                ..Config::default()
            };
            (id, Member::new(config, voters.contains(&id).then(|| founding.clone())))
        });
        let members = members.collect();
        Self {
            rng,
            members,
            network: Vec::new(),
            oracle,
            isolated: Vec::new(),
            reads: BTreeMap::new(),
            proposals: 0,
            elections: 0,
            snapshots: 0,
            reads_served: 0,
            conf_changes: 0,
        }
    }

    /// Lets something happen.
    pub fn step(&mut self) {
        let id = 1 + self.rng.below(MEMBERS as usize) as u64;
        match self.rng.below(1000) {
            0..60 => self.tick(id),
            60..400 => self.deliver_any(),
            400..880 => self.work(id),
            880..940 => self.propose(id),
            940..965 => self.read(id),
            965..968 => self.change_members(id),
            968..970 => self.crash(id),
            970..982 => self.start(id),
            982..984 => self.isolate(id),
            984..986 => self.isolated.clear(),
            986..994 => self.take_snapshot(id),
            994..998 => self.transfer(id),
            _ => self.forget(id),
        }
        self.collect(id);
        self.trim_network();
    }

    fn member(&mut self, id: u64) -> &mut Member {
        self.members.get_mut(&id).expect("a member")
    }

    fn tick(&mut self, id: u64) {
        if let Some(raw) = &mut self.member(id).raw {
            raw.tick();
        }
    }

    /// One piece of work of a member, whichever comes first.
    fn work(&mut self, id: u64) {
        let choice = self.rng.below(8);
        let oracle = &mut self.oracle;
        let member = self.members.get_mut(&id).expect("a member");
        match choice {
            0..3 => member.ready(oracle),
            3 | 4 => member.run_append(oracle),
            5 => member.run_apply(oracle),
            _ => member.run_local(),
        }
    }

    fn deliver_any(&mut self) {
        if self.network.is_empty() {
            return;
        }
        let position = self.rng.below(self.network.len());
        let message = self.network.swap_remove(position);
        let lost = self.rng.percent(8) || [message.to, message.from].iter().any(|id| self.isolated.contains(id));
        // Proposals are forwarded at most once: a doubled one would be committed twice.
        if !lost && message.msg_type() != MessageType::MsgProp && self.rng.percent(8) {
            self.network.push(message.clone());
        }
        self.deliver(message, lost);
    }

    fn deliver(&mut self, message: Message, lost: bool) {
        let (from, to, msg_type) = (message.from, message.to, message.msg_type());
        let receiver = self.members.get_mut(&to).and_then(|member| member.raw.as_mut()).filter(|_| !lost);
        let delivered = receiver.is_some();
        if let Some(raw) = receiver {
            // Refused where the sender is no member (any more), or the proposal can't be taken.
            drop(raw.step_peer(message));
        }
        if let Some(raw) = &mut self.member(from).raw {
            if msg_type == MessageType::MsgSnap {
                raw.report_snapshot(to, if delivered { SnapshotStatus::Finish } else { SnapshotStatus::Failure });
            } else if !delivered {
                raw.report_unreachable(to);
            }
        }
        self.collect(to);
    }

    fn propose(&mut self, id: u64) {
        self.proposals += 1;
        let data = Bytes::from(format!("proposal {}", self.proposals));
        if let Some(raw) = &mut self.member(id).raw {
            // Dropped where no leader is known.
            drop(raw.propose(data));
        }
    }

    fn read(&mut self, id: u64) {
        self.proposals += 1;
        let (number, last) = (self.proposals, self.oracle.last());
        if let Some(raw) = &mut self.member(id).raw {
            raw.read_index(Bytes::copy_from_slice(&number.to_be_bytes()));
            self.reads.insert((id, number), last);
        }
    }

    fn change_members(&mut self, id: u64) {
        let mut change = || {
            let types = [
                ConfChangeType::ConfChangeAddNode,
                ConfChangeType::ConfChangeAddNode,
                ConfChangeType::ConfChangeRemoveNode,
                ConfChangeType::ConfChangeAddLearnerNode,
                ConfChangeType::ConfChangeUpdateNode,
            ];
            let node_id = 1 + self.rng.below(MEMBERS as usize) as u64;
            ConfChangeSingle { change_type: self.rng.pick(&types) as i32, node_id }
        };
        let (first, second) = (change(), change());
        let transitions =
            [ConfChangeTransition::Auto, ConfChangeTransition::JointImplicit, ConfChangeTransition::JointExplicit];
        let transition = self.rng.pick(&transitions) as i32;
        let (old_form, leave) = (self.rng.percent(40), self.rng.percent(30));
        self.conf_changes += 1;
        let Some(raw) = &mut self.member(id).raw else { return };
        // Refused or dropped as any proposal.
        drop(if old_form {
            let ConfChangeSingle { change_type, node_id } = first;
            raw.propose_conf_change(ConfChange { change_type, node_id, ..Default::default() })
        } else if leave {
            raw.propose_conf_change(ConfChangeV2::default())
        } else {
            raw.propose_conf_change(ConfChangeV2 { transition, changes: vec![first, second], ..Default::default() })
        });
    }

    fn crash(&mut self, id: u64) {
        let lose_unsynced = self.rng.percent(50);
        self.member(id).crash(lose_unsynced);
        self.reads.retain(|(asker, _), _| *asker != id);
    }

    fn start(&mut self, id: u64) {
        if self.member(id).raw.is_none() {
            self.member(id).start();
        }
    }

    fn isolate(&mut self, id: u64) {
        if self.isolated.len() < 2 && !self.isolated.contains(&id) {
            self.isolated.push(id);
        }
    }

    fn take_snapshot(&mut self, id: u64) {
        let keep = self.rng.below(10) as u64;
        self.member(id).snapshot(keep);
    }

    fn transfer(&mut self, id: u64) {
        let to = 1 + self.rng.below(MEMBERS as usize) as u64;
        if let Some(raw) = &mut self.member(id).raw {
            raw.transfer_leader(to);
        }
    }

    fn forget(&mut self, id: u64) {
        if let Some(raw) = &mut self.member(id).raw {
            raw.forget_leader();
        }
    }

    /// Looks at what a member did, and takes what it sends.
    fn collect(&mut self, id: u64) {
        let member = self.members.get_mut(&id).expect("a member");
        if let Some(raw) = &member.raw {
            self.oracle.role(raw);
        }
        for message in member.outbox.drain(..) {
            self.oracle.sent(&message);
            self.elections += u64::from(message.msg_type() == MessageType::MsgVote);
            self.snapshots += u64::from(message.msg_type() == MessageType::MsgSnap);
            self.network.push(message);
        }
        for read in member.reads.drain(..) {
            let number = u64::from_be_bytes(read.context.as_ref().try_into().expect("our own context"));
            if let Some(last) = self.reads.remove(&(id, number)) {
                assert!(read.index >= last, "a read at {} misses {last}, applied before it was asked", read.index);
                self.reads_served += 1;
            }
        }
    }

    /// A network holds only so much: the oldest messages are lost.
    fn trim_network(&mut self) {
        while self.network.len() > NETWORK_MAX {
            let oldest = self.network.remove(0);
            self.deliver(oldest, true);
        }
    }

    /// Compares all logs.
    pub fn check_logs(&self) {
        Oracle::logs(&self.members.values().map(Member::log).collect::<Vec<_>>());
    }

    /// Ends all faults and waits until everyone who is a member has applied one more entry.
    pub fn heal(&mut self) {
        self.isolated.clear();
        (1..=MEMBERS).for_each(|id| self.start(id));
        let mut proposed_at = 0;
        for round in 0..2000 {
            for id in 1..=MEMBERS {
                self.tick(id);
                self.finish_work(id);
                if round % 50 == 0 {
                    // New members take only snapshots that know of them.
                    self.member(id).snapshot(0);
                }
            }
            for message in std::mem::take(&mut self.network) {
                self.deliver(message, false);
            }
            (1..=MEMBERS).for_each(|id| self.finish_work(id));
            let Some((leader, status)) = self.leader() else { continue };
            if !status.config.voters.contains(leader) {
                // Whoever runs a member stops it once it is removed.
                self.crash(leader);
                continue;
            }
            // It may have been added again by then.
            status.progress.keys().for_each(|&id| self.start(id));
            if proposed_at == 0 || round - proposed_at > 100 {
                self.propose(leader);
                proposed_at = round;
                continue;
            }
            let last = status.basic.last_index;
            let members: Vec<u64> = status.progress.keys().copied().collect();
            if last > 0 && members.iter().all(|id| self.members[id].applied() == last) {
                return self.check_logs();
            }
        }
        panic!("the cluster does not come to rest:\n{}", self.describe());
    }

    fn describe(&self) -> String {
        let mut text = String::new();
        for (id, member) in &self.members {
            let Some(raw) = &member.raw else {
                text.push_str(&format!("{id}: down\n"));
                continue;
            };
            let status = raw.status();
            let (hard, soft) = (describe::hard_state(&status.basic.hard_state), status.basic.soft_state);
            let (last, applied) = (status.basic.last_index, member.applied());
            let config = status.config;
            text.push_str(&format!(
                "{id}: {} leader {} {hard} last {last} applied {applied} {config}\n",
                soft.role, soft.leader
            ));
            for (id, progress) in status.progress {
                text.push_str(&format!("  {id}: {progress}\n"));
            }
        }
        text
    }

    fn finish_work(&mut self, id: u64) {
        while !self.members[&id].is_idle() {
            let oracle = &mut self.oracle;
            let member = self.members.get_mut(&id).expect("a member");
            member.ready(oracle);
            member.run_append(oracle);
            member.run_apply(oracle);
            member.run_local();
        }
        self.collect(id);
    }

    /// The leader of the newest term.
    fn leader(&self) -> Option<(u64, raft::Status)> {
        let statuses = self.members.iter().filter_map(|(&id, member)| Some((id, member.raw.as_ref()?.status())));
        let leaders = statuses.filter(|(_, status)| status.basic.soft_state.role == RoleName::Leader);
        leaders.max_by_key(|(_, status)| status.basic.hard_state.term)
    }
}
