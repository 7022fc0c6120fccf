//! Transports on loopback, with each other, with hostile callers and with real etcd.

#![allow(clippy::unwrap_used, clippy::let_underscore_must_use, reason = "helpers of tests")]

mod calls;
mod hostile;
mod pair;
mod real;
mod site;
mod snapshot;
