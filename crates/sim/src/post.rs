//! What passes between members: messages, snapshots with their databases, versions.

use std::time::Duration;

use node::{Event, ReadySnapshot, ReceivingDb, SnapshotTo, VersionReport};
use proto::raftpb::{Message, MessageType};

use crate::member::Fate;
use crate::world::{Happening, World};

/// So long it takes to tell a member that it was removed.
const TOLD_OF_REMOVAL: Duration = Duration::from_millis(100);

impl World {
    pub fn tell_versions(&mut self, member: usize) {
        let reports = (0..self.slots.len())
            .filter(|peer| *peer != member)
            .map(|peer| VersionReport {
                member: self.slots[peer].id,
                server: Some(self.slots[peer].version()).filter(|_| {
                    self.slots[peer].running.is_some()
                        && self.network.passes(member, peer)
                        && self.network.passes(peer, member)
                }),
            })
            .collect();
        self.hand(member, Event::Versions(reports));
    }

    pub fn send(&mut self, from: usize, message: Message) {
        let Some(to) = self.places.get(&message.to).copied() else { return };
        if !self.network.passes(from, to) || self.slots[to].running.is_none() {
            return;
        }
        // A forwarded proposal that came twice would be two proposals.
        let may_double = message.msg_type != MessageType::MsgProp as i32;
        for delay in self.network.arrivals(&mut self.rng, may_double) {
            self.schedule.after(delay, Happening::Deliver { from, to, message: Box::new(message.clone()) });
        }
    }

    pub fn deliver(&mut self, from: usize, to: usize, message: Message) {
        let now = self.schedule.now();
        if self.refuses(to, from) {
            return;
        }
        let slot = &self.slots[to];
        if slot.is_paused(now) {
            // Some of it waits in buffers, some is lost.
            if let Some(until) = slot.paused_until.filter(|_| self.rng.permille(500)) {
                self.schedule.at(until, Happening::Deliver { from, to, message: Box::new(message) });
            }
            return;
        }
        self.hand(to, Event::Step(message));
    }

    /// Whoever knows that the sender was removed takes nothing from it, and tells it so.
    fn refuses(&mut self, to: usize, from: usize) -> bool {
        let id = self.slots[from].id;
        let knows = |running: &crate::member::Running| running.booted.reader.view().members().is_removed(id);
        if self.slots[from].fate == Fate::Stays || !self.slots[to].running.as_ref().is_some_and(knows) {
            return false;
        }
        if self.network.passes(to, from) {
            self.schedule.after(TOLD_OF_REMOVAL, Happening::ToldRemoved { member: from });
        }
        true
    }

    pub fn send_snapshot(&mut self, from: usize, snapshot: ReadySnapshot) {
        let SnapshotTo::Peer(message) = snapshot.to else { return };
        let peer = message.to;
        let Some(to) = self.places.get(&peer).copied() else {
            return self.hand(from, Event::SnapshotReport { peer, failed: true });
        };
        let mut db = Vec::new();
        let mut chunks = snapshot.source.stream();
        loop {
            match chunks.next_chunk() {
                Ok(Some(chunk)) => db.extend_from_slice(&chunk),
                Ok(None) => break,
                Err(_) => return self.disk_failed(from),
            }
        }
        self.figures.snapshots_sent += 1;
        let delay = self.network.delay_max * 3;
        let lost = !self.network.passes(from, to) || self.rng.permille(self.network.loss_permille * 3);
        if lost {
            let fate = Happening::SnapshotFate { from, peer: message.to, failed: true };
            self.schedule.after(delay, fate);
        } else {
            self.schedule.after(delay, Happening::DeliverSnapshot { from, to, message, db });
        }
    }

    pub fn deliver_snapshot(&mut self, from: usize, to: usize, message: Message, db: &[u8]) {
        let peer = message.to;
        let awake = self.slots[to].running.is_some() && !self.slots[to].is_paused(self.schedule.now());
        let received = awake && !self.refuses(to, from) && self.receive_db(to, &message, db);
        self.schedule.after(self.network.delay_max, Happening::SnapshotFate { from, peer, failed: !received });
        if received {
            self.hand(to, Event::Step(message));
        }
    }

    fn receive_db(&mut self, to: usize, message: &Message, db: &[u8]) -> bool {
        let index = message.snapshot.as_ref().and_then(|s| s.metadata.as_ref()).map_or(0, |m| m.index);
        let disk: std::sync::Arc<dyn disk::Disk> = std::sync::Arc::new(self.slots[to].disk.clone());
        let Some(running) = &self.slots[to].running else { return false };
        let done = ReceivingDb::begin(disk, &running.booted.dir, index, self.figures.snapshots_sent)
            .and_then(|mut receiving| receiving.write(db).map(|()| receiving))
            .and_then(ReceivingDb::finish);
        // Otherwise too many wait already, and the sender will try again.
        if let Err(error) = &done
            && self.slots[to].disk_may_fail()
            && error.kind() != std::io::ErrorKind::ResourceBusy
        {
            self.disk_failed(to);
        }
        done.is_ok()
    }
}
