//! The process: threads, doors, boot.

pub mod config;
pub mod discovery;
pub mod exit;
pub mod http;
pub mod logging;
pub mod metrics;
pub mod notify;
pub mod start;

pub mod doors;
mod generated;
pub mod run;
