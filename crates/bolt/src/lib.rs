//! Storage engine in bbolt's file format.
