//! One entry being applied: its transaction, the tables it changes, the effects it leaves.
//!
//! The order of checks is etcd's on every member: the right to manage users, the CORRUPT alarm, the NOSPACE alarm, the
//! rights on keys, the quota; then the execution, whose own refusals come before its first write.

pub(crate) mod store;
pub(crate) mod v2;

use std::sync::Arc;

use mvcc::Txn;
use proto::errors::ClientError;
use proto::etcdserverpb::{self as pb, AlarmType};

use crate::applied::{Answer, Effect, Outcome};
use crate::auth::commands::Write;
use crate::auth::{Access, TxnDepth};
use crate::command::{AuthCommand, Caller, Command};
use crate::error::{ApplyError, Result};
use crate::kv;
use crate::live::{Live, Rules};
use crate::members::Source;
use crate::quota;
use crate::versions::Version;

/// What came of an entry: an answer, nothing to answer, or a refusal.
pub(crate) type Ran = std::result::Result<Option<Outcome>, ApplyError>;

/// An entry on its way.
pub(crate) struct Run<'a, 's> {
    pub txn: &'a mut Txn<'s>,
    pub live: &'a mut Live,
    pub rules: &'a Rules,
    pub index: u64,
    pub term: u64,
    /// The ticket of the proposer.
    pub id: u64,
    pub answer: Answer,
    /// Size of the backend before the entry, in bytes.
    pub backend_bytes: u64,
    pub effects: Vec<Effect>,
}

impl Run<'_, '_> {
    /// Checks and executes a request that the log carries for v3.
    pub(crate) fn request(&mut self, caller: Option<Caller>, command: Command) -> Result<Ran> {
        let caller = caller.unwrap_or_default();
        if self.answer == Answer::Unwanted && only_reads(&command) {
            return Ok(Ok(None));
        }
        if let Err(refusal) = self.check(&caller, &command) {
            return Ok(Err(refusal.into()));
        }
        let fits = self.rules.quota.fits(self.backend_bytes, cost(&command));
        let ran = self.execute(command)?;
        if ran.is_ok() && !fits {
            // It is stored; only the answer says otherwise.
            self.effects.push(Effect::RaiseNoSpace);
            return Ok(Err(ClientError::NoSpace.into()));
        }
        Ok(ran)
    }

    fn check(&self, caller: &Caller, command: &Command) -> kv::Checked<()> {
        if let Command::Auth(command) = command {
            let status_is_free = self.rules.release >= Version::V3_7;
            self.live.auth.check_command(caller, command, status_is_free)?;
        }
        if self.live.alarms.is_on(AlarmType::Corrupt) && stopped_by_corruption(command) {
            return Err(ClientError::Corrupt);
        }
        if self.live.alarms.is_on(AlarmType::Nospace) && cost(command) > 0 {
            return Err(ClientError::NoSpace);
        }
        self.check_keys(caller, command)
    }

    fn check_keys(&self, caller: &Caller, command: &Command) -> kv::Checked<()> {
        let (auth, leases) = (&self.live.auth, self.live.leases.leases());
        match command {
            Command::Range(r) => auth.check_range(caller, Access::Read, &r.key, &r.range_end),
            Command::Put(r) => auth.check_put(caller, r, leases),
            Command::DeleteRange(r) => auth.check_delete_range(caller, r),
            Command::Txn(r) => auth.check_txn(caller, r, leases, TxnDepth::at_apply(self.live.versions.cluster)),
            Command::LeaseRevoke(r) => auth.check_lease_keys(caller, Access::Write, r.id, leases),
            Command::Empty
            | Command::Compaction(_)
            | Command::LeaseGrant(_)
            | Command::LeaseCheckpoint(_)
            | Command::Alarm(_)
            | Command::Auth(_)
            | Command::ClusterVersionSet(_)
            | Command::ClusterMemberAttrSet(_)
            | Command::DowngradeInfoSet(_)
            | Command::DowngradeVersionTest
            | Command::V2(_)
            | Command::ConfChange(_)
            | Command::Unknown => Ok(()),
        }
    }

