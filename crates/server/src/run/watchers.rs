//! How published events reach the watch hubs: one bounded feed for each front-door thread. A thread that falls behind misses
//! batches and is told so, even where no other batch follows; its hub then reads from history what is missing.

use mvcc::EventBatch;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio::sync::mpsc::{self, error::TrySendError};

/// Batches that may wait for one hub.
const BATCHES_MAX: usize = 256;

/// The applier's ends.
pub struct Feeds(Vec<Feed>);

struct Feed {
    batches: mpsc::Sender<Arc<EventBatch>>,
    missed: Arc<Notify>,
}

/// A hub's end.
pub struct FeedEnd {
    batches: mpsc::Receiver<Arc<EventBatch>>,
    missed: Arc<Notify>,
}

/// One feed for each of `fronts` threads.
pub fn feeds(fronts: usize) -> (Feeds, Vec<FeedEnd>) {
    let feed = || {
        let (sender, receiver) = mpsc::channel(BATCHES_MAX);
        let missed = Arc::new(Notify::new());
        (Feed { batches: sender, missed: missed.clone() }, FeedEnd { batches: receiver, missed })
    };
    let (feeds, ends) = (0..fronts).map(|_| feed()).unzip();
    (Feeds(feeds), ends)
}

impl Feeds {
    /// Gives a batch to every hub without waiting.
    pub fn feed(&self, batch: Arc<EventBatch>) {
        for feed in &self.0 {
            match feed.batches.try_send(batch.clone()) {
                // Where it is closed, the thread has stopped and its watches with it.
                Ok(()) | Err(TrySendError::Closed(_)) => {}
                Err(TrySendError::Full(_)) => feed.missed.notify_one(),
            }
        }
    }
}

impl FeedEnd {
    /// The next batch; `None` once the applier has ended.
    pub async fn next(&mut self) -> Option<Arc<EventBatch>> {
        self.batches.recv().await
    }

    /// Rings when batches were lost.
    pub fn missed_bell(&self) -> Arc<Notify> {
        self.missed.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Machine;
    use super::*;

    #[tokio::test]
    async fn a_thread_that_falls_behind_is_told() {
        let mut machine = Machine::new();
        let (feeds, mut ends) = feeds(1);
        let mut end = ends.remove(0);
        let bell = end.missed_bell();
        for number in 0..BATCHES_MAX {
            feeds.feed(machine.put(&format!("{number}")));
        }
        let quiet = tokio::time::timeout(std::time::Duration::ZERO, bell.notified()).await;
        assert!(quiet.is_err(), "nothing was lost yet");
        feeds.feed(machine.put("lost"));
        bell.notified().await;
        for number in 0..BATCHES_MAX {
            let batch = end.next().await.expect("a batch");
            assert_eq!(batch.events[0].kv.key, number.to_string());
        }
        drop(feeds);
        assert!(end.next().await.is_none());
    }
}
