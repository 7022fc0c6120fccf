//! Watchers of everything, at some member or other, that read their streams when they like.

use std::time::Duration;

use mvcc::watch::{OutputKind, StreamId};
use proto::etcdserverpb::WatchCreateRequest;

use crate::check::WatchCheck;
use crate::world::{Happening, World};

/// A watcher.
pub struct Watcher {
    pub check: WatchCheck,
    /// The member it watches, in which incarnation, by which stream.
    at: Option<(usize, u32, StreamId)>,
}

impl Watcher {
    pub fn new() -> Self {
        Self { check: WatchCheck::new(2), at: None }
    }
}

impl Default for Watcher {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// The watcher reads what there is, or finds itself a member.
    pub fn watch_turn(&mut self, number: usize) {
        let slow = self.rng.permille(100) && !self.closing;
        let pause = if slow { self.rng.between(500, 3000) } else { self.rng.between(5, 100) };
        self.schedule.after(Duration::from_millis(pause), Happening::Watch { watcher: number });
        let attached = self.watchers[number].at.filter(|(member, incarnation, _)| {
            let slot = &self.slots[*member];
            slot.incarnation == *incarnation && slot.running.is_some()
        });
        match attached {
            Some((member, _, stream)) if self.rng.permille(5) => {
                if let Some(running) = &mut self.slots[member].running {
                    running.hub.close_stream(stream);
                }
                self.watchers[number].at = None;
            }
            Some((member, _, stream)) => self.read_stream(number, member, stream),
            None => self.attach(number),
        }
    }

    fn attach(&mut self, number: usize) {
        let member = self.rng.index(self.slots.len());
        let now = self.schedule.now();
        let slot = &mut self.slots[member];
        let (incarnation, paused) = (slot.incarnation, slot.is_paused(now));
        let Some(running) = slot.running.as_mut().filter(|_| !paused) else { return };
        let stream = running.hub.open_stream(now, Duration::from_secs(1));
        let create = WatchCreateRequest {
            key: b"\0".as_slice().into(),
            range_end: b"\0".as_slice().into(),
            start_revision: self.watchers[number].check.next,
            progress_notify: true,
            ..WatchCreateRequest::default()
        };
        let published = running.booted.reader.view().revision();
        running.hub.create(stream, &create, published);
        self.watchers[number].at = Some((member, incarnation, stream));
    }

    fn read_stream(&mut self, number: usize, member: usize, stream: StreamId) {
        let now = self.schedule.now();
        if self.slots[member].is_paused(now) {
            return;
        }
        let Some(running) = &mut self.slots[member].running else { return };
        let view = running.booted.reader.view();
        if running.hub.needs_sync() {
            running.hub.sync(view.kv()).expect("a readable database");
        }
        running.hub.take_ready();
        let check = &mut self.watchers[number].check;
        while let Some(output) = running.hub.next_output(stream) {
            let message = output.to_message();
            let revision = message.header.as_ref().map_or(0, |header| header.revision);
            match output.kind() {
                OutputKind::Created => {}
                OutputKind::Events => check.events(&message.events, revision, &self.consensus.model),
                OutputKind::Progress => check.progress(revision, &self.consensus.model),
                OutputKind::Compacted => {
                    check.compacted(message.compact_revision, &self.consensus.model);
                    self.watchers[number].at = None;
                    return running.hub.close_stream(stream);
                }
                OutputKind::Refused | OutputKind::Canceled => panic!("nobody asked for that: {message:?}"),
            }
        }
    }
}
