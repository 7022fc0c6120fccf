//! End-to-end checks of the release binaries beside the reference: servers as child processes on loopback, and the
//! programs in `src/bin` that drive them.

pub mod cluster;
pub mod crash;
pub mod differential;
pub mod hostile;
pub mod process;
pub mod workload;
