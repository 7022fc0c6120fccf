//! One peer: its addresses, its queues, the tasks that serve it.

mod activity;
mod urls;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

pub(crate) use activity::{Activity, Change, StreamKind, Way};
pub(crate) use urls::Urls;

/// One peer, or somebody who is not in the member list yet (a "remote").
pub(crate) struct Peer {
    pub id: u64,
    urls: Mutex<Urls>,
    activity: Mutex<Activity>,
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Peer {
    pub fn new(id: u64, urls: Urls) -> Peer {
        Peer { id, urls: Mutex::new(urls), activity: Mutex::default() }
    }

    pub fn urls(&self) -> MutexGuard<'_, Urls> {
        lock(&self.urls)
    }

    pub fn active_since(&self) -> Option<Instant> {
        lock(&self.activity).since()
    }
}
