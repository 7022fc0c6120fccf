//! The hub: its streams, their output, and what it counts.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use super::output::{Output, OutputKind};
use super::stream::{Entry, Stream};
use super::sync::Rounds;
use super::watcher::{Phase, Watcher, Watchers};
use crate::view::View;

/// Names a stream of a hub. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u64);

/// Bounds, and what headers say.
#[derive(Clone, Debug)]
pub struct HubConfig {
    pub cluster_id: u64,
    pub member_id: u64,
    /// Bytes of output that a stream may leave lying before its watchers fall back to history.
    pub stream_bytes_max: usize,
    /// An answer ends at the first border of revisions past this many bytes of events.
    pub response_bytes: usize,
    /// Answers of this size are split for watchers that allow it: etcd's request limit and 512 KiB.
    pub fragment_bytes: usize,
    /// Revisions read from history in one slice.
    pub slice_revisions: usize,
    /// Bytes of records after which a slice ends early, at a border of revisions.
    pub slice_bytes: usize,
}

impl Default for HubConfig {
    fn default() -> HubConfig {
        HubConfig {
            cluster_id: 0,
            member_id: 0,
            stream_bytes_max: 1 << 20,
            response_bytes: 1 << 20,
            fragment_bytes: (3 << 19) + (1 << 19),
            slice_revisions: 1000,
            slice_bytes: 2 << 20,
        }
    }
}

/// What a hub counts, for the metrics of `etcd_debugging_mvcc`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HubStats {
    pub streams: usize,
    pub watchers: usize,
    /// Watchers that read history.
    pub slow_watchers: usize,
    /// Events in queues of output.
    pub pending_events: usize,
    /// Events put into queues since the hub began.
    pub events_total: u64,
}

/// Watch streams of one thread. See the module's documentation.
#[derive(Debug)]
pub struct Hub {
    pub(super) config: HubConfig,
    pub(super) raft_term: u64,
    /// Events up to here have been given to the watchers in sync.
    pub(super) revision: i64,
    pub(super) streams: HashMap<StreamId, Stream>,
    pub(super) watchers: Watchers,
    pub(super) rounds: Rounds,
    pub(super) ticks: BTreeSet<(Duration, StreamId)>,
    /// Streams that wait with an answer about progress until the hub has caught up with what is published.
    pub(super) progress_waits: Vec<StreamId>,
    /// Kept to be filled again.
    pub(super) scratch: Vec<Output>,
    ready: Vec<StreamId>,
    last_stream: u64,
    pending_events: usize,
    events_total: u64,
}

impl Hub {
    /// A hub that is fed with the batches after this view.
    pub fn new(view: &View, config: HubConfig) -> Hub {
        Hub::at(view.revision(), config)
    }

    pub(super) fn at(revision: i64, config: HubConfig) -> Hub {
        Hub {
            config,
            raft_term: 0,
            revision,
            streams: HashMap::new(),
            watchers: Watchers::default(),
            rounds: Rounds::default(),
            ticks: BTreeSet::new(),
            progress_waits: Vec::new(),
            scratch: Vec::new(),
            ready: Vec::new(),
            last_stream: 0,
            pending_events: 0,
            events_total: 0,
        }
    }

    /// The term that headers of answers taken from now on carry.
    pub fn set_raft_term(&mut self, term: u64) {
        self.raft_term = term;
    }

    /// The revision up to which watchers in sync have been told.
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// Opens a stream, whose watchers with `progress_notify` are told of progress each `tick_every` from `now` on; the
    /// caller adds its jitter to the interval.
    pub fn open_stream(&mut self, now: Duration, tick_every: Duration) -> StreamId {
        self.last_stream += 1;
        let id = StreamId(self.last_stream);
        let tick_at = now + tick_every;
        self.streams.insert(id, Stream::new(tick_at, tick_every));
        self.ticks.insert((tick_at, id));
        id
    }

    /// Ends a stream and its watchers; what it has not sent is dropped.
    pub fn close_stream(&mut self, id: StreamId) {
        let Some(stream) = self.streams.remove(&id) else {
            return;
        };
        self.pending_events -= stream.queued_events();
        self.ticks.remove(&(stream.tick_at, id));
        for entry in stream.ids.into_values() {
            if let Entry::Live(number) = entry {
                self.remove_watcher(number);
            }
        }
    }

    /// Streams that have got output since the last call, to be emptied with [`Hub::next_output`]. A stream that is not
    /// emptied is not named again before it is.
    pub fn take_ready(&mut self) -> Vec<StreamId> {
        std::mem::take(&mut self.ready)
    }

    /// The next answer of a stream.
    pub fn next_output(&mut self, id: StreamId) -> Option<Output> {
        let stream = self.streams.get_mut(&id)?;
        let Some(mut output) = stream.pop() else {
            stream.is_ready = false;
            return None;
        };
        if output.kind == OutputKind::Events {
            self.pending_events -= output.event_count();
        }
        if stream.full && stream.queued_bytes() <= self.config.stream_bytes_max / 2 {
            stream.full = false;
            for number in std::mem::take(&mut stream.parked) {
                self.unpark(number, id);
            }
        }
        output.set_identity(self.config.cluster_id, self.config.member_id, self.raft_term);
        Some(output)
    }

    /// Whether the stream has so much to send that no further requests of it should be read.
    pub fn is_full(&self, id: StreamId) -> bool {
        self.streams.get(&id).is_some_and(|stream| stream.full)
    }

    /// How many watchers the stream has that can still get events.
    pub fn watcher_count(&self, id: StreamId) -> usize {
        let live = |entry: &&Entry| matches!(entry, Entry::Live(_));
        self.streams.get(&id).map_or(0, |stream| stream.ids.values().filter(live).count())
    }

    /// What the hub counts.
    pub fn stats(&self) -> HubStats {
        HubStats {
            streams: self.streams.len(),
            watchers: self.watchers.len(),
            slow_watchers: self.watchers.len() - self.watchers.synced_len(),
            pending_events: self.pending_events,
            events_total: self.events_total,
        }
    }

    pub(super) fn push(&mut self, id: StreamId, output: Output) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        if output.kind == OutputKind::Events {
            self.pending_events += output.event_count();
            self.events_total += output.event_count() as u64;
        }
        stream.push(output, self.config.stream_bytes_max);
        if !stream.is_ready {
            stream.is_ready = true;
            self.ready.push(id);
        }
    }

    pub(super) fn remove_watcher(&mut self, number: u32) -> Option<Watcher> {
        let watcher = self.watchers.remove(number)?;
        if watcher.phase == Phase::Behind {
            self.rounds.leave(number, watcher.next);
        }
        Some(watcher)
    }
}
