//! How a run is set up. Everything but the planted bug follows from the seed.

use std::time::Duration;

use state::Version;

use crate::rng::Rng;

/// A fault built into a run on purpose, to see that the judges find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// The log writer answers before it has synced.
    ReplyBeforeSync,
    /// After a power loss the database's index is not that of its data.
    IndexApartFromData,
    /// The vote does not reach the log.
    VoteForgotten,
    /// Reads are served without asking the leader.
    ReadWithoutAsking,
    /// A watcher that is connected anew begins one revision late.
    WatchSkips,
    /// Keep-alives are answered and forgotten.
    KeepAliveIgnored,
}

/// A run.
#[derive(Clone, Debug)]
pub struct Options {
    pub seed: u64,
    /// Members that found the cluster.
    pub members: usize,
    /// How long faults come.
    pub faults_for: Duration,
    /// Faults come until so much has happened, however long it takes.
    pub steps: Option<u64>,
    pub clients: usize,
    pub watchers: usize,
    pub snapshot_count: u64,
    pub catch_up_entries: u64,
    /// Messages lost out of a thousand, while faults come.
    pub loss_permille: u64,
    pub duplicate_permille: u64,
    /// Longest delay of a message.
    pub delay_max: Duration,
    /// Most a member's clock runs fast or slow, out of a thousand.
    pub drift_permille: u64,
    /// Longest time between two faults.
    pub fault_gap_max: Duration,
    /// How many out of a thousand members that have just voted crash, to be back in no time.
    pub crash_on_vote_permille: u64,
    pub pre_vote: bool,
    /// Longest time between two works of the operator, who changes the membership; none where there is no operator.
    pub operator_gap_max: Option<Duration>,
    pub strict_reconfig: bool,
    pub learners_max: usize,
    /// Whether disks fail, and do not only lose power.
    pub disk_faults: bool,
    /// How often the remaining time of leases is recorded, if at all.
    pub lease_checkpoints: Option<Duration>,
    /// Whether the recorded times are kept on disk also where the cluster version does not ask for it.
    pub persist_checkpoints: bool,
    /// What members pass themselves off as, and whether they stop doing so at a restart.
    pub compat: Version,
    pub upgrades: bool,
    pub planted: Option<Planted>,
}

/// The version of everybody without a cap.
pub const OWN_VERSION: Version = Version { major: 3, minor: 7, patch: 1 };

impl Options {
    /// The run that a seed stands for.
    pub fn of_seed(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let quiet = rng.permille(100);
        let has_operator = rng.permille(750);
        let caps = [OWN_VERSION, OWN_VERSION, OWN_VERSION, Version::V3_6, Version::V3_5, Version::V3_4];
        Self {
            seed,
            members: [1, 3, 3, 3, 5, 2, 4, 3, 5, 1, 3, 7][rng.index(12)],
            faults_for: Duration::from_secs(rng.between(8, 20)),
            steps: None,
            clients: rng.between(2, 6) as usize,
            watchers: rng.between(1, 5) as usize,
            snapshot_count: rng.between(20, 200),
            catch_up_entries: rng.between(5, 60),
            loss_permille: if quiet { 0 } else { rng.below(60) },
            duplicate_permille: if quiet { 0 } else { rng.below(60) },
            delay_max: Duration::from_millis(rng.between(2, 80)),
            drift_permille: rng.below(80),
            fault_gap_max: Duration::from_millis(rng.between(300, 2500)),
            crash_on_vote_permille: 20,
            pre_vote: rng.permille(700),
            operator_gap_max: has_operator.then(|| Duration::from_millis(rng.between(200, 1500))),
            strict_reconfig: rng.permille(400),
            learners_max: rng.between(1, 2) as usize,
            disk_faults: rng.permille(500),
            lease_checkpoints: rng.permille(400).then(|| Duration::from_secs(rng.between(1, 3))),
            persist_checkpoints: rng.permille(500),
            compat: caps[rng.index(caps.len())],
            upgrades: rng.permille(500),
            planted: None,
        }
    }

    /// A long run: faults come until so much has happened.
    pub fn soak(seed: u64, steps: u64) -> Self {
        Self {
            steps: Some(steps),
            members: 5,
            fault_gap_max: Duration::from_secs(4),
            operator_gap_max: Some(Duration::from_secs(1)),
            strict_reconfig: false,
            disk_faults: true,
            ..Self::of_seed(seed)
        }
    }

    /// A run in which nothing happens by itself.
    pub fn still(seed: u64, members: usize) -> Self {
        Self {
            seed,
            members,
            faults_for: Duration::ZERO,
            steps: None,
            clients: 0,
            watchers: 0,
            snapshot_count: 100,
            catch_up_entries: 10,
            loss_permille: 0,
            duplicate_permille: 0,
            delay_max: Duration::from_millis(5),
            drift_permille: 0,
            fault_gap_max: Duration::ZERO,
            crash_on_vote_permille: 0,
            pre_vote: true,
            operator_gap_max: None,
            strict_reconfig: false,
            learners_max: 1,
            disk_faults: false,
            lease_checkpoints: None,
            persist_checkpoints: false,
            compat: OWN_VERSION,
            upgrades: false,
            planted: None,
        }
    }
}
