//! Finding the members of a first start: in a real DNS server, and in real etcd as the discovery service.
//!
//! What isn't installed is left out, and said so on standard error.

mod dns;
mod programs;
mod registry;
mod support;
