//! What clients ask of a stream: creating and cancelling watchers, asking for progress.
//!
//! Each call is told the revision that is published at that moment, which the hub may not have been fed yet.

use proto::errors::{ClientError, watch_reason};
use proto::etcdserverpb::watch_create_request::FilterType;
use proto::etcdserverpb::watch_request::RequestUnion;
use proto::etcdserverpb::{WatchCreateRequest, WatchRequest};

use super::hub::{Hub, StreamId};
use super::index::Target;
use super::output::{Output, OutputKind};
use super::stream::Entry;
use super::watcher::{Phase, Watcher};

/// The id in answers that concern no watcher.
const NO_WATCHER: i64 = -1;

impl Hub {
    /// Carries out a request whose permission is checked. Unknown kinds are ignored.
    pub fn request(&mut self, stream: StreamId, request: &WatchRequest, published: i64) {
        match &request.request_union {
            Some(RequestUnion::CreateRequest(create)) => self.create(stream, create, published),
            Some(RequestUnion::CancelRequest(cancel)) => self.cancel(stream, cancel.watch_id, published),
            Some(RequestUnion::ProgressRequest(_)) => self.request_progress(stream, published),
            None => {}
        }
    }

    /// Creates a watcher, or says why not.
    pub fn create(&mut self, stream: StreamId, request: &WatchCreateRequest, published: i64) {
        let revision = published.max(self.revision);
        match self.try_create(stream, request, revision) {
            Ok(id) => {
                let mut output = Output::control(OutputKind::Created, id, revision);
                output.head.created = true;
                self.push(stream, output);
            }
            Err(reason) => self.refuse(stream, reason, published),
        }
    }

    /// Answers a request to create that is refused outside, for lack of permission.
    pub fn refuse(&mut self, stream: StreamId, reason: &str, published: i64) {
        let mut output = Output::control(OutputKind::Refused, NO_WATCHER, published.max(self.revision));
        output.head.created = true;
        output.head.canceled = true;
        output.head.cancel_reason = reason.to_owned();
        self.push(stream, output);
    }

    fn try_create(&mut self, id: StreamId, r: &WatchCreateRequest, revision: i64) -> Result<i64, &'static str> {
        if r.start_revision < 0 {
            return Err(ClientError::Compacted.text());
        }
        let target = Target::new(&r.key, &r.range_end).ok_or(watch_reason::EMPTY_RANGE)?;
        let stream = self.streams.get_mut(&id).ok_or(watch_reason::DUPLICATE_ID)?;
        let watch_id = stream.pick_id(r.watch_id).ok_or(watch_reason::DUPLICATE_ID)?;
        let synced = r.start_revision == 0 || r.start_revision > revision;
        let next = if r.start_revision == 0 { revision + 1 } else { r.start_revision };
        let filtered = |kind: FilterType| r.filters.contains(&(kind as i32));
        let watcher = Watcher {
            phase: if synced { Phase::Synced } else { Phase::Behind },
            no_put: filtered(FilterType::Noput),
            no_delete: filtered(FilterType::Nodelete),
            prev_kv: r.prev_kv,
            fragment: r.fragment,
            progress_notify: r.progress_notify,
            ..Watcher::new(id, watch_id, target, next)
        };
        let number = self.watchers.insert(watcher);
        stream.ids.insert(watch_id, Entry::Live(number));
        if !synced {
            self.enqueue(number);
        }
        Ok(watch_id)
    }

    /// Ends a watcher and says so. An unknown id is not answered.
    pub fn cancel(&mut self, stream: StreamId, watch_id: i64, published: i64) {
        let entry = self.streams.get_mut(&stream).and_then(|s| s.ids.remove(&watch_id));
        match entry {
            None => return,
            Some(Entry::Live(number)) => {
                self.remove_watcher(number);
            }
            Some(Entry::Ended) => {}
        }
        let mut output = Output::control(OutputKind::Canceled, watch_id, published.max(self.revision));
        output.head.canceled = true;
        self.push(stream, output);
    }

    /// Answers with the revision up to which the stream has been told everything, if all its watchers are in sync;
    /// otherwise not at all. Where the hub has yet to be fed what is published, the answer waits for that.
    pub fn request_progress(&mut self, id: StreamId, published: i64) {
        if published <= self.revision {
            return self.answer_progress(id);
        }
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.progress_at.push(published);
            if stream.progress_at.len() == 1 {
                self.progress_waits.push(id);
            }
        }
    }

    fn answer_progress(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get(&id) else {
            return;
        };
        let told_all = |entry: &Entry| match entry {
            Entry::Ended => false,
            Entry::Live(number) => self.watchers.get(*number).is_some_and(|w| self.is_told_all(w)),
        };
        if !stream.ids.is_empty() && stream.ids.values().all(told_all) {
            let output = Output::control(OutputKind::Progress, NO_WATCHER, self.revision);
            self.push(id, output);
        }
    }

    /// Answers what waited for the hub to be fed.
    pub(super) fn answer_waiting_progress(&mut self) {
        if self.progress_waits.is_empty() {
            return;
        }
        for id in std::mem::take(&mut self.progress_waits) {
            let Some(stream) = self.streams.get_mut(&id) else {
                continue;
            };
            let asked = stream.progress_at.len();
            stream.progress_at.retain(|at| *at > self.revision);
            let (waiting, due) = (stream.progress_at.len(), asked - stream.progress_at.len());
            if waiting > 0 {
                self.progress_waits.push(id);
            }
            for _ in 0..due {
                self.answer_progress(id);
            }
        }
    }

    /// Whether everything up to the hub's revision is in the watcher's stream, or does not concern it.
    pub(super) fn is_told_all(&self, watcher: &Watcher) -> bool {
        watcher.phase == Phase::Synced && watcher.next <= self.revision + 1
    }
}
