//! How published events reach the watch hubs: one bounded feed for each front-door thread. A thread that falls behind misses
//! batches; it sees the gap in the revisions, and its hub then reads from history what is missing.

use mvcc::EventBatch;
use std::sync::Arc;
use tokio::sync::mpsc::{self, error::TrySendError};

/// Batches that may wait for one hub.
const BATCHES_MAX: usize = 256;

/// The applier's ends.
pub struct Feeds(Vec<mpsc::Sender<Arc<EventBatch>>>);

/// A hub's end.
pub type FeedEnd = mpsc::Receiver<Arc<EventBatch>>;

/// One feed for each of `fronts` threads.
pub fn feeds(fronts: usize) -> (Feeds, Vec<FeedEnd>) {
    let (feeds, ends) = (0..fronts).map(|_| mpsc::channel(BATCHES_MAX)).unzip();
    (Feeds(feeds), ends)
}

impl Feeds {
    /// Gives a batch to every hub without waiting.
    pub fn feed(&self, batch: Arc<EventBatch>) {
        for feed in &self.0 {
            match feed.try_send(batch.clone()) {
                // Where the feed is full the gap tells; where it is closed, the thread has stopped and its watches with it.
                Ok(()) | Err(TrySendError::Full(_) | TrySendError::Closed(_)) => {}
            }
        }
    }
}
