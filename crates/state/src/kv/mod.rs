//! Keys: put, range, delete and transactions.
