//! The driver's inbox: bounded for requests, open for the answers of the log writer and the applier, which must not be lost.
//!
//! Requests come in groups, because waking the driver costs more than most of them: see `front::Outgoing`.

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
    sender: mpsc::Sender<Mail>,
    waiting: Arc<AtomicUsize>,
}

/// The driver's end.
pub struct Outbox {
    receiver: mpsc::Receiver<Mail>,
    waiting: Arc<AtomicUsize>,
}

/// What is in the channel.
enum Mail {
    Requests(Vec<Event>),
    Answer(Box<Event>),
}

/// Both ends.
pub fn inbox() -> (Inbox, Outbox) {
    let (sender, receiver) = mpsc::channel();
    let waiting = Arc::new(AtomicUsize::new(0));
    (Inbox { sender, waiting: waiting.clone() }, Outbox { receiver, waiting })
}

impl Inbox {
    /// Takes a place for a request, which [`Inbox::requests`] will bring. Errs with "too many requests" where the inbox is full.
    pub fn reserve(&self) -> Result<(), ClientError> {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= REQUESTS_MAX {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(ClientError::RequestTooManyRequests);
        }
        Ok(())
    }

    /// Brings requests whose places are taken; false after the driver's end.
    pub fn requests(&self, events: Vec<Event>) -> bool {
        self.sender.send(Mail::Requests(events)).is_ok()
    }

    /// An answer of the log writer or the applier, or the order to stop. After the driver's end there is nothing left to tell
    /// it.
    pub fn answer(&self, event: Event) {
        let _ended = self.sender.send(Mail::Answer(Box::new(event)));
    }
}

impl Outbox {
    /// Waits at most `patience` for events, and gives those to `take` that have gathered, about `max` at most. Errs once every
    /// sender is gone.
    pub fn gather(&self, patience: Duration, max: usize, mut take: impl FnMut(Event)) -> Result<(), Gone> {
        let mut mail = match self.receiver.recv_timeout(patience) {
            Ok(mail) => Some(mail),
            Err(mpsc::RecvTimeoutError::Timeout) => None,
            Err(mpsc::RecvTimeoutError::Disconnected) => return Err(Gone),
        };
        let mut taken = 0;
        while let Some(next) = mail {
            match next {
                Mail::Requests(events) => {
                    self.waiting.fetch_sub(events.len(), Ordering::Relaxed);
                    taken += events.len();
                    events.into_iter().for_each(&mut take);
                }
                Mail::Answer(event) => {
                    taken += 1;
                    take(*event);
                }
            }
            mail = if taken < max { self.receiver.try_recv().ok() } else { None };
        }
        Ok(())
    }
}

/// Nobody is left who could send anything.
#[derive(Debug, PartialEq, Eq)]
pub struct Gone;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_bounded_and_answers_are_not() {
        let (inbox, outbox) = inbox();
        for _ in 0..REQUESTS_MAX {
            inbox.reserve().expect("room");
        }
        assert_eq!(inbox.reserve(), Err(ClientError::RequestTooManyRequests));
        inbox.answer(Event::Stop);
        assert!(inbox.requests(vec![Event::ReadIndex { ticket: 1 }]));
        let mut taken = 0;
        assert_eq!(outbox.gather(Duration::ZERO, 10, |_| taken += 1), Ok(()));
        assert_eq!(taken, 2);
        assert_eq!(inbox.reserve(), Ok(()));
        drop(outbox);
        assert!(!inbox.requests(vec![Event::ReadIndex { ticket: 1 }]));
    }
}
