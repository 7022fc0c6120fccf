//! What goes wrong, and when.

mod disks;
mod ends;

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use node::{Event, Proposal, ProposalKind};
use prost::Message as _;
use proto::etcdserverpb::{InternalRaftRequest, PutRequest, RequestHeader};

use crate::world::{Happening, World};

/// The longest hang of a disk.
const LONG_STALL: Duration = Duration::from_secs(60);
/// Bytes of a value with which a hanging disk is flooded.
const FLOOD_BYTES: usize = 4 << 10;

impl World {
    /// One fault, and the plan for the next.
    pub fn fault(&mut self) {
        if self.faults_over {
            return;
        }
        let gap_max = self.options.fault_gap_max.as_millis() as u64;
        let next = Duration::from_millis(self.rng.between(50, gap_max.max(51)));
        self.schedule.after(next, Happening::Fault);
        let living: Vec<usize> = (0..self.slots.len()).filter(|member| self.slots[*member].running.is_some()).collect();
        let Some(member) = living.get(self.rng.index(living.len().max(1))).copied() else { return };
        match self.rng.below(100) {
            0..18 => self.crash(member, false),
            18..34 => self.crash(member, true),
            34..45 => {
                let operations = self.rng.below(60);
                self.slots[member].disk.cut_after(operations);
            }
            45..50 => living.into_iter().for_each(|member| self.crash(member, true)),
            50..65 => self.partition(),
            65..75 => {
                let pause = Duration::from_millis(self.rng.between(100, 6000));
                self.slots[member].paused_until = Some(self.schedule.now() + pause);
            }
            75..83 => self.stall(member),
            83..92 if self.options.disk_faults => self.break_disk(member),
            83..92 => self.stall(member),
            92..96 => self.hand(member, Event::Stop),
            _ => self.network.heal(),
        }
    }

    fn stall(&mut self, member: usize) {
        let long = self.rng.permille(200);
        let stall = if long { LONG_STALL } else { Duration::from_millis(self.rng.between(50, 3000)) };
        self.slots[member].sync_stalled_until = self.schedule.now() + stall;
        if long {
            self.schedule.after(Duration::ZERO, Happening::Flood { member, left: 1000 });
        }
    }

    fn partition(&mut self) {
        let members = self.slots.len();
        let group: BTreeSet<usize> = (0..members).filter(|_| self.rng.permille(400)).collect();
        let one_way = self.rng.permille(300);
        self.network.split(&group, members, one_way);
        let heal = Duration::from_millis(self.rng.between(200, 5000));
        self.schedule.after(heal, Happening::Heal);
    }

    /// Many proposals without waiting for answers, while the disk hangs.
    pub fn flood(&mut self, member: usize, left: u32) {
        if left == 0 {
            return;
        }
        self.schedule.after(Duration::from_millis(50), Happening::Flood { member, left: left - 1 });
        let Some(running) = &self.slots[member].running else { return };
        if self.slots[member].is_paused(self.schedule.now()) {
            return;
        }
        let ticket = running.booted.ids.next();
        let key = format!("flood-{}", left % 4);
        let put = PutRequest { key: key.into(), value: vec![b'f'; FLOOD_BYTES].into(), ..PutRequest::default() };
        let header = Some(RequestHeader { id: ticket, ..RequestHeader::default() });
        let request = InternalRaftRequest { header, put: Some(put), ..InternalRaftRequest::default() };
        let data = Bytes::from(request.encode_to_vec());
        self.hand(member, Event::Propose(Proposal { ticket, data, kind: ProposalKind::Client }));
    }

    /// From here on nothing goes wrong.
    pub fn end_faults(&mut self) {
        self.faults_over = true;
        self.network.heal();
        self.network.loss_permille = 0;
        self.network.duplicate_permille = 0;
        for member in 0..self.slots.len() {
            self.slots[member].paused_until = None;
            if self.slots[member].disk.is_cut() {
                self.crash(member, true);
            }
            self.heal_disk(member);
        }
    }
}
