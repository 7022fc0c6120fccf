//! What a leader knows of the members: the configuration, and how far each of them is.

mod configuration;
mod inflights;
mod progress;

pub use configuration::Configuration;
pub use inflights::Inflights;
pub use progress::{Progress, ProgressMap, ProgressState};
