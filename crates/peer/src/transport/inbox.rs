//! What the process wants of the transport, in order. Handing it over never waits.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use proto::etcdserverpb::Member;
use proto::raftpb::Message;
use tokio::sync::Notify;

use crate::config::Limits;
use crate::host::{Answer, SnapshotSource};
use crate::wire::Socket;

/// One wish.
pub(crate) enum Order {
    Send(Vec<Message>),
    SendSnapshot { message: Box<Message>, database: Box<dyn SnapshotSource> },
    Members(Vec<Member>),
    Remote { id: u64, urls: Vec<String> },
    Serve(Socket),
    Run(Answer<()>),
    Stop,
}

/// Everything that has gathered.
#[derive(Default)]
pub(crate) struct Gathered {
    pub orders: Vec<Order>,
    /// Receivers of messages that were dropped because too much waited, with the number of messages.
    pub dropped: BTreeMap<u64, u64>,
    messages: usize,
    bytes: usize,
}

/// The inbox of the transport's thread.
pub(crate) struct Inbox {
    gathered: Mutex<Gathered>,
    filled: Notify,
    messages_max: usize,
    bytes_max: usize,
}

impl Inbox {
    pub fn new(limits: &Limits) -> Inbox {
        Inbox {
            gathered: Mutex::default(),
            filled: Notify::new(),
            messages_max: limits.inbox_messages_max,
            bytes_max: limits.inbox_bytes_max,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Gathered> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an order in.
    pub fn put(&self, order: Order) {
        let mut gathered = self.lock();
        let asleep = gathered.orders.is_empty() && gathered.dropped.is_empty();
        gathered.orders.push(order);
        drop(gathered);
        // Waking the thread costs a system call; it takes everything at once, so the first order suffices.
        if asleep {
            self.filled.notify_one();
        }
    }

    /// Puts messages in, or drops them where too much waits.
    pub fn send(&self, messages: Vec<Message>) {
        let bytes = messages.iter().map(weight).sum::<usize>();
        let mut gathered = self.lock();
        let asleep = gathered.orders.is_empty() && gathered.dropped.is_empty();
        let full = gathered.messages + messages.len() > self.messages_max || gathered.bytes + bytes > self.bytes_max;
        if full && gathered.messages > 0 {
            for message in &messages {
                *gathered.dropped.entry(message.to).or_default() += 1;
            }
        } else {
            gathered.messages += messages.len();
            gathered.bytes += bytes;
            gathered.orders.push(Order::Send(messages));
        }
        drop(gathered);
        if asleep {
            self.filled.notify_one();
        }
    }

    /// Waits for something and takes all of it.
    pub async fn gather(&self) -> Gathered {
        loop {
            let gathered = std::mem::take(&mut *self.lock());
            if !gathered.orders.is_empty() || !gathered.dropped.is_empty() {
                return gathered;
            }
            self.filled.notified().await;
        }
    }
}

/// The memory that a message holds on to, about.
pub(crate) fn weight(message: &Message) -> usize {
    const OWN: usize = 256;
    const ENTRY: usize = 64;
    OWN + message.context.len() + message.entries.iter().map(|entry| ENTRY + entry.data.len()).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn messages_beyond_the_bound_are_dropped_and_told() {
        let inbox = Inbox::new(&Limits { inbox_messages_max: 3, ..Limits::default() });
        let to = |to| Message { to, ..Message::default() };
        inbox.send(vec![to(1), to(2)]);
        inbox.send(vec![to(2), to(2), to(3)]);
        inbox.put(Order::Stop);
        let gathered = inbox.gather().await;
        assert_eq!(gathered.orders.len(), 2);
        assert_eq!(gathered.dropped.into_iter().collect::<Vec<_>>(), [(2, 2), (3, 1)]);
        inbox.send(vec![to(1); 4]);
        assert_eq!(inbox.gather().await.orders.len(), 1, "one batch always fits");
    }
}
