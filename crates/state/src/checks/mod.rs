//! Field checks of requests, run at the door before the proposal.
