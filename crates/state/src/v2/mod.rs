//! The v2 tree: requests, expiry by SYNC, JSON load and save.
