//! Who waits for which answer: by ticket, woken once per front-door thread and batch.
//!
//! A door registers before it sends, so that no answer can come too early; dropping the [`Waiting`] takes the registration
//! back. Answers are grouped by front-door thread and handed over in one piece, because waking another thread costs a
//! system call.

use node::{Outcome, Ticket};
use state::ApplyError;
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use tokio::sync::{mpsc, oneshot};

/// Tickets count up, so their low bits spread evenly.
const SHARDS: usize = 16;

/// An answer to a ticket.
pub enum Reply {
    /// The entry was applied.
    Applied(Result<state::Outcome, ApplyError>),
    /// The node answered itself.
    Node(Outcome),
    /// A linearizable read may go on.
    ReadReady,
    /// The database, to be streamed.
    Snapshot(mvcc::SnapshotSource),
}

/// Answers for the waiters of one front-door thread.
pub type Parcel = Vec<(oneshot::Sender<Reply>, Reply)>;

struct Waiter {
    front: usize,
    sender: oneshot::Sender<Reply>,
}

/// All waiters of the process.
pub struct Waiters {
    shards: [Mutex<HashMap<Ticket, Waiter>>; SHARDS],
    /// One for each front-door thread.
    fronts: Vec<mpsc::UnboundedSender<Parcel>>,
    /// Nobody will answer any more.
    closed: AtomicBool,
}

/// The registration of one waiter and, as a future, its answer; `None` where the process ends before.
pub struct Waiting {
    waiters: Arc<Waiters>,
    ticket: Ticket,
    receiver: oneshot::Receiver<Reply>,
}

impl Waiters {
    /// For `fronts` threads: the registry, and for each thread the end on which its parcels arrive.
    pub fn new(fronts: usize) -> (Arc<Waiters>, Vec<mpsc::UnboundedReceiver<Parcel>>) {
        let (senders, receivers) = (0..fronts).map(|_| mpsc::unbounded_channel()).unzip();
        let shards = std::array::from_fn(|_| Mutex::new(HashMap::new()));
        (Arc::new(Waiters { shards, fronts: senders, closed: AtomicBool::new(false) }), receivers)
    }

    fn shard(&self, ticket: Ticket) -> MutexGuard<'_, HashMap<Ticket, Waiter>> {
        self.shards[(ticket % SHARDS as u64) as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, ticket: Ticket) -> Option<Waiter> {
        self.shard(ticket).remove(&ticket)
    }

    /// Lets everyone go who waits, and who comes later, without an answer: those who answer have ended.
    pub fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        for shard in &self.shards {
            let waiters = std::mem::take(&mut *shard.lock().unwrap_or_else(PoisonError::into_inner));
            drop(waiters);
        }
    }

    /// Registers a waiter on the front-door thread with this number.
    pub fn wait(self: &Arc<Self>, front: usize, ticket: Ticket) -> Waiting {
        let (sender, receiver) = oneshot::channel();
        // Looked at under the lock that closing takes after it is set, so that nobody is left behind.
        let mut shard = self.shard(ticket);
        if !self.closed.load(Ordering::SeqCst) {
            shard.insert(ticket, Waiter { front, sender });
        }
        drop(shard);
        Waiting { waiters: self.clone(), ticket, receiver }
    }

    /// Hands answers to whoever waits; tickets that nobody waits for are dropped, since a late answer may follow another
    /// and entries of other members have no waiter here.
    pub fn deliver(&self, replies: impl IntoIterator<Item = (Ticket, Reply)>) {
        let mut parcels: Vec<Parcel> = self.fronts.iter().map(|_| Parcel::new()).collect();
        for (ticket, reply) in replies {
            if let Some(waiter) = self.take(ticket) {
                parcels[waiter.front].push((waiter.sender, reply));
            }
        }
        for (front, parcel) in self.fronts.iter().zip(parcels) {
            if !parcel.is_empty() {
                // The receiver is gone only when its thread has stopped, and then nobody waits there.
                let _stopped = front.send(parcel);
            }
        }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Future for Waiting {
    type Output = Option<Reply>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Reply>> {
        Pin::new(&mut self.receiver).poll(context).map(Result::ok)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        drop(self.waiters.take(self.ticket));
    }
}

/// Hands the parcels of one front-door thread to its waiters, on that thread, until the registry is gone.
pub async fn unpack(mut parcels: mpsc::UnboundedReceiver<Parcel>) {
    while let Some(parcel) = parcels.recv().await {
        for (sender, reply) in parcel {
            // A waiter that has gone away meanwhile wants no answer.
            let _gone = sender.send(reply);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_reaches_its_waiter_and_no_other() {
        let (waiters, mut ends) = Waiters::new(2);
        let (first, second) = (waiters.wait(0, 17), waiters.wait(1, 33));
        waiters.deliver([(33, Reply::ReadReady), (99, Reply::ReadReady)]);
        let parcel = ends[1].recv().await.expect("a parcel for the second thread");
        assert_eq!(parcel.len(), 1);
        for (sender, reply) in parcel {
            assert!(sender.send(reply).is_ok(), "the waiter is there");
        }
        assert!(matches!(second.await, Some(Reply::ReadReady)));
        assert_eq!(waiters.len(), 1);
        drop(first);
        assert!(waiters.is_empty());
    }

    #[tokio::test]
    async fn nobody_waits_for_those_who_have_ended() {
        let (waiters, _ends) = Waiters::new(1);
        let before = waiters.wait(0, 1);
        waiters.close();
        assert!(before.await.is_none());
        assert!(waiters.wait(0, 2).await.is_none());
        assert!(waiters.is_empty());
    }
}
