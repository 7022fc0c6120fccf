//! The process: threads, doors, boot.

pub mod config;
