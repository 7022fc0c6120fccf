//! One watcher, and the table of all of them.

use super::hub::StreamId;
use super::index::{Index, Target};
use crate::event::{Event, EventKind};

/// Where a watcher stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It is told of new batches; all before them it has been told, or did not want.
    Synced,
    /// It is to read history from `next` on.
    Behind,
    /// As `Behind`, but its stream's queue is full: it waits for that first.
    Parked,
}

/// A watcher that can still get events.
#[derive(Debug)]
pub(super) struct Watcher {
    pub(super) stream: StreamId,
    pub(super) id: i64,
    pub(super) target: Target,
    pub(super) phase: Phase,
    /// Events below this revision are done, or not wanted. In sync, the hub's revision counts as well.
    pub(super) next: i64,
    pub(super) no_put: bool,
    pub(super) no_delete: bool,
    pub(super) prev_kv: bool,
    pub(super) fragment: bool,
    pub(super) progress_notify: bool,
    /// Nothing was sent since the last tick of its stream.
    pub(super) quiet: bool,
    /// Place in the index it is in.
    pub(super) place: u32,
    /// The last round of catching up in which it was served.
    pub(super) served: u64,
    /// Whether it is in the queue of those to be served.
    pub(super) queued: bool,
}

impl Watcher {
    pub(super) fn new(stream: StreamId, id: i64, target: Target, next: i64) -> Watcher {
        Watcher {
            stream,
            id,
            target,
            phase: Phase::Synced,
            next,
            no_put: false,
            no_delete: false,
            prev_kv: false,
            fragment: false,
            progress_notify: false,
            quiet: true,
            place: 0,
            served: 0,
            queued: false,
        }
    }

    /// Whether its filters let the event through.
    pub(super) fn wants(&self, event: &Event) -> bool {
        match event.kind {
            EventKind::Put => !self.no_put,
            EventKind::Delete => !self.no_delete,
        }
    }
}

/// All watchers, with an index of those in sync and one of all others.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    slots: Vec<Option<Watcher>>,
    free: Vec<u32>,
    pub(super) synced: Index,
    pub(super) behind: Index,
    synced_count: usize,
}

impl Watchers {
    /// Adds a watcher in the phase it says.
    pub(super) fn insert(&mut self, watcher: Watcher) -> u32 {
        let number = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() as u32 - 1
        });
        self.slots[number as usize] = Some(watcher);
        self.enter(number);
        number
    }

    pub(super) fn remove(&mut self, number: u32) -> Option<Watcher> {
        self.leave(number);
        let watcher = self.slots.get_mut(number as usize)?.take()?;
        self.free.push(number);
        Some(watcher)
    }

    pub(super) fn get(&self, number: u32) -> Option<&Watcher> {
        self.slots.get(number as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut Watcher> {
        self.slots.get_mut(number as usize)?.as_mut()
    }

    /// Moves a watcher to another phase.
    pub(super) fn set_phase(&mut self, number: u32, phase: Phase) {
        let Some(old) = self.get(number).map(|w| w.phase) else {
            return;
        };
        let moves = (old == Phase::Synced) != (phase == Phase::Synced);
        if moves {
            self.leave(number);
        }
        if let Some(watcher) = self.get_mut(number) {
            watcher.phase = phase;
        }
        if moves {
            self.enter(number);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(super) fn synced_len(&self) -> usize {
        self.synced_count
    }

    /// The numbers of all watchers in sync.
    pub(super) fn all_synced(&self) -> Vec<u32> {
        let numbered = (0u32..).zip(&self.slots);
        numbered.filter(|(_, w)| w.as_ref().is_some_and(|w| w.phase == Phase::Synced)).map(|(n, _)| n).collect()
    }

    fn enter(&mut self, number: u32) {
        let Some(watcher) = self.slots.get_mut(number as usize).and_then(Option::as_mut) else {
            return;
        };
        let synced = watcher.phase == Phase::Synced;
        let index = if synced { &mut self.synced } else { &mut self.behind };
        watcher.place = index.insert(&watcher.target, number);
        self.synced_count += usize::from(synced);
    }

    fn leave(&mut self, number: u32) {
        let Some(watcher) = self.slots.get(number as usize).and_then(Option::as_ref) else {
            return;
        };
        let (synced, place) = (watcher.phase == Phase::Synced, watcher.place);
        let index = if synced { &mut self.synced } else { &mut self.behind };
        let moved = index.remove(&watcher.target, place);
        self.synced_count -= usize::from(synced);
        if let Some(moved) = moved.and_then(|m| self.get_mut(m)) {
            moved.place = place;
        }
    }
}
