//! The process: threads, doors, boot.

pub mod config;
pub mod logging;
pub mod metrics;

#[cfg(feature = "run")]
pub mod doors;
#[cfg(feature = "run")]
mod generated;
#[cfg(feature = "run")]
pub mod run;
