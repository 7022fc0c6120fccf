//! Who this member is to its peers, and the bounds of the transport.

use std::time::Duration;

use state::Version;

/// Who this member is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub member: u64,
    pub cluster: u64,
    /// The release that the member reports, under the cap of `--compat-version`.
    pub version: Version,
    /// The URLs under which peers find this member; told to those who don't know it yet.
    pub peer_urls: Vec<String>,
}

/// How the transport is set up.
#[derive(Clone, Debug)]
pub struct Config {
    pub identity: Identity,
    /// How long a connection may take to come up: one second more than the election timeout.
    pub dial_timeout: Duration,
    pub limits: Limits,
}

impl Config {
    /// With etcd's timing for this election timeout, and the usual bounds.
    pub fn new(identity: Identity, election_timeout: Duration) -> Config {
        Config { identity, dial_timeout: Duration::from_secs(1) + election_timeout, limits: Limits::default() }
    }
}

/// Bounds. What happens at each is said in the crate's documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Messages that wait in one stream's queue.
    pub stream_messages_max: usize,
    /// Bytes that wait in one stream's queue; one message fits always.
    pub stream_bytes_max: usize,
    /// Messages that wait for the pipeline of one peer.
    pub pipeline_messages_max: usize,
    /// Bytes that wait for the pipeline of one peer; one message fits always.
    pub pipeline_bytes_max: usize,
    /// Messages, and bytes, that the driver may be ahead of the transport's thread.
    pub inbox_messages_max: usize,
    pub inbox_bytes_max: usize,
    /// Snapshots under way, in each direction.
    pub snapshots_max: usize,
    /// Connections accepted, in all and from one address.
    pub connections_max: usize,
    pub connections_per_address_max: usize,
    /// Senders that no member list knows yet.
    pub remotes_max: usize,
    /// The largest body of one raft message outside of a stream, and of all such bodies under way.
    pub body_bytes_max: usize,
    pub bodies_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            stream_messages_max: 4096,
            stream_bytes_max: 64 << 20,
            pipeline_messages_max: 64,
            pipeline_bytes_max: 32 << 20,
            inbox_messages_max: 16384,
            inbox_bytes_max: 256 << 20,
            snapshots_max: 16,
            connections_max: 1024,
            connections_per_address_max: 256,
            remotes_max: 64,
            body_bytes_max: 64 << 20,
            bodies_bytes_max: 256 << 20,
        }
    }
}

/// Nothing may stay silent on a connection for longer than this, in either direction.
pub(crate) const SILENCE_MAX: Duration = Duration::from_secs(5);
/// A stream carries something at least that often: three times within [`SILENCE_MAX`].
pub(crate) const KEEP_ALIVE: Duration = Duration::from_millis(1667);
/// The shortest time between two attempts to open the same stream.
pub(crate) const DIAL_PAUSE_MIN: Duration = Duration::from_millis(100);
/// The longest, after many failures.
pub(crate) const DIAL_PAUSE_MAX: Duration = Duration::from_secs(1);
/// A request that carries a raft message may take this long in all.
pub(crate) const REQUEST_MAX: Duration = Duration::from_secs(300);
/// The lowest remote version that this member talks with.
pub(crate) const MIN_CLUSTER_VERSION: Version = Version::V3_0;
