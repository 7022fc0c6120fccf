//! How a run is set up. Everything but the planted bug follows from the seed.

use std::time::Duration;

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
}

/// A run.
#[derive(Clone, Debug)]
pub struct Options {
    pub seed: u64,
    pub members: usize,
    /// How long faults come.
    pub faults_for: Duration,
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
    pub planted: Option<Planted>,
}

impl Options {
    /// The run that a seed stands for.
    pub fn of_seed(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let quiet = rng.permille(100);
        Self {
            seed,
            members: [1, 3, 3, 3, 5, 2, 4][rng.index(7)],
            faults_for: Duration::from_secs(rng.between(8, 20)),
            clients: rng.between(2, 6) as usize,
            watchers: rng.between(1, 4) as usize,
            snapshot_count: rng.between(20, 200),
            catch_up_entries: rng.between(5, 60),
            loss_permille: if quiet { 0 } else { rng.below(60) },
            duplicate_permille: if quiet { 0 } else { rng.below(60) },
            delay_max: Duration::from_millis(rng.between(2, 80)),
            drift_permille: rng.below(80),
            fault_gap_max: Duration::from_millis(rng.between(300, 2500)),
            crash_on_vote_permille: 20,
            pre_vote: rng.permille(700),
            planted: None,
        }
    }
}
