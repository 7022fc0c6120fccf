//! How the tables beside the keys are written to their buckets (facts: disk-formats, 6).

use mvcc::{Bucket, Txn};
use prost::Message;
use proto::etcdserverpb::AlarmMember;

use crate::auth::commands::Write;
use crate::lease::Lease;
use crate::members::{Member, Membership, id_text};
use crate::versions::{Downgrade, Version};

/// The value that marks a removed member.
const REMOVED: &[u8] = b"removed";

pub(crate) fn write_lease(txn: &mut Txn<'_>, lease: &Lease) {
    txn.put_raw(Bucket::Lease, &lease.id.to_be_bytes(), &lease.to_proto().encode_to_vec());
}

pub(crate) fn erase_lease(txn: &mut Txn<'_>, id: i64) {
    txn.delete_raw(Bucket::Lease, &id.to_be_bytes());
}

pub(crate) fn write_alarm(txn: &mut Txn<'_>, alarm: AlarmMember) {
    txn.put_raw(Bucket::Alarm, &alarm.encode_to_vec(), b"");
}

pub(crate) fn erase_alarm(txn: &mut Txn<'_>, alarm: AlarmMember) {
    txn.delete_raw(Bucket::Alarm, &alarm.encode_to_vec());
}

pub(crate) fn write_auth(txn: &mut Txn<'_>, write: &Write) {
    match write {
        Write::Enabled(on) => txn.put_raw(Bucket::Auth, Bucket::AUTH_ENABLED, &[u8::from(*on)]),
        Write::Revision(revision) => txn.put_raw(Bucket::Auth, Bucket::AUTH_REVISION, &revision.to_be_bytes()),
        Write::PutUser(user) => txn.put_raw(Bucket::AuthUsers, &user.name, &user.encode_to_vec()),
        Write::DeleteUser(name) => txn.delete_raw(Bucket::AuthUsers, name.as_bytes()),
        Write::PutRole(role) => txn.put_raw(Bucket::AuthRoles, &role.name, &role.encode_to_vec()),
        Write::DeleteRole(name) => txn.delete_raw(Bucket::AuthRoles, name.as_bytes()),
    }
}

pub(crate) fn write_member(txn: &mut Txn<'_>, member: &Member) {
    txn.put_raw(Bucket::Members, id_text(member.id).as_bytes(), &member.to_json());
}

/// Takes a member out and remembers its id.
pub(crate) fn remove_member(txn: &mut Txn<'_>, id: u64) {
    txn.delete_raw(Bucket::Members, id_text(id).as_bytes());
    txn.put_raw(Bucket::MembersRemoved, id_text(id).as_bytes(), REMOVED);
}

pub(crate) fn write_cluster_version(txn: &mut Txn<'_>, version: Version) {
    txn.put_raw(Bucket::Cluster, Bucket::CLUSTER_VERSION, version.to_string().as_bytes());
}

pub(crate) fn write_downgrade(txn: &mut Txn<'_>, downgrade: Downgrade) {
    txn.put_raw(Bucket::Cluster, Bucket::DOWNGRADE, &downgrade.to_json());
}

/// Makes the buckets say exactly what the membership says; writes only what differs.
pub(crate) fn rewrite_members(txn: &mut Txn<'_>, members: &Membership) -> mvcc::Result<()> {
    for bucket in [Bucket::Members, Bucket::MembersRemoved] {
        let stored = txn.scan(bucket, b"", None).collect::<mvcc::Result<Vec<_>>>()?;
        for (key, _) in stored {
            let id = std::str::from_utf8(&key).ok().and_then(crate::members::parse_id);
            let stays = id.is_some_and(|id| match bucket {
                Bucket::Members => members.get(id).is_some(),
                _ => members.is_removed(id),
            });
            if !stays {
                txn.delete_raw(bucket, &key);
            }
        }
    }
    for member in members.iter() {
        if txn.get(Bucket::Members, id_text(member.id).as_bytes())?.as_deref() != Some(&member.to_json()[..]) {
            write_member(txn, member);
        }
    }
    for id in members.removed() {
        if txn.get(Bucket::MembersRemoved, id_text(id).as_bytes())?.is_none() {
            txn.put_raw(Bucket::MembersRemoved, id_text(id).as_bytes(), REMOVED);
        }
    }
    Ok(())
}
