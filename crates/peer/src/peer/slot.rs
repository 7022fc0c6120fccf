//! The place of an outgoing stream: closed, or held by one connection that takes what is queued.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use proto::raftpb::Message;

use crate::transport::weight;

/// At most this many messages, and about that many bytes, are written at once.
const BATCH_MESSAGES_MAX: usize = 2048;
const BATCH_BYTES_MAX: usize = 4 << 20;

/// The queue of one stream.
#[derive(Debug)]
pub(crate) struct Slot {
    open: bool,
    /// Counts the connections, so that one that was replaced knows it.
    generation: u64,
    queue: VecDeque<Message>,
    bytes: usize,
    waker: Option<Waker>,
    messages_max: usize,
    bytes_max: usize,
}

/// The queue is full: this message finds no room.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Slot {
    pub fn new(messages_max: usize, bytes_max: usize) -> Slot {
        Slot { open: false, generation: 0, queue: VecDeque::new(), bytes: 0, waker: None, messages_max, bytes_max }
    }

    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Queues a message for an open stream. One that alone is larger than the bound is taken when nothing else waits.
    pub fn push(&mut self, message: Message) -> Result<(), Full> {
        let weight = weight(&message);
        let no_room = self.queue.len() >= self.messages_max || self.bytes + weight > self.bytes_max;
        if no_room && !self.queue.is_empty() {
            return Err(Full);
        }
        self.queue.push_back(message);
        self.bytes += weight;
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
        Ok(())
    }

    /// A new connection takes the place. Returns its number and how many messages are lost with the one before, if any.
    pub fn attach(&mut self) -> (u64, Option<usize>) {
        let lost = self.open.then(|| self.clear());
        self.open = true;
        self.generation += 1;
        (self.generation, lost)
    }

    /// The connection with this number ends. Returns how many messages are lost with it, unless it was replaced.
    pub fn detach(&mut self, generation: u64) -> Option<usize> {
        if !self.open || self.generation != generation {
            return None;
        }
        self.open = false;
        Some(self.clear())
    }

    /// Nobody may hold the place any more.
    pub fn close(&mut self) {
        self.open = false;
        self.clear();
    }

    fn clear(&mut self) -> usize {
        let lost = self.queue.len();
        self.queue.clear();
        self.bytes = 0;
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
        lost
    }

    /// The next messages to be written by the connection with this number; `None` once the place is not its own.
    pub fn poll_batch(&mut self, generation: u64, cx: &mut Context<'_>) -> Poll<Option<Vec<Message>>> {
        if !self.open || self.generation != generation {
            return Poll::Ready(None);
        }
        if self.queue.is_empty() {
            self.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let mut batch = Vec::with_capacity(self.queue.len().min(BATCH_MESSAGES_MAX));
        let mut bytes = 0;
        while batch.len() < BATCH_MESSAGES_MAX && bytes < BATCH_BYTES_MAX {
            let Some(message) = self.queue.pop_front() else { break };
            bytes += weight(&message);
            batch.push(message);
        }
        self.bytes -= bytes;
        Poll::Ready(Some(batch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll(slot: &mut Slot, generation: u64) -> Poll<Option<usize>> {
        slot.poll_batch(generation, &mut Context::from_waker(Waker::noop())).map(|batch| batch.map(|batch| batch.len()))
    }

    #[test]
    fn the_newest_connection_holds_the_place() {
        let mut slot = Slot::new(10, 1 << 20);
        assert_eq!(slot.attach(), (1, None));
        assert_eq!(poll(&mut slot, 1), Poll::Pending);
        slot.push(Message::default()).unwrap();
        assert_eq!(slot.attach(), (2, Some(1)));
        assert_eq!(poll(&mut slot, 1), Poll::Ready(None));
        assert_eq!(slot.detach(1), None);
        slot.push(Message::default()).unwrap();
        slot.push(Message::default()).unwrap();
        assert_eq!(poll(&mut slot, 2), Poll::Ready(Some(2)));
        assert_eq!(poll(&mut slot, 2), Poll::Pending);
        assert_eq!(slot.detach(2), Some(0));
        assert!(!slot.is_open());
        assert_eq!(poll(&mut slot, 2), Poll::Ready(None));
    }

    #[test]
    fn both_bounds_hold_and_one_message_always_fits() {
        let mut slot = Slot::new(2, 1000);
        slot.attach();
        let large = Message { context: vec![0; 5000].into(), ..Message::default() };
        assert_eq!(slot.push(large.clone()), Ok(()));
        assert_eq!(slot.push(Message::default()), Err(Full));
        assert_eq!(poll(&mut slot, 1), Poll::Ready(Some(1)));
        assert_eq!((slot.push(Message::default()), slot.push(large)), (Ok(()), Err(Full)));
        assert_eq!((slot.push(Message::default()), slot.push(Message::default())), (Ok(()), Err(Full)));
        assert_eq!(poll(&mut slot, 1), Poll::Ready(Some(2)));
        assert_eq!(slot.bytes, 0);
    }
}
