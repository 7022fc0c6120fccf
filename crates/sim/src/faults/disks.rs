//! Disks that fail: errors of writes and syncs, and no space left. Whatever it is, the member stops.

use std::io::ErrorKind;
use std::time::Duration;

use disk::{Fault, Operation};

use crate::world::{Happening, World};

impl World {
    /// Arranges for a failure that comes soon.
    pub fn break_disk(&mut self, member: usize) {
        let after = self.rng.below(40);
        let times = self.rng.between(1, 3);
        let room = self.rng.below(200 << 10);
        let choice = self.rng.below(3);
        let slot = &mut self.slots[member];
        slot.ill = true;
        let error = ErrorKind::Other;
        match choice {
            0 => slot.disk.inject(Fault { operation: Operation::Write, after, times, error }),
            1 => slot.disk.inject(Fault { operation: Operation::Sync, after: after / 4, times, error }),
            _ => {
                slot.disk.set_capacity(Some(slot.disk.used() + room));
                slot.disk_is_limited = true;
                let until = Duration::from_millis(self.rng.between(500, 8000));
                self.schedule.after(until, Happening::DiskFreed { member });
            }
        }
    }

    /// There is space again.
    pub fn free_disk(&mut self, member: usize) {
        self.slots[member].disk.set_capacity(None);
        self.slots[member].disk_is_limited = false;
    }

    /// Nothing that was arranged and has not come comes any more.
    pub fn heal_disk(&mut self, member: usize) {
        let slot = &mut self.slots[member];
        slot.disk.cut_after(u64::MAX / 2);
        slot.disk.clear_faults();
        slot.disk.set_capacity(None);
        slot.disk_is_limited = false;
        slot.ill = false;
    }
}
