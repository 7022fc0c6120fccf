//! `--force-new-cluster`: the log goes on as that of a cluster of one (facts: disk-formats, 9, last part).

use std::collections::BTreeSet;

use bytes::Bytes;
use prost::Message;
use proto::raftpb::{ConfChange, ConfChangeType, ConfState, Entry, EntryType, HardState};
use state::members::{ChangeContext, Member};
use wal::{Contents, Wal};

use super::BootError;
use super::restart::commit_to;

/// The peer URL of a member that founds itself anew.
const SELF_URL: &str = "http://localhost:2380";

/// Drops what lies beyond `commit`, then removes every other member by committed entries. Gives the number dropped.
/// Unlike in etcd the hard state goes with them: a crash right afterwards leaves the new cluster and not the old one.
pub(super) fn rewrite(
    contents: &mut Contents,
    wal: &mut Wal,
    conf_state: &ConfState,
    commit: u64,
) -> Result<u64, BootError> {
    let before = contents.entries.len();
    contents.entries.retain(|entry| entry.index <= commit);
    let dropped = (before - contents.entries.len()) as u64;
    let own = contents.identity.node_id;
    let (members, voters) = members_at_commit(conf_state, &contents.entries)?;
    let last_term = contents.entries.last().map_or(0, |entry| entry.term);
    let term = contents.hard_state.term.max(last_term);
    let changes = changes_to_alone(own, &members, &voters);
    let added: Vec<Entry> = (commit + 1..)
        .zip(changes)
        .map(|(index, change)| {
            let data = Bytes::from(change.encode_to_vec());
            Entry { entry_type: EntryType::EntryConfChange as i32, term, index, data }
        })
        .collect();
    wal.save(&HardState::default(), &added)?;
    let commit = added.last().map_or(commit, |entry| entry.index);
    contents.entries.extend(added);
    commit_to(commit, contents, wal)?;
    Ok(dropped)
}

/// All members and the voters among them once everything committed is applied.
fn members_at_commit(conf_state: &ConfState, entries: &[Entry]) -> Result<(BTreeSet<u64>, BTreeSet<u64>), BootError> {
    let mut voters: BTreeSet<u64> = conf_state.voters.iter().copied().collect();
    let mut members: BTreeSet<u64> = conf_state.learners.iter().copied().chain(voters.iter().copied()).collect();
    for entry in entries.iter().filter(|entry| entry.entry_type == EntryType::EntryConfChange as i32) {
        let change = ConfChange::decode(entry.data.clone())
            .map_err(|error| BootError::Log(format!("entry {} holds no conf change: {error}", entry.index)))?;
        match ConfChangeType::try_from(change.change_type) {
            Ok(ConfChangeType::ConfChangeAddNode) => {
                members.insert(change.node_id);
                voters.insert(change.node_id);
            }
            Ok(ConfChangeType::ConfChangeAddLearnerNode) => {
                members.insert(change.node_id);
            }
            Ok(ConfChangeType::ConfChangeRemoveNode) => {
                members.remove(&change.node_id);
                voters.remove(&change.node_id);
            }
            Ok(ConfChangeType::ConfChangeUpdateNode) | Err(_) => {}
        }
    }
    Ok((members, voters))
}

/// This member comes first where it does not vote yet: no configuration is without a voter.
fn changes_to_alone(own: u64, members: &BTreeSet<u64>, voters: &BTreeSet<u64>) -> Vec<ConfChange> {
    let mut changes = Vec::new();
    if !voters.contains(&own) {
        let member = Member { id: own, peer_urls: vec![SELF_URL.into()], ..Member::default() };
        // A learner is a member already, and would not be added once more.
        let context = match members.contains(&own) {
            true => ChangeContext { member, is_promote: true }.to_json(),
            false => member.to_json(),
        };
        changes.push(ConfChange {
            change_type: ConfChangeType::ConfChangeAddNode as i32,
            node_id: own,
            context: Bytes::from(context),
            ..ConfChange::default()
        });
    }
    let others = members.iter().filter(|id| **id != own);
    changes.extend(others.map(|id| ConfChange {
        change_type: ConfChangeType::ConfChangeRemoveNode as i32,
        node_id: *id,
        ..ConfChange::default()
    }));
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_others_go_and_a_learner_becomes_a_voter() {
        let ids = |list: &[u64]| list.iter().copied().collect::<BTreeSet<_>>();
        let changes = changes_to_alone(2, &ids(&[1, 2, 3]), &ids(&[1, 2, 3]));
        assert_eq!(changes.iter().map(|change| change.node_id).collect::<Vec<_>>(), [1, 3]);
        assert!(changes.iter().all(|change| change.change_type == ConfChangeType::ConfChangeRemoveNode as i32));
        let changes = changes_to_alone(2, &ids(&[1, 2]), &ids(&[1]));
        assert_eq!(changes.len(), 2);
        assert_eq!(changes[0].change_type, ConfChangeType::ConfChangeAddNode as i32);
    }
}
