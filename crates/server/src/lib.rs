//! The process: threads, doors, boot.
