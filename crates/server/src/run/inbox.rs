//! The driver's inbox: bounded for requests and for messages of peers, open for the answers of the log writer and the applier,
//! which must not be lost.
//!
//! Requests come in groups, because waking the driver costs more than most of them: see `front::Outgoing`.

use node::Event;
use proto::errors::ClientError;
use proto::raftpb::Message;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

/// Requests that may wait for the driver.
const REQUESTS_MAX: usize = 1 << 16;
/// Messages of peers that may wait, and bytes of entries in them; the same again for proposals that others forward.
const MESSAGES_MAX: usize = 1 << 13;
const MESSAGE_BYTES_MAX: usize = 128 << 20;
/// What an entry takes beside its data.
const ENTRY_BYTES: usize = 64;

/// Where everything for the driver goes.
#[derive(Clone)]
pub struct Inbox {
    sender: mpsc::Sender<Mail>,
    waiting: Arc<Waiting>,
}

/// The driver's end.
pub struct Outbox {
    receiver: mpsc::Receiver<Mail>,
    waiting: Arc<Waiting>,
}

/// What has been sent and not yet been taken.
#[derive(Default)]
struct Waiting {
    requests: AtomicUsize,
    messages: Pile,
    proposals: Pile,
}

/// Messages of one kind that wait.
#[derive(Default)]
struct Pile {
    count: AtomicUsize,
    bytes: AtomicUsize,
}

impl Pile {
    /// Takes places for as many of these sizes as there is room for; one message fits always.
    fn reserve(&self, sizes: impl Iterator<Item = usize>) -> (usize, usize) {
        let (mut taken, mut taken_bytes) = (0, 0);
        let (count, bytes) = (self.count.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed));
        for size in sizes {
            let room = count + taken < MESSAGES_MAX && bytes + taken_bytes + size <= MESSAGE_BYTES_MAX;
            if !room && count + taken > 0 {
                break;
            }
            taken += 1;
            taken_bytes += size;
        }
        self.count.fetch_add(taken, Ordering::Relaxed);
        self.bytes.fetch_add(taken_bytes, Ordering::Relaxed);
        (taken, taken_bytes)
    }

    fn release(&self, count: usize, bytes: usize) {
        self.count.fetch_sub(count, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Which messages of peers: proposals must not crowd out what keeps the cluster going.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Post {
    Messages,
    Proposals,
}

impl Waiting {
    fn pile(&self, post: Post) -> &Pile {
        match post {
            Post::Messages => &self.messages,
            Post::Proposals => &self.proposals,
        }
    }
}

fn size_of(message: &Message) -> usize {
    message.entries.iter().map(|entry| ENTRY_BYTES + entry.data.len()).sum()
}

/// What is in the channel.
enum Mail {
    Requests(Vec<Event>),
    Answer(Box<Event>),
    Post(Post, Vec<Message>, usize),
}

/// Both ends.
pub fn inbox() -> (Inbox, Outbox) {
    let (sender, receiver) = mpsc::channel();
    let waiting = Arc::new(Waiting::default());
    (Inbox { sender, waiting: waiting.clone() }, Outbox { receiver, waiting })
}

impl Inbox {
    /// Takes a place for a request, which [`Inbox::requests`] will bring. Errs with "too many requests" where the inbox is full.
    pub fn reserve(&self) -> Result<(), ClientError> {
        let requests = &self.waiting.requests;
        if requests.fetch_add(1, Ordering::Relaxed) >= REQUESTS_MAX {
            requests.fetch_sub(1, Ordering::Relaxed);
            return Err(ClientError::RequestTooManyRequests);
        }
        Ok(())
    }

    /// Brings requests whose places are taken; false after the driver's end.
    pub fn requests(&self, events: Vec<Event>) -> bool {
        self.sender.send(Mail::Requests(events)).is_ok()
    }

    /// Brings messages of peers; says for how many at the end of the list there was no room.
    pub fn post(&self, post: Post, mut messages: Vec<Message>) -> usize {
        let (taken, bytes) = self.waiting.pile(post).reserve(messages.iter().map(size_of));
        let lost = messages.len() - taken;
        messages.truncate(taken);
        if taken > 0 {
            // After the driver's end nobody misses them.
            let _ended = self.sender.send(Mail::Post(post, messages, bytes));
        }
        lost
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
                    self.waiting.requests.fetch_sub(events.len(), Ordering::Relaxed);
                    taken += events.len();
                    events.into_iter().for_each(&mut take);
                }
                Mail::Answer(event) => {
                    taken += 1;
                    take(*event);
                }
                Mail::Post(post, messages, bytes) => {
                    self.waiting.pile(post).release(messages.len(), bytes);
                    taken += messages.len();
                    messages.into_iter().map(Event::Step).for_each(&mut take);
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
        let entry = |bytes: usize| proto::raftpb::Entry { data: vec![0; bytes].into(), ..Default::default() };
        let message = |bytes| Message { entries: vec![entry(bytes)], ..Default::default() };
        assert_eq!(inbox.post(Post::Messages, vec![message(MESSAGE_BYTES_MAX), message(1)]), 1, "one fits always");
        assert_eq!(inbox.post(Post::Messages, vec![message(1)]), 1);
        assert_eq!(inbox.post(Post::Proposals, vec![message(1); 2]), 0, "in a queue of their own");
        let mut taken = 0;
        assert_eq!(outbox.gather(Duration::ZERO, 10, |_| taken += 1), Ok(()));
        assert_eq!(taken, 3);
        assert_eq!(inbox.post(Post::Messages, vec![message(1)]), 0);
        drop(outbox);
        assert!(!inbox.requests(vec![Event::ReadIndex { ticket: 1 }]));
    }
}
