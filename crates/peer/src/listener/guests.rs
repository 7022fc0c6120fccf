//! How many connections there are, in all and from each address.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, MutexGuard, PoisonError};

use crate::transport::Shared;

/// Who is connected.
#[derive(Debug, Default)]
pub(crate) struct Guests {
    all: usize,
    by_address: BTreeMap<Option<IpAddr>, usize>,
}

/// A place among the connections.
pub(super) struct Guest {
    shared: Arc<Shared>,
    address: Option<IpAddr>,
}

fn lock(shared: &Shared) -> MutexGuard<'_, Guests> {
    shared.guests.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes a place, unless there are too many.
pub(super) fn enter(shared: &Arc<Shared>, address: Option<IpAddr>) -> Option<Guest> {
    let limits = &shared.config.limits;
    let mut guests = lock(shared);
    let from_there = guests.by_address.get(&address).copied().unwrap_or_default();
    if guests.all >= limits.connections_max || from_there >= limits.connections_per_address_max {
        return None;
    }
    guests.all += 1;
    guests.by_address.insert(address, from_there + 1);
    Some(Guest { shared: shared.clone(), address })
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut guests = lock(&self.shared);
        guests.all -= 1;
        match guests.by_address.get_mut(&self.address) {
            Some(from_there) if *from_there > 1 => *from_there -= 1,
            _ => drop(guests.by_address.remove(&self.address)),
        }
    }
}
