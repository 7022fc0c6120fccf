//! The driver's inbox: bounded for requests, open for the answers of the log writer and the applier, which must not be lost.

use node::Event;
use proto::errors::ClientError;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

/// Requests that may wait for the driver.
const REQUESTS_MAX: usize = 1 << 16;

/// Where everything for the driver goes.
#[derive(Clone)]
pub struct Inbox {
    sender: mpsc::Sender<(Event, bool)>,
    waiting: Arc<AtomicUsize>,
}

/// The driver's end.
pub struct Outbox {
    receiver: mpsc::Receiver<(Event, bool)>,
    waiting: Arc<AtomicUsize>,
}

/// Both ends.
pub fn inbox() -> (Inbox, Outbox) {
    let (sender, receiver) = mpsc::channel();
    let waiting = Arc::new(AtomicUsize::new(0));
    (Inbox { sender, waiting: waiting.clone() }, Outbox { receiver, waiting })
}

impl Inbox {
    /// A request of a client. Errs with "too many requests" where the inbox is full, with "server stopped" after the end.
    pub fn request(&self, event: Event) -> Result<(), ClientError> {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= REQUESTS_MAX {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(ClientError::RequestTooManyRequests);
        }
        self.sender.send((event, true)).map_err(|_| ClientError::Stopped)
    }

    /// An answer of the log writer or the applier, or the order to stop. After the driver's end there is nothing left to tell
    /// it.
    pub fn answer(&self, event: Event) {
        let _ended = self.sender.send((event, false));
    }
}

impl Outbox {
    /// Waits at most `patience` for the next event; `Err` once every sender is gone.
    pub fn next(&self, patience: Duration) -> Result<Option<Event>, mpsc::RecvTimeoutError> {
        match self.receiver.recv_timeout(patience) {
            Ok(item) => Ok(Some(self.count(item))),
            Err(mpsc::RecvTimeoutError::Timeout) => Ok(None),
            Err(gone) => Err(gone),
        }
    }

    /// The next event that is already there.
    pub fn ready(&self) -> Option<Event> {
        self.receiver.try_recv().ok().map(|item| self.count(item))
    }

    fn count(&self, (event, bounded): (Event, bool)) -> Event {
        if bounded {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        event
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_bounded_and_answers_are_not() {
        let (inbox, outbox) = inbox();
        for _ in 0..REQUESTS_MAX {
            inbox.request(Event::ReadIndex { ticket: 1 }).expect("room");
        }
        assert_eq!(inbox.request(Event::ReadIndex { ticket: 1 }), Err(ClientError::RequestTooManyRequests));
        inbox.answer(Event::Stop);
        assert!(outbox.ready().is_some());
        assert_eq!(inbox.request(Event::ReadIndex { ticket: 1 }), Ok(()));
        drop(outbox);
        assert_eq!(inbox.request(Event::ReadIndex { ticket: 1 }), Err(ClientError::Stopped));
    }
}
