//! Transports on loopback, with each other, with hostile callers and with real etcd.

mod calls;
mod hostile;
mod pair;
mod real;
mod site;
mod snapshot;
