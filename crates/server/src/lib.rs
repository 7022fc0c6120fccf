//! The process: threads, doors, boot.

pub mod config;
pub mod exit;
pub mod http;
pub mod logging;
pub mod metrics;
pub mod notify;
pub mod start;

#[cfg(feature = "run")]
pub mod doors;
#[cfg(feature = "run")]
mod generated;
#[cfg(feature = "run")]
pub mod run;
