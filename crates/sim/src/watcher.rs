//! Watchers, at some member or other, that read their streams when they like.

use std::time::Duration;

use mvcc::watch::{OutputKind, StreamId};

use crate::check::{Wants, WatchCheck};
use crate::options::Planted;
use crate::rng::Rng;
use crate::world::{Happening, World};

/// How often a stream tells of its progress.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// A watcher.
pub struct Watcher {
    pub check: WatchCheck,
    /// The member it watches, in which incarnation, by which stream.
    at: Option<(usize, u32, StreamId)>,
}

impl Watcher {
    pub fn new(check: WatchCheck) -> Self {
        Self { check, at: None }
    }

    pub fn is_attached(&self) -> bool {
        self.at.is_some()
    }

    /// A watcher of everything, or of this and that.
    pub fn of(rng: &mut Rng) -> Self {
        let all = Wants { prev_kv: rng.permille(300), fragment: rng.permille(300), ..Wants::everything() };
        let wants = match rng.below(4) {
            0 | 1 => all,
            2 => Wants { key: "key-03".into(), range_end: "key-07".into(), ..all },
            _ => {
                let no_put = rng.permille(500);
                Wants { no_put, no_delete: !no_put, ..all }
            }
        };
        Self::new(WatchCheck::new(wants, 2))
    }
}

impl World {
    /// The watcher reads what there is, or finds itself a member.
    pub fn watch_turn(&mut self, number: usize) {
        let slow = self.rng.permille(100) && !self.closing;
        let pause = if slow { self.rng.between(500, 3000) } else { self.rng.between(5, 100) };
        self.schedule.after(Duration::from_millis(pause), Happening::Watch { watcher: number });
        match self.attached(number) {
            Some(_) if self.rng.permille(5) => self.detach(number),
            Some(_) => {
                if self.rng.permille(50) {
                    self.ask_progress(number);
                }
                self.read_watcher(number);
            }
            None => {
                let member = self.rng.index(self.slots.len());
                self.attach(number, member);
            }
        }
    }

    /// Asks how far the watcher's stream is.
    pub fn ask_progress(&mut self, number: usize) {
        if let Some((member, stream)) = self.attached(number)
            && let Some(running) = &mut self.slots[member].running
        {
            let published = running.booted.reader.view().revision();
            running.hub.request_progress(stream, published);
        }
    }

    /// Where the watcher watches, if that still runs.
    fn attached(&mut self, number: usize) -> Option<(usize, StreamId)> {
        let (member, incarnation, stream) = self.watchers[number].at?;
        let slot = &self.slots[member];
        let lives = slot.incarnation == incarnation && slot.running.is_some();
        if !lives {
            self.watchers[number].at = None;
            self.watchers[number].check.disconnected();
        }
        lives.then_some((member, stream))
    }

    /// Ends the watcher's connection.
    pub fn detach(&mut self, number: usize) {
        if let Some((member, stream)) = self.attached(number)
            && let Some(running) = &mut self.slots[member].running
        {
            running.hub.close_stream(stream);
        }
        self.watchers[number].at = None;
        self.watchers[number].check.disconnected();
    }

    /// Begins to watch this member; false where it does not take the connection.
    pub fn attach(&mut self, number: usize, member: usize) -> bool {
        let now = self.schedule.now();
        let slot = &mut self.slots[member];
        let (incarnation, paused) = (slot.incarnation, slot.is_paused(now));
        let Some(running) = slot.running.as_mut().filter(|_| !paused) else { return false };
        let stream = running.hub.open_stream(now, PROGRESS_EVERY);
        let check = &self.watchers[number].check;
        let skip = i64::from(self.options.planted == Some(Planted::WatchSkips));
        let create = check.wants.request(check.next + skip);
        let published = running.booted.reader.view().revision();
        running.hub.create(stream, &create, published);
        self.watchers[number].at = Some((member, incarnation, stream));
        true
    }

    /// Reads all that the watcher's stream holds.
    pub fn read_watcher(&mut self, number: usize) {
        let now = self.schedule.now();
        let Some((member, stream)) = self.attached(number) else { return };
        if self.slots[member].is_paused(now) {
            return;
        }
        let Some(running) = &mut self.slots[member].running else { return };
        running.hub.tick(now);
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
                OutputKind::Events => check.events(&message.events, message.fragment, revision, &self.consensus.model),
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
