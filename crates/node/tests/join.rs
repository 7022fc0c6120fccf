//! Founding and joining: who a new member will be, what it must hear from the others first, and an empty log that fills
//! from the leader.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod common;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::*;
use disk::{Disk, MemDisk};
use node::{BootError, BootOptions, Config, Event, ExistingCluster, InitialMember, boot};
use proto::raftpb::{ConfChange, ConfChangeType, Entry, EntryType, Message, MessageType};
use state::Version;
use state::members::{ChangeContext, Member as Description};

const CLUSTER: u64 = 0xcdf8_1819_4e3a_8c32;
const OWN: u64 = 0xb0b;

fn initial(name: &str, urls: &[&str]) -> InitialMember {
    InitialMember { name: name.into(), peer_urls: urls.iter().map(|url| url.to_string()).collect() }
}

fn known(id: u64, name: &str, urls: &[&str]) -> Description {
    let peer_urls = urls.iter().map(|url| url.to_string()).collect();
    let client_urls = if name.is_empty() { Vec::new() } else { vec![format!("http://{name}:2379")] };
    Description { id, name: name.into(), peer_urls, client_urls, is_learner: false }
}

/// A cluster of `a`, to which `b` was added.
fn running() -> ExistingCluster {
    ExistingCluster {
        cluster_id: CLUSTER,
        members: vec![known(0xa, "a", &["http://a:2380"]), known(OWN, "", &["http://b:2380"])],
        cluster_versions: vec![(0xa, "3.7.0".into())],
        ..ExistingCluster::default()
    }
}

fn joining(disk: &MemDisk, existing: ExistingCluster) -> BootOptions {
    let node = Config { name: "b".into(), ..config() };
    BootOptions {
        initial_cluster: vec![initial("a", &["http://a:2380"]), initial("b", &["http://b:2380"])],
        peer_urls: vec!["http://b:2380".into()],
        join: Some(existing),
        ..options(Arc::new(disk.clone()), node)
    }
}

fn refusal(existing: ExistingCluster) -> String {
    let disk = MemDisk::new(1);
    let text = Member::start(joining(&disk, existing)).err().expect("a refusal").to_string();
    assert!(!wal::exists(&disk, Path::new("/data/member/wal")).unwrap(), "nothing was begun");
    text
}

#[test]
fn the_initial_cluster_must_be_the_one_that_runs() {
    let mut fewer = running();
    fewer.members.pop();
    let text = refusal(fewer);
    let cluster = "{ClusterID:cdf818194e3a8c32 Members:[&{ID:a RaftAttributes:{PeerURLs:[http://a:2380] IsLearner:false} \
                   Attributes:{Name:a ClientURLs:[http://a:2379]}}] RemovedMemberIDs:[]}";
    assert_eq!(text, format!("error validating peerURLs {cluster}: member count is unequal"));

    let mut other = running();
    other.members[1].peer_urls = vec!["http://c:2380".into()];
    let text = refusal(other);
    let reason = "PeerURLs: no match found for existing member (b0b, [http://c:2380]), last resolver error \
                  (resolved urls: \"http://c:2380\" != \"http://b:2380\")";
    assert!(text.ends_with(reason), "{text}");

    let mut more = running();
    more.members[1].peer_urls.push("http://b:2381".into());
    let text = refusal(more);
    let reason = "last resolver error (len([\"http://b:2380\" \"http://b:2381\"]) != len([\"http://b:2380\"]))";
    assert!(text.ends_with(reason), "{text}");
}

#[test]
fn names_count_for_what_they_resolve_to() {
    let mut named = running();
    named.members[1].peer_urls = vec!["http://10.0.0.2:2380".into()];
    named.resolved = [("http://b:2380".to_owned(), "http://10.0.0.2:2380".to_owned())].into();
    assert!(Member::start(joining(&MemDisk::new(1), named.clone())).is_ok());
    named.resolve_error = Some("lookup b: no such host".into());
    assert!(refusal(named).ends_with("last resolver error (lookup b: no such host)"));
}

