//! Records of the `key` bucket.
