//! Load on servers, and two servers compared under the same load.
//!
//! [`load`] makes requests, in a closed loop (each client sends its next request after the last answer) or an open one (requests
//! are due at a rate, and latency counts from when they were due). [`usage`] reads what a server process has used. [`compare`]
//! gives the same work to several binaries in turn and prints medians and ratios.

pub mod compare;
pub mod load;
pub mod usage;
pub mod work;
