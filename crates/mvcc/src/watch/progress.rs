//! Periodic progress: watchers that asked for it hear of the revision at each tick in which nothing else was sent.

use std::time::Duration;

use super::hub::{Hub, StreamId};
use super::output::{Output, OutputKind};
use super::stream::Entry;

impl Hub {
    /// When [`Hub::tick`] is to be called next.
    pub fn next_tick(&self) -> Option<Duration> {
        self.ticks.first().map(|(at, _)| *at)
    }

    /// Sends the progress notifications that are due.
    pub fn tick(&mut self, now: Duration) {
        while let Some((at, id)) = self.ticks.first().copied().filter(|(at, _)| *at <= now) {
            self.ticks.remove(&(at, id));
            let Some(stream) = self.streams.get_mut(&id) else {
                continue;
            };
            stream.tick_at = now + stream.tick_every.max(Duration::from_millis(1));
            self.ticks.insert((stream.tick_at, id));
            self.tick_stream(id);
        }
    }

    fn tick_stream(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get(&id) else {
            return;
        };
        let live = |entry: &Entry| match entry {
            Entry::Live(number) => Some(*number),
            Entry::Ended => None,
        };
        let numbers: Vec<u32> = stream.ids.values().filter_map(live).collect();
        for number in numbers {
            let Some(watcher) = self.watchers.get_mut(number).filter(|w| w.progress_notify) else {
                continue;
            };
            let was_quiet = std::mem::replace(&mut watcher.quiet, true);
            let watch_id = watcher.id;
            let synced = self.watchers.get(number).is_some_and(|w| self.is_told_all(w));
            if was_quiet && synced {
                self.push(id, Output::control(OutputKind::Progress, watch_id, self.revision));
            }
        }
    }
}
