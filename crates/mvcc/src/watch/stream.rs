//! One client stream: its watchers by id, and its output.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::output::{Output, OutputKind};

/// What an answer costs in the queue beside its events.
const OUTPUT_COST: usize = 128;

/// A watch id of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Live(u32),
    /// Ended by compaction. The id stays taken until the client cancels it.
    Ended,
}

/// A stream with its watchers.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) ids: BTreeMap<i64, Entry>,
    next_id: i64,
    queue: VecDeque<Output>,
    queued_bytes: usize,
    /// The queue was full and is not yet half empty.
    pub(super) full: bool,
    /// Watchers that wait for that.
    pub(super) parked: Vec<u32>,
    /// Progress asked for when the hub was behind what was published: the revisions to wait for.
    pub(super) progress_at: Vec<i64>,
    pub(super) tick_at: Duration,
    pub(super) tick_every: Duration,
    pub(super) is_ready: bool,
}

impl Stream {
    pub(super) fn new(tick_at: Duration, tick_every: Duration) -> Stream {
        Stream {
            ids: BTreeMap::new(),
            next_id: 0,
            queue: VecDeque::new(),
            queued_bytes: 0,
            full: false,
            parked: Vec::new(),
            progress_at: Vec::new(),
            tick_at,
            tick_every,
            is_ready: false,
        }
    }

    /// The id for a new watcher: the one wished for, or for 0 the next free one. `None` where it is taken.
    pub(super) fn pick_id(&mut self, wish: i64) -> Option<i64> {
        if wish != 0 {
            return (!self.ids.contains_key(&wish)).then_some(wish);
        }
        while self.ids.contains_key(&self.next_id) {
            self.next_id += 1;
        }
        self.next_id += 1;
        Some(self.next_id - 1)
    }

    pub(super) fn push(&mut self, output: Output, bytes_max: usize) {
        self.queued_bytes += cost(&output);
        self.full |= self.queued_bytes >= bytes_max;
        self.queue.push_back(output);
    }

    pub(super) fn pop(&mut self) -> Option<Output> {
        let output = self.queue.pop_front()?;
        self.queued_bytes -= cost(&output);
        Some(output)
    }

    pub(super) fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }

    pub(super) fn queued_events(&self) -> usize {
        self.queue.iter().filter(|o| o.kind == OutputKind::Events).map(Output::event_count).sum()
    }
}

fn cost(output: &Output) -> usize {
    output.events_len + OUTPUT_COST
}
