//! New batches: told to the watchers in sync.

use std::sync::Arc;

use super::answers::Answers;
use super::encode::Encoder;
use super::hub::Hub;
use super::watcher::Phase;
use crate::event::EventBatch;
use crate::view::View;

/// Which watcher is to be told which event of the batch or slice at hand, both by number.
pub(super) type Hit = (u32, u32);

impl Hub {
    /// Tells the watchers in sync of a batch. Batches come in order; one that is known already is skipped, one after a
    /// gap sends the watchers to history. Errs only where a previous value cannot be read from disk.
    pub fn publish(&mut self, batch: &Arc<EventBatch>) -> crate::Result<()> {
        let (first, last) = (batch.first_revision(), batch.last_revision());
        if last <= self.revision {
            return Ok(());
        }
        if first > self.revision + 1 {
            self.fall_back(first - 1);
        }
        let hits = self.hits(batch);
        self.revision = last;
        let mut encoder = Encoder::new(&batch.events, &batch.view);
        let told = by_watcher(&hits).map(|share| self.tell_synced(share, &mut encoder));
        let told = told.fold(Ok(()), crate::Result::and);
        self.answer_waiting_progress();
        told
    }

    /// A snapshot was installed, or batches were lost and none may follow for long: watchers in sync read on from where
    /// they are in the history of this view, and end if that is compacted. Batches up to the view that still come are
    /// skipped.
    pub fn reset(&mut self, view: &View) {
        self.fall_back(view.revision());
        self.answer_waiting_progress();
    }

    /// Moves on without the events up to `revision`: watchers that want them read history.
    fn fall_back(&mut self, revision: i64) {
        let next = self.revision + 1;
        for number in self.watchers.all_synced() {
            let Some(watcher) = self.watchers.get_mut(number) else {
                continue;
            };
            watcher.next = watcher.next.max(next);
            if watcher.next <= revision {
                self.watchers.set_phase(number, Phase::Behind);
                self.enqueue(number);
            }
        }
        self.revision = self.revision.max(revision);
    }

    fn hits(&self, batch: &EventBatch) -> Vec<Hit> {
        let mut hits = Vec::new();
        let mut found = Vec::new();
        for (number, event) in (0u32..).zip(&batch.events) {
            if event.revision.main <= self.revision {
                continue;
            }
            self.watchers.synced.find_all(&event.kv.key, &mut found);
            for watcher in found.drain(..) {
                if self.watchers.get(watcher).is_some_and(|w| w.next <= event.revision.main && w.wants(event)) {
                    hits.push((watcher, number));
                }
            }
        }
        if batch.events.len() > 1 {
            hits.sort_unstable();
        }
        hits
    }

    fn tell_synced(&mut self, share: &[Hit], encoder: &mut Encoder<'_>) -> crate::Result<()> {
        let [(number, first), ..] = *share else {
            return Ok(());
        };
        let full = self.watchers.get(number).is_some_and(|w| self.is_full(w.stream));
        let told = if full { Ok(()) } else { self.send_events(share, encoder, None) };
        if full || told.is_err() {
            // Nothing is kept: what it misses, it reads from history once the stream has room.
            let next = encoder.event(first).revision.main;
            if let Some(watcher) = self.watchers.get_mut(number) {
                watcher.next = watcher.next.max(next);
            }
            self.watchers.set_phase(number, Phase::Behind);
            self.enqueue(number);
        }
        told
    }

    /// Queues the events of a watcher, cut at borders of revisions into answers of bounded size: all of them, or on an
    /// error none. The header says `revision`, or without it the revision of the answer's last event.
    pub(super) fn send_events(
        &mut self,
        share: &[Hit],
        encoder: &mut Encoder<'_>,
        revision: Option<i64>,
    ) -> crate::Result<()> {
        let Some(watcher) = share.first().and_then(|(number, _)| self.watchers.get_mut(*number)) else {
            return Ok(());
        };
        watcher.quiet = false;
        let stream = watcher.stream;
        let mut answers = Answers {
            config: &self.config,
            watch_id: watcher.id,
            prev_kv: watcher.prev_kv,
            fragment: watcher.fragment,
            revision,
            outputs: std::mem::take(&mut self.scratch),
        };
        let built = answers.build(share, encoder);
        let mut outputs = answers.outputs;
        if built.is_err() {
            outputs.clear();
        }
        for output in outputs.drain(..) {
            self.push(stream, output);
        }
        self.scratch = outputs;
        built
    }
}

/// The parts of a sorted list that concern one watcher each.
pub(super) fn by_watcher(hits: &[Hit]) -> impl Iterator<Item = &[Hit]> {
    hits.chunk_by(|a, b| a.0 == b.0)
}
