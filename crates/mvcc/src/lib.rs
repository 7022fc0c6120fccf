//! Revisions, views, compaction, hashing, watch hub.
