//! The arithmetic of majorities: who has won, what is committed.

mod joint;
mod majority;

pub use joint::JointConfig;
pub use majority::MajorityConfig;

/// The outcome of a vote as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VoteResult {
    /// The votes that are missing can still decide either way.
    Pending,
    /// No quorum can be reached any more.
    Lost,
    /// A quorum said yes.
    Won,
}

impl std::fmt::Display for VoteResult {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Pending => "VotePending",
            Self::Lost => "VoteLost",
            Self::Won => "VoteWon",
        })
    }
}
