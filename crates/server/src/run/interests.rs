//! Who on this front-door thread waits for changes of single keys or of what lies below a prefix: locks and elections.
//!
//! To miss nothing: register first, then look at a view, then wait.

use bytes::Bytes;
use mvcc::{Event, EventBatch};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;

/// Changes that may wait for one who is interested, before it is told that it missed some.
const NOTICES_MAX: usize = 256;

/// What one who is interested hears.
#[derive(Clone, Debug)]
pub enum Notice {
    Changed(Event),
    /// Changes were lost; look at a view again.
    Missed,
}

/// All interests of a thread.
#[derive(Clone, Default)]
pub struct Interests(Arc<Mutex<Registry>>);

#[derive(Default)]
struct Registry {
    next: u64,
    /// By key or prefix, then by number.
    keys: BTreeMap<Bytes, BTreeMap<u64, mpsc::Sender<Notice>>>,
    prefixes: BTreeMap<u64, (Bytes, mpsc::Sender<Notice>)>,
}

/// One registration; ends when dropped.
pub struct Interest {
    interests: Interests,
    number: u64,
    /// `None` for a prefix.
    key: Option<Bytes>,
    receiver: mpsc::Receiver<Notice>,
}

impl Interests {
    /// Hears of changes of one key.
    pub fn in_key(&self, key: Bytes) -> Interest {
        self.register(Some(key), Bytes::new())
    }

    /// Hears of changes of all keys that begin with `prefix`.
    pub fn in_prefix(&self, prefix: Bytes) -> Interest {
        self.register(None, prefix)
    }

    fn register(&self, key: Option<Bytes>, prefix: Bytes) -> Interest {
        let (sender, receiver) = mpsc::channel(NOTICES_MAX);
        let mut registry = self.lock();
        registry.next += 1;
        let number = registry.next;
        match &key {
            Some(key) => drop(registry.keys.entry(key.clone()).or_default().insert(number, sender)),
            None => drop(registry.prefixes.insert(number, (prefix, sender))),
        }
        drop(registry);
        Interest { interests: self.clone(), number, key, receiver }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Registry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of a published batch.
    pub fn tell(&self, batch: &EventBatch) {
        let mut registry = self.lock();
        if registry.keys.is_empty() && registry.prefixes.is_empty() {
            return;
        }
        for event in &batch.events {
            registry.tell(event);
        }
    }

    /// Tells everyone that batches were lost.
    pub fn tell_missed(&self) {
        let registry = self.lock();
        let senders = registry.keys.values().flat_map(BTreeMap::values);
        for sender in senders.chain(registry.prefixes.values().map(|(_, sender)| sender)) {
            // A full queue already leads to a new look at a view.
            let _full = sender.try_send(Notice::Missed);
        }
    }
}

impl Registry {
    fn tell(&mut self, event: &Event) {
        let exact = self.keys.get(&event.kv.key).into_iter().flat_map(BTreeMap::values);
        let below =
            self.prefixes.values().filter(|(prefix, _)| event.kv.key.starts_with(prefix)).map(|(_, sender)| sender);
        for sender in exact.chain(below) {
            // One that is full is told so by its own bookkeeping: see `Interest::next`.
            let _full = sender.try_send(Notice::Changed(event.clone()));
        }
    }
}

impl Interest {
    /// The next notice. After a full queue the notices in it are followed by `Missed`.
    pub async fn next(&mut self) -> Notice {
        if self.receiver.len() == NOTICES_MAX {
            while self.receiver.try_recv().is_ok() {}
            return Notice::Missed;
        }
        // The sender lives in the registry for as long as this registration.
        self.receiver.recv().await.unwrap_or(Notice::Missed)
    }
}

impl Drop for Interest {
    fn drop(&mut self) {
        let mut registry = self.interests.lock();
        match &self.key {
            Some(key) => {
                if let Some(senders) = registry.keys.get_mut(key) {
                    senders.remove(&self.number);
                    if senders.is_empty() {
                        registry.keys.remove(key);
                    }
                }
            }
            None => drop(registry.prefixes.remove(&self.number)),
        }
    }
}
