//! Who on this front-door thread waits for changes of single keys or of what lies below a name: locks and elections.
//!
//! To miss nothing: register first, then look at a view, then wait.

use bytes::Bytes;
use mvcc::{Event, EventBatch};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;

/// Changes that may wait for one who is interested, before it is told that it missed some.
const NOTICES_MAX: usize = 256;
/// How every prefix ends.
pub const PREFIX_END: u8 = b'/';

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
    keys: Interested,
    prefixes: Interested,
}

/// By key or prefix, then by number.
type Interested = BTreeMap<Bytes, BTreeMap<u64, mpsc::Sender<Notice>>>;

/// One registration; ends when dropped.
pub struct Interest {
    interests: Interests,
    number: u64,
    /// The key or the prefix.
    name: Bytes,
    is_prefix: bool,
    receiver: mpsc::Receiver<Notice>,
}

impl Interests {
    /// Hears of changes of one key.
    pub fn in_key(&self, key: Bytes) -> Interest {
        self.register(key, false)
    }

    /// Hears of changes of all keys that begin with `prefix`, whose last byte must be [`PREFIX_END`].
    pub fn in_prefix(&self, prefix: Bytes) -> Interest {
        debug_assert_eq!(prefix.last(), Some(&PREFIX_END), "only such prefixes are found again");
        self.register(prefix, true)
    }

    fn register(&self, name: Bytes, is_prefix: bool) -> Interest {
        let (sender, receiver) = mpsc::channel(NOTICES_MAX);
        let mut registry = self.lock();
        registry.next += 1;
        let number = registry.next;
        registry.of_kind(is_prefix).entry(name.clone()).or_default().insert(number, sender);
        drop(registry);
        Interest { interests: self.clone(), number, name, is_prefix, receiver }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Registry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of a published batch.
    pub fn tell(&self, batch: &EventBatch) {
        let registry = self.lock();
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
        let all = registry.keys.values().chain(registry.prefixes.values());
        for sender in all.flat_map(BTreeMap::values) {
            // A full queue already leads to a new look at a view.
            let _full = sender.try_send(Notice::Missed);
        }
    }
}

impl Registry {
    fn of_kind(&mut self, is_prefix: bool) -> &mut Interested {
        if is_prefix { &mut self.prefixes } else { &mut self.keys }
    }

    fn tell(&self, event: &Event) {
        let key = &event.kv.key;
        let ends = key.iter().enumerate().filter(|(_, byte)| **byte == PREFIX_END);
        let below = ends.filter_map(|(at, _)| self.prefixes.get(&key[..=at]));
        for sender in self.keys.get(key).into_iter().chain(below).flat_map(BTreeMap::values) {
            // One that is full is told so by its own bookkeeping: see `Interest::next`.
            let _full = sender.try_send(Notice::Changed(event.clone()));
        }
    }
}

impl Interest {
    /// The next notice. After a full queue the notices in it are replaced by `Missed`.
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
        let interested = registry.of_kind(self.is_prefix);
        if let Some(senders) = interested.get_mut(&self.name) {
            senders.remove(&self.number);
            if senders.is_empty() {
                interested.remove(&self.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mvcc::{EventKind, Revision};
    use proto::mvccpb::KeyValue;

    fn put(key: &'static str) -> Event {
        let kv = KeyValue { key: key.into(), ..Default::default() };
        Event { kind: EventKind::Put, revision: Revision::default(), kv, record: Bytes::new() }
    }

    fn told(interest: &mut Interest) -> Vec<Bytes> {
        let mut keys = Vec::new();
        while let Ok(Notice::Changed(event)) = interest.receiver.try_recv() {
            keys.push(event.kv.key);
        }
        keys
    }

    #[tokio::test]
    async fn changes_reach_those_who_are_interested() {
        let interests = Interests::default();
        let mut key = interests.in_key("a/b".into());
        let mut prefix = interests.in_prefix("a/".into());
        let mut deeper = interests.in_prefix("a/b/".into());
        {
            let registry = interests.lock();
            ["a", "a/b", "a/b/c", "b/a/"].into_iter().for_each(|key| registry.tell(&put(key)));
        }
        assert_eq!(told(&mut key), ["a/b"]);
        assert_eq!(told(&mut prefix), ["a/b", "a/b/c"]);
        assert_eq!(told(&mut deeper), ["a/b/c"]);
        interests.tell_missed();
        assert!(matches!(key.next().await, Notice::Missed));
        drop((key, prefix, deeper));
        let registry = interests.lock();
        assert!(registry.keys.is_empty() && registry.prefixes.is_empty());
    }

    #[tokio::test]
    async fn one_who_does_not_listen_hears_that_it_missed_some() {
        let interests = Interests::default();
        let mut key = interests.in_key("a".into());
        for _ in 0..=NOTICES_MAX {
            interests.lock().tell(&put("a"));
        }
        assert!(matches!(key.next().await, Notice::Missed));
        interests.lock().tell(&put("a"));
        assert!(matches!(key.next().await, Notice::Changed(_)));
    }
}
