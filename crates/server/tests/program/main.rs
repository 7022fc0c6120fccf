//! The program from outside, as a child process.

mod cluster;
mod common;
mod quota;
mod serve;
mod wire;
