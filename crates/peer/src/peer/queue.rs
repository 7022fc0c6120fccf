//! The queue of a pipeline, from which several workers take.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use proto::raftpb::Message;
use tokio::sync::Notify;

use super::slot::Full;
use crate::transport::weight;

/// Messages that wait to be posted.
pub(crate) struct Queue {
    waiting: Mutex<(VecDeque<Message>, usize)>,
    filled: Notify,
    messages_max: usize,
    bytes_max: usize,
}

impl Queue {
    pub fn new(messages_max: usize, bytes_max: usize) -> Queue {
        Queue { waiting: Mutex::default(), filled: Notify::new(), messages_max, bytes_max }
    }

    /// Queues a message. One that alone is larger than the bound is taken when nothing else waits.
    pub fn push(&self, message: Message) -> Result<(), Full> {
        let weight = weight(&message);
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let (queue, bytes) = &mut *waiting;
        if (queue.len() >= self.messages_max || *bytes + weight > self.bytes_max) && !queue.is_empty() {
            return Err(Full);
        }
        queue.push_back(message);
        *bytes += weight;
        self.filled.notify_one();
        Ok(())
    }

    /// Waits for the next message.
    pub async fn pop(&self) -> Message {
        loop {
            if let Some(message) = self.try_pop() {
                return message;
            }
            self.filled.notified().await;
        }
    }

    fn try_pop(&self) -> Option<Message> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let message = waiting.0.pop_front()?;
        waiting.1 -= weight(&message);
        if !waiting.0.is_empty() {
            self.filled.notify_one();
        }
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn messages_beyond_the_bound_are_refused() {
        let queue = Queue::new(2, 1000);
        assert_eq!(queue.push(Message { to: 1, ..Message::default() }), Ok(()));
        assert_eq!(queue.push(Message { context: vec![0; 5000].into(), ..Message::default() }), Err(Full));
        assert_eq!(queue.push(Message { to: 2, ..Message::default() }), Ok(()));
        assert_eq!(queue.push(Message::default()), Err(Full));
        assert_eq!((queue.pop().await.to, queue.pop().await.to), (1, 2));
        assert_eq!(queue.push(Message { context: vec![0; 5000].into(), ..Message::default() }), Ok(()));
    }
}