#[test]
fn the_name_must_be_in_it_and_no_url_twice() {
    let disk = MemDisk::new(1);
    let mut options = joining(&disk, running());
    options.node.name = "z".into();
    let text = Member::start(options).err().unwrap().to_string();
    assert_eq!(text, "couldn't find local name \"z\" in the initial cluster configuration");
    let mut options = joining(&disk, running());
    options.initial_cluster[0].peer_urls = vec!["http://b:2380".into()];
    let text = Member::start(options).err().unwrap().to_string();
    assert_eq!(text, "initial cluster a=http://b:2380,b=http://b:2380 has duplicate url");
}

#[test]
fn versions_must_fit() {
    let with = |versions: &[&str], downgrade_enabled| ExistingCluster {
        cluster_versions: versions.iter().map(|text| (0xa, text.to_string())).collect(),
        downgrade_enabled,
        ..running()
    };
    let own = Version { major: 3, minor: 6, patch: 9 };
    let fits = |versions: &[&str], downgrade| with(versions, downgrade).check_versions(own).is_ok();
    assert!(fits(&["3.6.0"], false) && fits(&["3.4.0", "3.6.0"], false));
    assert!(!fits(&["3.7.0"], false), "too new");
    assert!(fits(&["3.7.0"], true), "on its way down");
    assert!(!fits(&["3.8.0"], true) && !fits(&["2.3.0"], false));
    assert!(!fits(&[], false) && !fits(&["not_decided"], false), "somebody must say");
    assert!(fits(&["not_decided", "3.6.0"], false));
    assert_eq!(refusal(with(&["3.8.0"], false)), "incompatible with current running cluster");
}

#[test]
fn no_more_learners_than_allowed() {
    let mut existing = running();
    existing.members[0].is_learner = true;
    assert!(existing.check_learners(1).is_ok());
    existing.members[1].is_learner = true;
    assert_eq!(refusal(existing), "membership: too many learner members in cluster");
}

#[test]
fn whoever_was_part_of_the_cluster_does_not_found_it_again() {
    let mut options = joining(&MemDisk::new(1), running());
    options.join = None;
    assert_eq!(options.remote_peer_urls(), ["http://a:2380"]);
    let founding = options.founding().unwrap();
    assert_eq!(founding.members.len(), 2);
    assert!(founding.check_not_bootstrapped(&[]).is_ok());
    let mut answer = founding.members.clone();
    assert!(founding.check_not_bootstrapped(&answer).is_ok(), "it has not been up yet");
    let own = answer.iter_mut().find(|member| member.id == founding.member_id).unwrap();
    own.client_urls = vec!["http://b:2379".into()];
    let error = founding.check_not_bootstrapped(&answer).unwrap_err();
    assert_eq!(error.to_string(), format!("member {:x} has already been bootstrapped", founding.member_id));
}

fn append(index: u64, entries: Vec<Entry>, commit: u64) -> Message {
    let log_term = u64::from(index > 0);
    let msg_type = MessageType::MsgApp as i32;
    Message { msg_type, from: 0xa, to: OWN, term: 1, index, log_term, entries, commit, ..Message::default() }
}

fn added(index: u64, member: Description) -> Entry {
    let kind =
        if member.is_learner { ConfChangeType::ConfChangeAddLearnerNode } else { ConfChangeType::ConfChangeAddNode };
    let change = ConfChange {
        id: 0,
        change_type: kind as i32,
        node_id: member.id,
        context: ChangeContext { member, is_promote: false }.to_json().into(),
    };
    let data = prost::Message::encode_to_vec(&change).into();
    Entry { entry_type: EntryType::EntryConfChange as i32, term: 1, index, data }
}

/// The joiner's own answers among its actions.
fn answers(member: &mut Member, message: Message) -> Vec<Message> {
    member.actions.clear();
    member.handle(Event::Step(message));
    std::mem::take(&mut member.sent)
}

