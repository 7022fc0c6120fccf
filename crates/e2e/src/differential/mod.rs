//! The same requests to several servers, compared field by field.
//!
//! A seeded generator makes valid and invalid requests over a small key space; each goes to every server in turn, and the
//! answers must be equal once identities and clocks are taken out. Watches run beside them: what each delivers must be equal
//! too. Differences that are meant stand in [`differences`] with their reasons.

pub mod differences;
mod generate;
mod normalise;
mod run;
mod target;
mod watches;

pub use run::{Side, run};
