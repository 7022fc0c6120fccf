//! Rights: what a caller may do (facts: errors, 11). Used at apply and, before the proposal, at the door.

use proto::errors::ClientError;
use proto::etcdserverpb::{self as pb, request_op::Request};

use super::{Access, AuthStore, ROOT};
use crate::command::{AuthCommand, Caller};
use crate::lease::Leases;
use crate::versions::Version;

type Check = Result<(), ClientError>;

/// How deep the rights of a transaction are looked at.
///
/// Releases before 3.7.0, 3.6.9, 3.5.28 and 3.4.42 do not look into nested transactions, those before 3.7.0, 3.6.11,
/// 3.5.30 and 3.4.44 not at the previous value and the lease of a put inside one
/// (docs/decisions/apply-differences.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxnDepth {
    /// Everything, nested transactions, previous values and leases too: at the door always, at apply from cluster version 3.7.
    Full,
    /// As members of a cluster below 3.7 do at apply.
    TopLevelKeys,
}

impl TxnDepth {
    /// How deep every member of a cluster of this version looks at apply.
    pub fn at_apply(cluster: Option<Version>) -> TxnDepth {
        match cluster {
            Some(version) if version < Version::V3_7 => TxnDepth::TopLevelKeys,
            Some(_) | None => TxnDepth::Full,
        }
    }
}

impl AuthStore {
    /// The rights of a transaction in full, for the door: while the cluster version is below 3.7, apply looks less deep
    /// ([`TxnDepth::at_apply`]), so a door that left this out would leave the hole open.
    pub fn check_txn_at_door(
        &self,
        caller: &Caller,
        txn: &pb::TxnRequest,
        leases: &Leases,
        cluster: Option<Version>,
    ) -> Check {
        match TxnDepth::at_apply(cluster) {
            TxnDepth::Full => Ok(()),
            TxnDepth::TopLevelKeys => self.check_txn(caller, txn, leases, TxnDepth::Full),
        }
    }

    /// Whether the caller holds role root. Off = everyone does.
    pub fn check_admin(&self, caller: &Caller) -> Check {
        if !self.enabled {
            return Ok(());
        }
        if caller.username.is_empty() {
            return Err(ClientError::UserEmpty);
        }
        let user = self.user(&caller.username).ok_or(ClientError::UserNotFound)?;
        if user.has_role(ROOT) { Ok(()) } else { Err(ClientError::PermissionDenied) }
    }

    /// Whether the caller holds any credentials.
    pub fn check_credentials(&self, caller: &Caller) -> Check {
        if self.enabled && caller.username.is_empty() {
            return Err(ClientError::UserEmpty);
        }
        Ok(())
    }

    /// Whether the caller may read or write a range of keys.
    pub fn check_range(&self, caller: &Caller, access: Access, key: &[u8], range_end: &[u8]) -> Check {
        if !self.enabled {
            return Ok(());
        }
        if caller.auth_revision == 0 {
            return Err(ClientError::UserEmpty);
        }
        if caller.auth_revision < self.revision {
            return Err(ClientError::AuthOldRevision);
        }
        let user = self.user(&caller.username).ok_or(ClientError::PermissionDenied)?;
        if user.has_role(ROOT) || self.permissions(user).allow(access, key, range_end) {
            Ok(())
        } else {
            Err(ClientError::PermissionDenied)
        }
    }

    /// A put: its key, all keys of the lease it takes, and the previous value it asks for.
    pub fn check_put(&self, caller: &Caller, put: &pb::PutRequest, leases: &Leases) -> Check {
        self.check_range(caller, Access::Write, &put.key, b"")?;
        self.check_lease_keys(caller, Access::Write, put.lease, leases)?;
        if put.prev_kv {
            self.check_range(caller, Access::Read, &put.key, b"")?;
        }
        Ok(())
    }

