//! Watchers behind read history in slices.
//!
//! A slice begins where the first watcher in line stands and covers a bounded number of revisions and bytes. All
//! watchers that stand inside take part in it. Who took part is served again only when everyone else in line was, so a
//! watcher that has far to go does not hold up one that is nearly there.

use std::collections::{BTreeSet, VecDeque};

use super::encode::Encoder;
use super::hub::{Hub, StreamId};
use super::output::{Output, OutputKind};
use super::publish::{Hit, by_watcher};
use super::stream::Entry;
use super::watcher::{Phase, Watcher};
use crate::event::Event;
use crate::view::View;

/// Watchers behind: by where they stand, and in line.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    by_next: BTreeSet<(i64, u32)>,
    line: VecDeque<u32>,
    next_line: VecDeque<u32>,
    round: u64,
}

impl Rounds {
    pub(super) fn leave(&mut self, number: u32, next: i64) {
        self.by_next.remove(&(next, number));
    }
}

/// A piece of history.
struct Slice {
    from: i64,
    events: Vec<Event>,
    /// Everything up to here is in it.
    to: i64,
}

impl Hub {
    /// Whether watchers are behind that could be served, so that [`Hub::sync`] is to be called.
    pub fn needs_sync(&self) -> bool {
        !self.rounds.by_next.is_empty()
    }

    /// Serves one slice of history to watchers that are behind. The view should be the latest. Errs only where the
    /// database cannot be read.
    pub fn sync(&mut self, view: &View) -> crate::Result<()> {
        self.end_compacted(view.compact_revision());
        let Some(from) = self.next_in_line() else {
            return Ok(());
        };
        if from > view.revision() {
            // The view is older than what they were told already; with the next one they are in sync.
            self.catch_up(&Slice { from, events: Vec::new(), to: from - 1 }, view, &[]);
            return Ok(());
        }
        let slice = self.read(view, from)?;
        let hits = self.slice_hits(&slice);
        let mut encoder = Encoder::new(&slice.events, view);
        let (mut left_out, mut told) = (Vec::new(), Ok(()));
        for share in by_watcher(&hits) {
            let number = share[0].0;
            let full = self.watchers.get(number).is_some_and(|w| self.is_full(w.stream));
            let sent = if full { Ok(()) } else { self.send_events(share, &mut encoder, Some(view.revision())) };
            if full || sent.is_err() {
                left_out.push(number);
            }
            told = told.and(sent);
        }
        self.catch_up(&slice, view, &left_out);
        told
    }

    /// Puts a watcher that is behind in line.
    pub(super) fn enqueue(&mut self, number: u32) {
        let Some(watcher) = self.watchers.get_mut(number) else {
            return;
        };
        self.rounds.by_next.insert((watcher.next, number));
        if !watcher.queued {
            watcher.queued = true;
            self.rounds.line.push_back(number);
        }
    }

    /// A stream has room again: its watcher goes back in line.
    pub(super) fn unpark(&mut self, number: u32, stream: StreamId) {
        if self.watchers.get(number).is_some_and(|w| w.stream == stream && w.phase == Phase::Parked) {
            self.watchers.set_phase(number, Phase::Behind);
            self.enqueue(number);
        }
    }

    fn park(&mut self, number: u32) {
        let Some(watcher) = self.watchers.get_mut(number) else {
            return;
        };
        watcher.queued = false;
        let (next, stream) = (watcher.next, watcher.stream);
        self.rounds.leave(number, next);
        self.watchers.set_phase(number, Phase::Parked);
        if let Some(stream) = self.streams.get_mut(&stream) {
            stream.parked.push(number);
        }
    }

    /// Where the next slice begins.
    fn next_in_line(&mut self) -> Option<i64> {
        if self.rounds.by_next.is_empty() {
            return None;
        }
        loop {
            if self.rounds.line.is_empty() {
                if self.rounds.next_line.is_empty() {
                    return None;
                }
                std::mem::swap(&mut self.rounds.line, &mut self.rounds.next_line);
                self.rounds.round += 1;
            }
            let number = self.rounds.line.pop_front()?;
            let Some(watcher) = self.watchers.get_mut(number).filter(|w| w.queued) else {
                continue;
            };
            if watcher.phase != Phase::Behind {
                watcher.queued = false;
                continue;
            }
            let (next, served, stream) = (watcher.next, watcher.served, watcher.stream);
            if self.is_full(stream) {
                self.park(number);
                continue;
            }
            self.rounds.next_line.push_back(number);
            if served < self.rounds.round {
                return Some(next);
            }
        }
    }

    fn read(&self, view: &View, from: i64) -> crate::Result<Slice> {
        let (mut events, mut bytes, mut revisions, mut to) = (Vec::new(), 0, 0, from - 1);
        for event in view.events(from)? {
            let event: Event = event?;
            let revision = event.revision.main;
            if revision != to {
                if revisions == self.config.slice_revisions || bytes >= self.config.slice_bytes {
                    return Ok(Slice { from, events, to });
                }
                revisions += 1;
                to = revision;
            }
            bytes += event.kv.key.len() + event.record.len();
            events.push(event);
        }
        Ok(Slice { from, events, to: view.revision() })
    }

    fn slice_hits(&self, slice: &Slice) -> Vec<Hit> {
        let mut hits = Vec::new();
        let mut found = Vec::new();
        for (number, event) in (0u32..).zip(&slice.events) {
            self.watchers.behind.find_all(&event.kv.key, &mut found);
            for watcher in found.drain(..) {
                let takes_part = |w: &Watcher| {
                    w.phase == Phase::Behind && (slice.from..=event.revision.main).contains(&w.next) && w.wants(event)
                };
                if self.watchers.get(watcher).is_some_and(takes_part) {
                    hits.push((watcher, number));
                }
            }
        }
        hits.sort_unstable();
        hits
    }

    /// Moves all who took part to the end of the slice, but for those (sorted) whose stream had no room.
    fn catch_up(&mut self, slice: &Slice, view: &View, left_out: &[u32]) {
        let taken = self.rounds.by_next.range((slice.from, 0)..=(slice.to.max(slice.from), u32::MAX));
        let part: Vec<(i64, u32)> = taken.copied().collect();
        let (next, now) = (slice.to.max(slice.from - 1) + 1, view.revision());
        for (old, number) in part {
            if left_out.binary_search(&number).is_ok() {
                self.park(number);
                continue;
            }
            let Some(watcher) = self.watchers.get_mut(number) else {
                continue;
            };
            watcher.served = self.rounds.round;
            watcher.next = watcher.next.max(next);
            let next = watcher.next;
            self.rounds.by_next.remove(&(old, number));
            if next > now && next > self.revision {
                self.watchers.set_phase(number, Phase::Synced);
            } else {
                self.rounds.by_next.insert((next, number));
            }
        }
    }

    /// Ends the watchers that stand before the compacted revision.
    fn end_compacted(&mut self, compacted: i64) {
        while let Some((next, number)) = self.rounds.by_next.first().copied().filter(|(next, _)| *next < compacted) {
            let Some(watcher) = self.remove_watcher(number) else {
                self.rounds.leave(number, next);
                continue;
            };
            if let Some(stream) = self.streams.get_mut(&watcher.stream) {
                stream.ids.insert(watcher.id, Entry::Ended);
            }
            let mut output = Output::control(OutputKind::Compacted, watcher.id, 0);
            output.head.canceled = true;
            output.head.compact_revision = compacted;
            self.push(watcher.stream, output);
        }
    }
}
