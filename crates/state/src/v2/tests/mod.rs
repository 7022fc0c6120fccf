//! Tests of the tree as a whole.

mod fixtures;
mod properties;
mod scripts;
mod units;
