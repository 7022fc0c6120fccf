//! Where membership comes from at a start: the v2 tree below cluster version 3.6, the buckets from there on; conf changes
//! between snapshot and consistent index count once either way. And a cluster that is forced to be one of one.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::*;
use disk::MemDisk;
use node::{BootOptions, Config, Event, InitialMember, Outcome as NodeOutcome, member_id};
use proto::errors::ClientError;
use proto::raftpb::{ConfChange, ConfChangeType};
use state::members::{ChangeContext, Member as Description};
use state::{Outcome, Version};

fn three(disk: &MemDisk, compat: Version) -> BootOptions {
    let node = Config { name: "a".into(), compat, snapshot_count: 8, ..config() };
    let member = |name: &str, port: u16| InitialMember {
        name: name.into(),
        peer_urls: vec![format!("http://localhost:{port}")],
    };
    BootOptions {
        initial_cluster: vec![member("a", 2380), member("b", 2480), member("c", 2580)],
        ..options(Arc::new(disk.clone()), node)
    }
}

fn forced(disk: &MemDisk, compat: Version) -> BootOptions {
    BootOptions { force_new_cluster: true, ..three(disk, compat) }
}

fn ids(member: &Member) -> Vec<u64> {
    member.booted.reader.view().members().iter().map(|member| member.id).collect()
}

fn change(member: &mut Member, change_type: ConfChangeType, node_id: u64, context: Bytes) -> NodeOutcome {
    let ticket = member.booted.ids.next();
    let change_type = change_type as i32;
    member.handle(Event::ProposeConfChange(ConfChange { id: ticket, change_type, node_id, context }));
    member.node_replies.remove(&ticket).unwrap()
}

fn add_learner(member: &mut Member, url: &str) -> u64 {
    let id = member_id(&[url.into()], "", Some(1_700_000_000));
    let description = Description { id, peer_urls: vec![url.into()], is_learner: true, ..Description::default() };
    let context = ChangeContext { member: description, is_promote: false }.to_json().into();
    let outcome = change(member, ConfChangeType::ConfChangeAddLearnerNode, id, context);
    assert!(matches!(outcome, NodeOutcome::ConfChanged(Ok(Outcome::Members { .. }))), "{outcome:?}");
    id
}

/// A member of three is left alone, forced, changed, cut off, and started again.
fn goes_through(compat: Version) {
    let disk = MemDisk::new(compat.minor);
    let mut member = Member::start(three(&disk, compat)).unwrap();
    assert_eq!(ids(&member).len(), 3);
    member.wait(Duration::from_secs(5));
    assert_eq!(member.booted.node.status().leader, 0, "nobody votes for it");
    drop(member);

    let disk = disk.power_loss();
    let mut member = Member::start(forced(&disk, compat)).unwrap();
    let own = member.booted.member_id;
    assert_eq!(ids(&member), [own]);
    assert_eq!(member.booted.node.status().leader, own);
    member.wait(Duration::from_secs(6));
    assert_eq!(member.booted.reader.view().versions().cluster, Some(compat));
    for n in 0..20 {
        member.put("k", &n.to_string(), 0).unwrap();
        member.wait(Duration::from_millis(150));
    }
    let snapshot_index = member.booted.node.status().snapshot_index;
    assert!(snapshot_index > 0);
    // The change lies past the snapshot, and the backend has it.
    let learner = add_learner(&mut member, "http://localhost:2680");
    member.put("k", "changed", 0).unwrap();
    member.wait(Duration::from_millis(500));
    assert!(member.booted.node.status().snapshot_index < member.booted.node.status().applied - 1);
    drop(member);

    let disk = disk.power_loss();
    let mut member = Member::start(three(&disk, compat)).unwrap();
    assert_eq!(member.booted.node.status().leader, own);
    let view = member.booted.reader.view();
    assert!(view.members().is_learner(learner) && view.members().len() == 2);
    assert!(view.members().is_removed(member_id(&["http://localhost:2480".into()], "etcd-cluster", None)));
    drop(view);
    assert_eq!(member.get("k").as_deref(), Some("changed"));
    let outcome = change(&mut member, ConfChangeType::ConfChangeRemoveNode, learner, Bytes::new());
    assert!(matches!(outcome, NodeOutcome::ConfChanged(Ok(_))), "{outcome:?}");
    let outcome = change(&mut member, ConfChangeType::ConfChangeRemoveNode, learner, Bytes::new());
    assert_eq!(outcome, NodeOutcome::ConfChanged(Err(ClientError::MemberNotFound.into())));
    let outcome = change(&mut member, ConfChangeType::ConfChangeRemoveNode, own, Bytes::new());
    assert_eq!(outcome, NodeOutcome::Failed(ClientError::MemberNotEnoughStarted));
    member.put("k", "end", 0).unwrap();
    member.stop();
    let member = Member::start(three(&disk, compat)).unwrap();
    assert_eq!((ids(&member), member.get("k").as_deref()), (vec![own], Some("end")));
}

#[test]
fn the_v2_tree_is_the_source_up_to_3_5() {
    goes_through(Version::V3_4);
    goes_through(Version::V3_5);
}

#[test]
fn the_buckets_are_the_source_from_3_6_on() {
    goes_through(Version::V3_6);
    goes_through(Version::V3_7);
}
