//! What a member is told from outside: its name, its timing, its limits.

use std::time::Duration;

use state::Version;

/// When history is compacted by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AutoCompaction {
    Off,
    /// Keep this much time. The first compaction comes after the whole period, the next ones every hour, or every
    /// period where that is shorter.
    Periodic(Duration),
    /// Keep this many revisions; looked at every five minutes.
    Revision(i64),
}

/// The settings of one [`crate::Node`]; the defaults are etcd's.
#[derive(Clone, Debug)]
pub struct Config {
    /// The member's name, published to the cluster.
    pub name: String,
    /// The client URLs published to the cluster.
    pub client_urls: Vec<String>,
    /// Length of a raft tick.
    pub heartbeat: Duration,
    /// Shortest time without a leader after which a member campaigns; at least one heartbeat.
    pub election: Duration,
    pub pre_vote: bool,
    /// Refuse membership changes that endanger the quorum.
    pub strict_reconfig: bool,
    pub learners_max: usize,
    /// Applied entries between snapshot files.
    pub snapshot_count: u64,
    /// Entries kept in memory behind the applied index for slow followers.
    pub catch_up_entries: u64,
    pub auto_compaction: AutoCompaction,
    /// Whether leaders put the remaining time of long leases into the log every five minutes.
    pub lease_checkpoint: bool,
    pub lease_checkpoint_interval: Duration,
    /// Whether recorded remaining times are kept on disk also below cluster version 3.6.
    pub lease_checkpoint_persist: bool,
    /// The version this member reports as its own (`--compat-version`); caps what it proposes and writes.
    pub compat: Version,
    /// How often the leader looks whether a downgrade of the cluster is complete (`--downgrade-check-time`).
    pub downgrade_check_interval: Duration,
    /// How often old log segments and snapshots are purged.
    pub purge_interval: Duration,
    /// Bytes of entries that may wait for the disk or for a leader before clients are refused.
    pub unsynced_bytes_max: usize,
    /// Whether a starting member with peers hastens its first election.
    pub initial_election_tick_advance: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: "default".into(),
            client_urls: Vec::new(),
            heartbeat: Duration::from_millis(100),
            election: Duration::from_millis(1000),
            pre_vote: true,
            strict_reconfig: true,
            learners_max: 1,
            snapshot_count: 10_000,
            catch_up_entries: 5000,
            auto_compaction: AutoCompaction::Off,
            lease_checkpoint: false,
            lease_checkpoint_interval: Duration::from_secs(300),
            lease_checkpoint_persist: false,
            compat: Version::V3_7,
            downgrade_check_interval: Duration::from_secs(5),
            purge_interval: Duration::from_secs(30),
            unsynced_bytes_max: 64 << 20,
            initial_election_tick_advance: true,
        }
    }
}

impl Config {
    /// Ticks without a leader until a campaign, as etcd computes them.
    pub fn election_ticks(&self) -> usize {
        let heartbeat = self.heartbeat.as_millis().max(1);
        usize::try_from(self.election.as_millis() / heartbeat).unwrap_or(usize::MAX).max(1)
    }

    /// How long a proposal or a linearizable read may wait: 5 s and two election timeouts.
    pub fn request_timeout(&self) -> Duration {
        Duration::from_secs(5) + self.election * 2
    }

    /// The shortest TTL a lease can have, in seconds: one and a half election timeouts in whole ticks, rounded up to a
    /// second. All members must come to the same.
    pub fn lease_ttl_min_secs(&self) -> i64 {
        let ticks = self.election_ticks().saturating_mul(3) / 2;
        let nanos = self.heartbeat.as_nanos().saturating_mul(ticks as u128);
        i64::try_from(nanos.div_ceil(1_000_000_000)).unwrap_or(i64::MAX).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Measured on etcd 3.5.1: `lease grant 1` with these settings.
    #[test]
    fn the_shortest_lease_is_etcds() {
        let min = |heartbeat, election| {
            let (heartbeat, election) = (Duration::from_millis(heartbeat), Duration::from_millis(election));
            Config { heartbeat, election, ..Config::default() }.lease_ttl_min_secs()
        };
        assert_eq!(min(100, 1000), 2);
        assert_eq!(min(1000, 5000), 7);
        assert_eq!(min(200, 2000), 3);
    }
}
