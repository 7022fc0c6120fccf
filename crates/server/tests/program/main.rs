//! The program from outside, as a child process.

mod common;
mod quota;
mod serve;
mod wire;
