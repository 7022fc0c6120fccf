//! How a member's process ends: at once, in good order, for good.

use std::collections::BTreeMap;
use std::time::Duration;

use node::Event;

use crate::member::{Fate, Running};
use crate::options::Planted;
use crate::world::{Happening, Waiter, World};

impl World {
    /// Ends a member's process at once; with `power` also its machine's. It starts again some time later.
    pub fn crash(&mut self, member: usize, power: bool) {
        let delay = if self.rng.permille(200) { self.rng.between(1000, 6000) } else { self.rng.between(5, 500) };
        self.crash_for(member, power, Duration::from_millis(delay));
    }

    /// As [`World::crash`], to start again after `delay`.
    pub fn crash_for(&mut self, member: usize, power: bool, delay: Duration) {
        self.end_process(member, power);
        self.figures.crashes += 1;
        self.figures.power_losses += u64::from(power);
        if power && self.options.planted == Some(Planted::IndexApartFromData) {
            self.tear_index(member);
        }
        self.schedule.after(delay, Happening::Restart { member });
    }

    /// The process is gone, and with it what it had in memory.
    pub fn end_process(&mut self, member: usize, power: bool) {
        let slot = &mut self.slots[member];
        let running = slot.running.take();
        slot.disk = if power { slot.disk.power_loss() } else { slot.disk.kill() };
        slot.incarnation += 1;
        // Planned errors are gone with the process, but a full disk stays full.
        slot.ill = slot.disk_is_limited;
        self.tell_peers(member);
        self.release(running.map(|running| running.waiting).unwrap_or_default());
    }

    fn tell_peers(&mut self, member: usize) {
        let id = self.slots[member].id;
        for peer in (0..self.slots.len()).filter(|peer| *peer != member) {
            self.hand(peer, Event::PeerActivity { peer: id, connected: false });
        }
    }

    /// Those who waited for the member wait in vain.
    fn release(&mut self, waiting: BTreeMap<u64, Waiter>) {
        for waiter in waiting.into_values() {
            match waiter {
                Waiter::Client { client, op } | Waiter::Keeper { client, op, .. } => self.client_lost(client, op),
                Waiter::Operator => self.operator_lost(),
                Waiter::Lab => {}
            }
        }
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

    /// A member stopped in good order: what it has left to do is done, then it starts again, unless it was removed.
    pub fn stopped(&mut self, member: usize, removed: bool) {
        if removed {
            assert_eq!(self.slots[member].fate, Fate::Leaves, "{} was never removed", self.slots[member].name);
            return self.retire(member);
        }
        let local = self.slots[member].local(self.schedule.now());
        let Some(mut running) = self.slots[member].running.take() else { return };
        let finish = |running: &mut Running| -> Result<(), node::ApplierError> {
            let mut output = running.booted.applier.stop(local)?;
            let mut job = running.job.take().or_else(|| output.job.take());
            while let Some(next) = job {
                job = running.booted.applier.committed(next.run()?, local)?.job;
            }
            Ok(())
        };
        let finished = finish(&mut running);
        let may_fail = self.slots[member].disk_may_fail();
        assert!(finished.is_ok() || may_fail, "a stop in good order: {finished:?}");
        let waiting = std::mem::take(&mut running.waiting);
        let Running { booted, .. } = running;
        let closed = booted.log_writer.close();
        assert!(closed.is_ok() || may_fail, "only a power cut keeps the log from closing");
        let failed = finished.is_err() || closed.is_err();
        self.end_process(member, failed);
        self.release(waiting);
        self.schedule.after(Duration::from_millis(self.rng.between(5, 500)), Happening::Restart { member });
    }

    /// A member that was removed is switched off, and its disk is wiped.
    pub fn retire(&mut self, member: usize) {
        if self.slots[member].fate != Fate::Leaves {
            return;
        }
        self.end_process(member, true);
        let slot = &mut self.slots[member];
        slot.fate = Fate::Gone;
        slot.disk = disk::MemDisk::new(0);
    }
}