    /// A delete: its range, and the previous values it asks for.
    pub fn check_delete_range(&self, caller: &Caller, delete: &pb::DeleteRangeRequest) -> Check {
        self.check_range(caller, Access::Write, &delete.key, &delete.range_end)?;
        if delete.prev_kv {
            self.check_range(caller, Access::Read, &delete.key, &delete.range_end)?;
        }
        Ok(())
    }

    /// The compares, then both branches, whatever the outcome.
    pub fn check_txn(&self, caller: &Caller, txn: &pb::TxnRequest, leases: &Leases, depth: TxnDepth) -> Check {
        if !self.enabled {
            return Ok(());
        }
        for compare in &txn.compare {
            self.check_range(caller, Access::Read, &compare.key, &compare.range_end)?;
        }
        for op in txn.success.iter().chain(&txn.failure) {
            self.check_op(caller, op, leases, depth)?;
        }
        Ok(())
    }

    fn check_op(&self, caller: &Caller, op: &pb::RequestOp, leases: &Leases, depth: TxnDepth) -> Check {
        match (&op.request, depth) {
            (Some(Request::RequestRange(range)), _) => {
                self.check_range(caller, Access::Read, &range.key, &range.range_end)
            }
            (Some(Request::RequestPut(put)), TxnDepth::Full) => self.check_put(caller, put, leases),
            (Some(Request::RequestPut(put)), TxnDepth::TopLevelKeys) => {
                self.check_range(caller, Access::Write, &put.key, b"")
            }
            (Some(Request::RequestDeleteRange(delete)), _) => self.check_delete_range(caller, delete),
            (Some(Request::RequestTxn(txn)), TxnDepth::Full) => self.check_txn(caller, txn, leases, depth),
            (Some(Request::RequestTxn(_)), TxnDepth::TopLevelKeys) | (None, _) => Ok(()),
        }
    }

    /// All keys that hang on a lease: to revoke it or attach to it (write), to list it (read). An unknown lease has none.
    pub fn check_lease_keys(&self, caller: &Caller, access: Access, lease: i64, leases: &Leases) -> Check {
        if !self.enabled {
            return Ok(());
        }
        let Some(lease) = leases.get(lease) else {
            return Ok(());
        };
        lease.keys.iter().try_for_each(|key| self.check_range(caller, access, key, b""))
    }

    /// UserGet: an administrator, or the user itself.
    pub fn check_user_get(&self, caller: &Caller, name: &str) -> Check {
        match self.check_admin(caller) {
            Err(_) if caller.username == name => Ok(()),
            result => result,
        }
    }

    /// RoleGet: an administrator, or a holder of the role.
    pub fn check_role_get(&self, caller: &Caller, role: &str) -> Check {
        let holds = |name: &str| self.user(name).is_some_and(|user| user.has_role(role));
        match self.check_admin(caller) {
            Err(_) if holds(&caller.username) => Ok(()),
            result => result,
        }
    }

    /// The right that an auth request needs at apply.
    pub(crate) fn check_command(&self, caller: &Caller, command: &AuthCommand, status_is_free: bool) -> Check {
        match command {
            AuthCommand::Authenticate(_) => Ok(()),
            AuthCommand::Status if status_is_free => Ok(()),
            AuthCommand::UserGet(get) => self.check_user_get(caller, &get.name),
            AuthCommand::RoleGet(get) => self.check_role_get(caller, &get.role),
            AuthCommand::Status
            | AuthCommand::Enable
            | AuthCommand::Disable
            | AuthCommand::UserAdd(_)
            | AuthCommand::UserDelete(_)
            | AuthCommand::UserChangePassword(_)
            | AuthCommand::UserGrantRole(_)
            | AuthCommand::UserRevokeRole(_)
            | AuthCommand::UserList
            | AuthCommand::RoleList
            | AuthCommand::RoleAdd(_)
            | AuthCommand::RoleDelete(_)
            | AuthCommand::RoleGrantPermission(_)
            | AuthCommand::RoleRevokePermission(_) => self.check_admin(caller),
        }
    }
}