    fn execute(&mut self, command: Command) -> Result<Ran> {
        let ran = match command {
            Command::Range(r) => kv::range(self.txn.image(), &r, self.rules.release)?.map(|mut x| {
                self.complete(&mut x.header);
                Some(Outcome::Range(x))
            }),
            Command::Put(r) => self.put(&r)?.map(|mut x| {
                self.complete(&mut x.header);
                Some(Outcome::Put(x))
            }),
            Command::DeleteRange(r) => {
                let mut x = self.delete_range(&r)?;
                self.complete(&mut x.header);
                Ok(Some(Outcome::DeleteRange(x)))
            }
            Command::Txn(r) => self.write_txn(&r)?.map(|mut x| {
                self.complete(&mut x.header);
                Some(Outcome::Txn(x))
            }),
            Command::Compaction(r) => self.compact(r)?.map(Some),
            Command::LeaseGrant(r) => self.lease_grant(r).map(Some),
            Command::LeaseRevoke(r) => self.lease_revoke(r).map(Some),
            Command::LeaseCheckpoint(r) => Ok(Some(self.lease_checkpoint(r))),
            Command::Alarm(r) => Ok(Some(self.alarm(r))),
            Command::Auth(command) => self.auth(command).map(Some),
            Command::ClusterVersionSet(r) => {
                self.set_cluster_version(&r.ver)?;
                Ok(Some(Outcome::Done))
            }
            Command::ClusterMemberAttrSet(r) => {
                self.set_member_attributes(r.member_id, r.member_attributes.unwrap_or_default().into());
                Ok(Some(Outcome::Done))
            }
            Command::DowngradeInfoSet(r) => {
                self.set_downgrade(r.enabled, &r.ver);
                Ok(Some(Outcome::Done))
            }
            // The last two have ways of their own.
            Command::Empty
            | Command::DowngradeVersionTest
            | Command::Unknown
            | Command::V2(_)
            | Command::ConfChange(_) => Ok(None),
        };
        Ok(ran.map_err(ApplyError::from))
    }

    fn compact(&mut self, r: pb::CompactionRequest) -> Result<kv::Checked<Outcome>> {
        if let Err(e) = self.txn.compact(r.revision) {
            return kv::refusal(e).map(Err);
        }
        self.effects.push(Effect::CompactionScheduled { revision: r.revision });
        let response = pb::CompactionResponse { header: Some(self.header()) };
        Ok(Ok(Outcome::Compaction { response, revision: r.revision, physical: r.physical }))
    }

    /// What the first new entry after opening puts right: a revision for a fresh auth store, a fresh storage version,
    /// buckets that must follow the v2 tree, a tree that must follow the buckets.
    pub(crate) fn catch_up(&mut self) -> Result<()> {
        if self.live.auth.revision() == 0 && Arc::make_mut(&mut self.live.auth).start() {
            store::write_auth(self.txn, &Write::Revision(self.live.auth.revision()));
        }
        if self.live.versions.storage.is_none() && self.term != 0 && self.rules.release >= Version::V3_5 {
            // The term that goes into the file with this entry is what tells a storage of 3.5.
            self.live.versions.storage = Some(Version::V3_5);
        }
        if std::mem::take(&mut self.live.buckets_stale) {
            store::rewrite_members(self.txn, &self.live.members)?;
            if let Some(version) = self.live.versions.cluster {
                store::write_cluster_version(self.txn, version);
            }
        }
        if let Source::Buckets { behind, .. } = &mut self.live.source
            && behind.take().is_some()
        {
            v2::follow(&mut self.live.tree, &self.live.members, self.live.versions.cluster);
        }
        Ok(())
    }

    /// The header of an answer: the current revision, and the entry's term.
    pub(crate) fn header(&self) -> pb::ResponseHeader {
        pb::ResponseHeader { revision: self.txn.revision(), raft_term: self.term, ..Default::default() }
    }

    fn complete(&self, header: &mut Option<pb::ResponseHeader>) {
        header.get_or_insert_default().raft_term = self.term;
    }
}

/// Requests whose answer is all there is to them.
fn only_reads(command: &Command) -> bool {
    match command {
        Command::Range(_) => true,
        Command::Auth(command) => matches!(
            command,
            AuthCommand::Status
                | AuthCommand::UserGet(_)
                | AuthCommand::UserList
                | AuthCommand::RoleGet(_)
                | AuthCommand::RoleList
        ),
        _ => false,
    }
}

fn stopped_by_corruption(command: &Command) -> bool {
    matches!(
        command,
        Command::Range(_)
            | Command::Put(_)
            | Command::DeleteRange(_)
            | Command::Txn(_)
            | Command::Compaction(_)
            | Command::LeaseGrant(_)
            | Command::LeaseRevoke(_)
    )
}

/// What a request costs of the quota. What costs anything is refused while NOSPACE is on.
fn cost(command: &Command) -> u64 {
    match command {
        Command::Put(r) => quota::put_cost(r),
        Command::Txn(r) => quota::txn_cost(r),
        Command::LeaseGrant(_) => quota::lease_grant_cost(),
        _ => 0,
    }
}
