//! What once happened to etcd, each as a case of its own: it would fail here if it happened.

#[path = "incidents/leases.rs"]
mod leases;
#[path = "incidents/snapshots.rs"]
mod snapshots;
#[path = "incidents/store.rs"]
mod store;
#[path = "incidents/watches.rs"]
mod watches;
