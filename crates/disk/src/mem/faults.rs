//! What a test can arrange: a cut at a given operation, injected errors, a full device, a stall.

use std::io;
use std::time::Duration;

/// The kinds of operation that a fault can be arranged for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Read,
    /// A write, a change of length, an allocation.
    Write,
    /// A sync of a file or a directory.
    Sync,
    /// A change of names.
    Name,
}

/// An error that an operation will return.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    pub operation: Operation,
    /// How many operations of this kind succeed first.
    pub after: u64,
    /// How many fail then.
    pub times: u64,
    pub error: io::ErrorKind,
}

/// What the disk has done since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub reads: u64,
    pub writes: u64,
    pub bytes_written: u64,
    pub syncs: u64,
    pub names: u64,
}

#[derive(Clone, Default)]
pub(super) struct Faults {
    pub(super) counters: Counters,
    /// Operations that change something, since the disk was made.
    pub(super) operations: u64,
    /// The value of `operations` at which the power goes.
    pub(super) cut_at: Option<u64>,
    /// The power is gone.
    pub(super) dark: bool,
    pub(super) planned: Vec<Fault>,
    pub(super) capacity: Option<u64>,
    pub(super) read_only: bool,
    pub(super) sync_stall: Duration,
}

/// How an operation that changes something goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Normal,
    /// The power goes while it is under way: its effect is volatile, its caller learns nothing but the failure.
    Last,
}

pub(super) fn power_is_gone() -> io::Error {
    io::Error::other("the power of this disk is gone")
}

impl Faults {
    /// Counts an operation and says how it goes.
    pub(super) fn begin(&mut self, operation: Operation) -> io::Result<Turn> {
        if self.dark {
            return Err(power_is_gone());
        }
        match operation {
            Operation::Read => self.counters.reads += 1,
            Operation::Write => self.counters.writes += 1,
            Operation::Sync => self.counters.syncs += 1,
            Operation::Name => self.counters.names += 1,
        }
        if operation == Operation::Read {
            return self.planned_error(operation).map_or(Ok(Turn::Normal), Err);
        }
        if self.read_only && operation != Operation::Sync {
            return Err(io::Error::from_raw_os_error(libc::EROFS));
        }
        if self.cut_at == Some(self.operations) {
            self.dark = true;
            return Ok(Turn::Last);
        }
        self.operations += 1;
        self.planned_error(operation).map_or(Ok(Turn::Normal), Err)
    }

    fn planned_error(&mut self, operation: Operation) -> Option<io::Error> {
        let mut error = None;
        for fault in self.planned.iter_mut().filter(|fault| fault.operation == operation) {
            if fault.after > 0 {
                fault.after -= 1;
            } else if fault.times > 0 && error.is_none() {
                fault.times -= 1;
                error = Some(io::Error::new(fault.error, "injected error"));
            }
        }
        self.planned.retain(|fault| fault.times > 0);
        error
    }
}
