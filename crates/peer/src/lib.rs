//! The peer protocol: what members say to each other, in the form that etcd's members of 3.4 to 3.7 speak (facts:
//! peer-protocol).
//!
//! [`Transport`] is what the process holds. Everything behind it runs on one thread, the one that polls
//! [`Running::run`]; beside it, each snapshot under way uses one thread of that runtime's blocking pool, because databases
//! are read and written with calls that block, and so do up to eight look-ups of host names. The process is asked and told through [`Host`], counted by [`Observer`].
//! [`Fetcher`] asks other members single questions from any runtime.
//!
//! This room knows messages and connections. It must not know raft's rules, files, flags, or how metrics are rendered.
//!
//! # Queues, and what happens when they are full
//!
//! | queue | bound ([`Limits`]) | when full |
//! |---|---|---|
//! | driver → transport | `inbox_messages_max`, `inbox_bytes_max` | the messages are dropped, their receivers reported unreachable |
//! | one stream to one peer | `stream_messages_max`, `stream_bytes_max` | the message is dropped, the peer reported unreachable |
//! | pipeline of one peer | `pipeline_messages_max`, `pipeline_bytes_max` | the same |
//! | received messages → driver | the host's, apart for proposals | dropped with a log line |
//! | snapshots sent, received | `snapshots_max` each | reported as failed; refused with 500 |
//! | connections | `connections_max`, `connections_per_address_max` | closed at once |
//! | senders that no member list knows | `remotes_max` | one that isn't connected gives way, else not taken up |
//! | bodies of raft messages | `body_bytes_max` each, `bodies_bytes_max` together | refused with 400 |
//!
//! Dropping is safe: raft sends again what is missing, and a peer reported unreachable is probed with one message at a
//! time. No queue of one peer makes another wait, and [`Transport::send`] never waits at all. A stream whose reader takes
//! nothing for five seconds is cut.

mod codec;
mod config;
mod fetch;
mod host;
mod listener;
mod observer;
mod peer;
mod transport;
mod wire;

pub use config::{Config, Identity, Limits};
pub use fetch::{FetchError, Fetched, FetchedVersions, Fetcher, Refusal};
pub use host::{Answer, HashKv, HashKvError, Host, LeaseError, PromoteError, SnapshotSink, SnapshotSource, Versions};
pub use observer::{Observer, Sender, Uncounted};
pub use transport::{PeerStatus, Running, Transport, VersionsTold};
pub use wire::Socket;
