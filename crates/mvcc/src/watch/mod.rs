//! Watchers over the events of the store.
//!
//! A [`Hub`] is a plain structure for one thread: a front door has one of its own, so no lock is shared. It is fed the
//! published [`EventBatch`](crate::EventBatch)es in order and holds many streams with many watchers each.
//!
//! * A watcher **in sync** is told of each batch as it comes; finding those concerned by an event is a look-up by key
//!   and one in an interval tree.
//! * A watcher **behind** reads history from a [`View`](crate::View) in bounded slices ([`Hub::sync`]); those that stand
//!   close to each other share the reading.
//! * A stream that does not read its output makes its watchers fall behind once its queue is full: what it has not
//!   been told is forgotten and read again later from history. Nothing is lost, repeated, reordered or kept twice.
//!
//! Events are encoded once per batch and shared between all answers that carry them ([`Output`]).
//!
//! The hub knows no clock, no thread and no socket: moments are passed in, [`Hub::take_ready`] tells which streams have
//! output, [`Hub::next_output`] gives it. A batch that never arrived (the door's queue was full) does no harm: the next
//! one shows the gap, and the watchers fall back to history.

mod answers;
mod encode;
mod hub;
mod index;
mod intervals;
mod output;
mod progress;
mod publish;
mod requests;
mod stream;
mod sync;
mod watcher;

#[cfg(test)]
mod tests;

pub use hub::{Hub, HubConfig, HubStats, StreamId};
pub use output::{Output, OutputKind};
