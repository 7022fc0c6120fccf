//! What goes wrong, and when.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use node::{Event, Proposal, ProposalKind};
use prost::Message as _;
use proto::etcdserverpb::{InternalRaftRequest, PutRequest, RequestHeader};

use crate::options::Planted;
use crate::world::{Happening, World};

/// The longest hang of a disk.
const LONG_STALL: Duration = Duration::from_secs(60);

impl World {
    /// One fault, and the plan for the next.
    pub fn fault(&mut self) {
        if self.faults_over {
            return;
        }
        let gap_max = self.options.fault_gap_max.as_millis() as u64;
        let next = Duration::from_millis(self.rng.between(50, gap_max.max(51)));
        self.schedule.after(next, Happening::Fault);
        let member = self.rng.index(self.slots.len());
        match self.rng.below(100) {
            0..20 => self.crash(member, false),
            20..38 => self.crash(member, true),
            38..50 => {
                let operations = self.rng.below(60);
                self.slots[member].disk.cut_after(operations);
            }
            50..55 => (0..self.slots.len()).for_each(|member| self.crash(member, true)),
            55..70 => self.partition(),
            70..80 => {
                let pause = Duration::from_millis(self.rng.between(100, 4000));
                self.slots[member].paused_until = Some(self.schedule.now() + pause);
            }
            80..92 => self.stall(member),
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

    /// Ends a member's process at once; with `power` also its machine's. It starts again some time later.
    pub fn crash(&mut self, member: usize, power: bool) {
        let delay = if self.rng.permille(200) { self.rng.between(1000, 6000) } else { self.rng.between(5, 500) };
        self.crash_for(member, power, Duration::from_millis(delay));
    }

    /// As [`World::crash`], to start again after `delay`.
    pub fn crash_for(&mut self, member: usize, power: bool, delay: Duration) {
        let slot = &mut self.slots[member];
        let waiting = slot.running.take().map(|running| running.waiting.into_values());
        slot.disk = if power { slot.disk.power_loss() } else { slot.disk.kill() };
        slot.incarnation += 1;
        self.figures.crashes += 1;
        self.figures.power_losses += u64::from(power);
        if power && self.options.planted == Some(Planted::IndexApartFromData) {
            self.tear_index(member);
        }
        let id = self.slots[member].id;
        for peer in (0..self.slots.len()).filter(|peer| *peer != member) {
            self.hand(peer, Event::PeerActivity { peer: id, connected: false });
        }
        for client in waiting.into_iter().flatten() {
            self.client_lost(client);
        }
        self.schedule.after(delay, Happening::Restart { member });
    }

    /// The planted bug: the database says that it has seen fewer entries than it has.
    fn tear_index(&mut self, member: usize) {
        let disk: std::sync::Arc<dyn disk::Disk> = std::sync::Arc::new(self.slots[member].disk.clone());
        let path = std::path::Path::new("/data/member/snap/db");
        if !disk.exists(path).unwrap_or(false) {
            return;
        }
        let Ok(mut store) = mvcc::Store::open(disk, path, mvcc::Options::default()) else { return };
        let applied = store.applied();
        let index = applied.index.saturating_sub(3).max(1);
        store.offline().force_applied(mvcc::EntryId { index, term: applied.term });
        if let Some(job) = store.seal(u64::MAX) {
            let committed = job.run().expect("a disk that works");
            store.committed(committed);
        }
    }

    /// A member stopped in good order: what it has left to do is done, then it starts again.
    pub fn stopped(&mut self, member: usize) {
        let local = self.slots[member].local(self.schedule.now());
        let Some(mut running) = self.slots[member].running.take() else { return };
        let finish = |running: &mut crate::member::Running| -> Result<(), node::ApplierError> {
            let mut output = running.booted.applier.stop(local)?;
            let mut job = running.job.take().or_else(|| output.job.take());
            while let Some(next) = job {
                job = running.booted.applier.committed(next.run()?, local)?.job;
            }
            Ok(())
        };
        let finished = finish(&mut running);
        let incarnation = self.slots[member].incarnation + 1;
        self.slots[member].incarnation = incarnation;
        assert!(finished.is_ok() || self.slots[member].disk.is_cut(), "a stop in good order: {finished:?}");
        let booted_waiting = std::mem::take(&mut running.waiting);
        if running.booted.log_writer.close().is_err() {
            assert!(self.slots[member].disk.is_cut(), "only a power cut keeps the log from closing");
        }
        let cut = self.slots[member].disk.is_cut();
        let slot = &mut self.slots[member];
        slot.disk = if cut { slot.disk.power_loss() } else { slot.disk.kill() };
        booted_waiting.into_values().for_each(|client| self.client_lost(client));
        self.schedule.after(Duration::from_millis(self.rng.between(5, 500)), Happening::Restart { member });
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
        let put = PutRequest { key: key.into(), value: vec![b'f'; 1024].into(), ..PutRequest::default() };
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
            let slot = &mut self.slots[member];
            slot.paused_until = None;
            if slot.disk.is_cut() {
                self.crash(member, true);
            }
            // A planned cut that has not come must not come.
            self.slots[member].disk.cut_after(u64::MAX / 2);
        }
    }
}
