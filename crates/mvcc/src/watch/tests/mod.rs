//! Tests of the hub as a whole, over a store in memory.

mod model;
mod scripts;
mod units;
mod world;
