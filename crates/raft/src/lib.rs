//! Consensus as a pure state machine.