#[test]
fn an_empty_log_fills_from_the_leader() {
    let disk = MemDisk::new(1);
    let mut member = Member::start(joining(&disk, running())).unwrap();
    assert!(member.booted.fresh);
    assert_eq!((member.booted.member_id, member.booted.cluster_id), (OWN, CLUSTER));
    let remotes: Vec<u64> = member.booted.remotes.iter().map(|remote| remote.id).collect();
    assert_eq!(remotes, [0xa, OWN], "they can be answered before the log tells of them");
    assert_eq!(member.booted.reader.view().members().len(), 0);
    let log = wal::read_all(&disk, Path::new("/data/member/wal"), &Default::default()).unwrap();
    assert_eq!((log.entries.len(), log.identity.node_id, log.identity.cluster_id), (0, OWN, CLUSTER));
    // It does not campaign, however long nobody speaks to it.
    member.wait(Duration::from_secs(10));
    assert_eq!(member.booted.node.status().term, 0);
    drop(member);

    // Killed before anybody spoke to it, it starts again without asking anyone.
    let disk = disk.power_loss();
    let mut member = Member::start(BootOptions { join: None, ..joining(&disk, running()) }).unwrap();
    assert!(!member.booted.fresh && member.booted.remotes.is_empty());
    let first = answers(&mut member, append(4, Vec::new(), 0));
    let response = first.iter().find(|m| m.msg_type == MessageType::MsgAppResp as i32).unwrap();
    assert!(response.reject && response.reject_hint == 0);
    let founder = known(0xa, "a", &["http://a:2380"]);
    let entries = vec![added(1, founder), added(2, known(OWN, "", &["http://b:2380"]))];
    let second = answers(&mut member, append(0, entries, 2));
    let response = second.iter().find(|m| m.msg_type == MessageType::MsgAppResp as i32).unwrap();
    assert!(!response.reject && response.index == 2);
    let members: Vec<u64> = member.booted.reader.view().members().iter().map(|member| member.id).collect();
    assert_eq!(members, [0xa, OWN]);
    // Now it is known to the cluster, and tells its name.
    assert!(second.iter().chain(&member.sent).any(|m| m.msg_type == MessageType::MsgProp as i32));
}

/// What is left of a cluster is a learner: it can go on alone. With the tree as the source of membership, and the buckets.
#[test]
fn a_learner_can_found_a_cluster_of_its_own() {
    for compat in [Version::V3_5, Version::V3_7] {
        let disk = MemDisk::new(1);
        let mut existing = running();
        existing.cluster_versions = vec![(0xa, compat.to_string())];
        let options = |force_new_cluster| {
            let mut options = joining(&disk, existing.clone());
            options.node.compat = compat;
            BootOptions { force_new_cluster, ..options }
        };
        let mut member = Member::start(options(false)).unwrap();
        let own = Description { is_learner: true, ..known(OWN, "", &["http://b:2380"]) };
        let founder = known(0xa, "a", &["http://a:2380"]);
        member.handle(Event::Step(append(0, vec![added(1, founder), added(2, own)], 2)));
        assert!(member.booted.reader.view().members().is_learner(OWN));
        member.wait(Duration::from_secs(10));
        assert_eq!(member.booted.node.status().role, node::Role::Learner, "it does not campaign");
        drop(member);
        let mut member = Member::start(options(true)).unwrap();
        member.wait(Duration::from_secs(6));
        assert_eq!(member.booted.node.status().leader, OWN);
        let view = member.booted.reader.view();
        let left: Vec<_> = view.members().iter().map(|m| (m.id, m.is_learner, m.name.clone())).collect();
        assert_eq!(left, [(OWN, false, "b".to_owned())]);
        assert_eq!(view.versions().cluster, Some(compat));
        drop(view);
        member.put("k", "v", 0).unwrap();
        member.stop();
        let member = Member::start(options(false)).unwrap();
        assert_eq!(member.get("k").as_deref(), Some("v"));
    }
}

/// The directory of a removed member does not start, and a peer that says so ends the running one.
#[test]
fn a_removed_member_stops_when_told() {
    let mut member = Member::start(joining(&MemDisk::new(1), running())).unwrap();
    member.handle(Event::ToldRemoved);
    assert!(member.stopped);
}

/// A database without its log would have its first entries, at indexes it has seen, not applied.
#[test]
fn an_old_database_is_not_joined_with() {
    let disk = MemDisk::new(1);
    let mut old = start(&disk);
    old.put("k", "v", 0).unwrap();
    old.stop();
    disk.remove_dir_all(Path::new("/data/member/wal")).unwrap();
    let error = boot(joining(&disk, running()), node::Now { monotonic: Duration::ZERO, unix_millis: 0 }).err().unwrap();
    assert!(matches!(error, BootError::DbWithoutLog { .. }), "{error}");
}
