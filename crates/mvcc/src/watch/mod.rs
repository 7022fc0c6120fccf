//! Watchers over the events of the store.
