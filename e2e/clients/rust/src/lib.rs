//! Holds nothing: the suite is in `tests/`.
