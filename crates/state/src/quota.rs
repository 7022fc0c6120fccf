//! The quota on the backend's size: what a request costs, and whether it fits (facts: errors, 3).
//!
//! The door asks before it proposes; apply asks again and still executes, because the local size never decides whether
//! an entry takes effect.

use proto::etcdserverpb::{self as pb, request_op::Request};

const PUT_OVERHEAD_BYTES: u64 = 256;
const LEASE_BYTES: u64 = 64;

/// The limit that `--quota-backend-bytes` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quota {
    Off,
    Bytes(u64),
}

impl Default for Quota {
    fn default() -> Quota {
        Quota::from_flag(0)
    }
}

impl Quota {
    /// What the flag's 0 stands for.
    pub const DEFAULT_BYTES: u64 = 2 << 30;

    /// 0 is the default of 2 GiB, a negative number switches the quota off.
    pub fn from_flag(bytes: i64) -> Quota {
        match u64::try_from(bytes) {
            Err(_) => Quota::Off,
            Ok(0) => Quota::Bytes(Quota::DEFAULT_BYTES),
            Ok(n) => Quota::Bytes(n),
        }
    }

    /// Whether a request of this cost fits onto a backend of this size. What costs nothing always fits.
    pub fn fits(self, backend_bytes: u64, cost_bytes: u64) -> bool {
        match self {
            Quota::Off => true,
            Quota::Bytes(limit) => cost_bytes == 0 || backend_bytes.saturating_add(cost_bytes) < limit,
        }
    }

    /// The limit for the Status call; 0 when off.
    pub fn bytes(self) -> u64 {
        match self {
            Quota::Off => 0,
            Quota::Bytes(limit) => limit,
        }
    }
}

/// The cost of a put: an overhead, the key and the value.
pub fn put_cost(put: &pb::PutRequest) -> u64 {
    PUT_OVERHEAD_BYTES + put.key.len() as u64 + put.value.len() as u64
}

/// The cost of a transaction: that of its dearer branch, which counts its puts, also nested ones.
pub fn txn_cost(txn: &pb::TxnRequest) -> u64 {
    branch_cost(&txn.success).max(branch_cost(&txn.failure))
}

/// The cost of a grant.
pub fn lease_grant_cost() -> u64 {
    LEASE_BYTES
}

fn branch_cost(ops: &[pb::RequestOp]) -> u64 {
    ops.iter()
        .map(|op| match &op.request {
            Some(Request::RequestPut(put)) => put_cost(put),
            Some(Request::RequestTxn(txn)) => txn_cost(txn),
            Some(Request::RequestRange(_) | Request::RequestDeleteRange(_)) | None => 0,
        })
        .sum()
}
