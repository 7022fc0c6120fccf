//! Runs the scripts in `testdata/`: a node whose log writer and applier are played by the script.
//!
//! `start` makes the node, with `voters=(…)` and `learners=(…)` as the configuration it starts with and `log=…` empty entries of term 1
//! committed; every other command hands it one event (or lets time pass) and prints the actions that follow.
//! `sleep` lets time pass without waking the node, as if the process were stopped.
//! `persist` acknowledges batches, `apply` entries; both all that wait, unless told `n=…`.

use std::fmt::Write as _;

use bytes::Bytes;
use proto::etcdserverpb::{InternalRaftRequest, Member, V2Request};
use proto::raftpb::{ConfChange, ConfChangeType, EntryType, HardState, MessageType, Snapshot, SnapshotMetadata};
use state::Version;
use testkit::datadriven::{self, Case};

use super::*;
use crate::action::{ApplyBatch, Batch};
use crate::event::{AppliedConfChange, LeaseChange, Persisted, VersionReport};

#[test]
fn scripts() {
    for path in datadriven::scripts(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata")) {
        let mut env = None;
        datadriven::run(&path, |case| {
            if case.command == "start" {
                env = Some(Env::start(case));
            }
            env.as_mut().expect("a script begins with start").execute(case)
        });
    }
}

struct Env {
    node: Node,
    now: Duration,
    batches: VecDeque<Batch>,
    commit: u64,
    to_apply: VecDeque<ApplyBatch>,
    applied: Applied,
}

fn millis(case: &Case, key: &str) -> Duration {
    Duration::from_millis(case.parsed(key).unwrap_or(0))
}

fn members(ids: &[u64]) -> Arc<Vec<Member>> {
    Arc::new(ids.iter().map(|id| Member { id: *id, name: format!("m{id}"), ..Member::default() }).collect())
}

fn version(text: &str) -> Version {
    text.parse().expect("a version")
}

impl Env {
    fn start(case: &Case) -> Self {
        let id = case.parsed("id").unwrap_or(1);
        let voters: Vec<u64> = case.parsed_list("voters");
        let commit = case.parsed("log").unwrap_or(0);
        let entries = (1..=commit).map(|index| proto::raftpb::Entry { term: 1, index, ..Default::default() }).collect();
        let learners: Vec<u64> = case.parsed_list("learners");
        let conf_state =
            proto::raftpb::ConfState { voters: voters.clone(), learners: learners.clone(), ..Default::default() };
        let mut all = (*members(&voters)).clone();
        all.extend(members(&learners).iter().map(|member| Member { is_learner: true, ..member.clone() }));
        let applied = Applied {
            members: Some(Arc::new(all)),
            cluster_version: case.value("cluster").map(version),
            ..Applied::default()
        };
        let config = Config {
            name: format!("m{id}"),
            compat: version(case.value("compat").unwrap_or("3.7.0")),
            unsynced_bytes_max: case.parsed("bytes").unwrap_or(1000),
            catch_up_entries: case.parsed("catch-up").unwrap_or(5000),
            ..Config::default()
        };
        let start = Start {
            id,
            config,
            ids: Arc::new(RequestIds::new(id, 0)),
            log: Log { conf_state, entries, ..Log::default() },
            hard_state: HardState { term: u64::from(commit > 0), vote: 0, commit },
            applied: applied.clone(),
            seed: 7,
        };
        let now = Now { monotonic: Duration::ZERO, unix_millis: 0 };
        let node = Node::new(start, now).expect("a sound start");
        Self { node, now: Duration::ZERO, batches: VecDeque::new(), commit, to_apply: VecDeque::new(), applied }
    }

    fn now(&self) -> Now {
        Now { monotonic: self.now, unix_millis: self.now.as_millis() as u64 }
    }

    fn execute(&mut self, case: &Case) -> String {
        let ticket = case.parsed("ticket").unwrap_or(0);
        let lease = case.parsed("lease").unwrap_or(0);
        match case.command.as_str() {
            "start" => {}
            "wait" => return self.wait(case),
            "sleep" => {
                self.now += millis(case, "ms");
                return String::new();
            }
            "propose" => {
                let data = Bytes::from(vec![b'x'; case.parsed("bytes").unwrap_or(1)]);
                for ticket in case.parsed_list("tickets") {
                    let proposal = Proposal { ticket, data: data.clone(), kind: ProposalKind::Client };
                    self.handle(Event::Propose(proposal));
                }
            }
            "read" => {
                case.parsed_list("tickets").into_iter().for_each(|ticket| self.handle(Event::ReadIndex { ticket }));
            }
            "persist" => self.persist(case.parsed("n").unwrap_or(usize::MAX)),
            "apply" => self.apply(case),
            "step" => self.step(case),
            "snap" => self.snap(case),
            "want-durable" => self.handle(Event::WantDurable { index: case.parsed("index").unwrap_or(0) }),
            "keep-alive" => self.handle(Event::LeaseKeepAlive { ticket, lease }),
            "time-to-live" => self.handle(Event::LeaseTimeToLive { ticket, lease }),
            "move-leader" => {
                self.handle(Event::MoveLeader { ticket, target: case.parsed("to").unwrap_or(0) });
            }
            "remove-member" => {
                let change = ConfChange {
                    id: ticket,
                    change_type: ConfChangeType::ConfChangeRemoveNode as i32,
                    node_id: case.parsed("id").unwrap_or(0),
                    ..ConfChange::default()
                };
                self.handle(Event::ProposeConfChange(change));
            }
            "connected" => {
                let peer = case.parsed("peer").unwrap_or(0);
                self.handle(Event::PeerActivity { peer, connected: true });
            }
            "promote" => {
                let node_id = case.parsed("id").unwrap_or(0);
                let context = format!(r#"{{"id":{node_id},"peerURLs":[],"isPromote":true}}"#).into();
                let change_type = ConfChangeType::ConfChangeAddNode as i32;
                self.handle(Event::ProposeConfChange(ConfChange { id: ticket, change_type, node_id, context }));
            }
            "snapshot-report" => {
                let peer = case.parsed("peer").unwrap_or(0);
                self.handle(Event::SnapshotReport { peer, failed: case.arg("failed").is_some() });
            }
            "versions" => {
                let reports = case.args.iter().filter_map(|arg| {
                    let member = arg.key.parse().ok()?;
                    Some(VersionReport { member, server: arg.values.first().map(|text| version(text)) })
                });
                self.handle(Event::Versions(reports.collect()));
            }
            "corrupt" => self.handle(Event::RaiseCorrupt { member: case.parsed("member").unwrap_or(0) }),
            "told-removed" => self.handle(Event::ToldRemoved),
            "no-space" => self.handle(Event::RaiseNoSpace),
            "stop" => self.handle(Event::Stop),
            other => panic!("line {}: no command {other}", case.line),
        }
        self.node.flush(self.now());
        self.actions()
    }

    fn handle(&mut self, event: Event) {
        self.node.handle(event, self.now());
    }

    /// Lets time pass in the steps that the node asks for.
    fn wait(&mut self, case: &Case) -> String {
        let end = self.now + millis(case, "ms");
        let mut out = String::new();
        while self.node.next_wakeup() <= end {
            self.now = self.now.max(self.node.next_wakeup());
            self.node.wake(self.now());
            self.node.flush(self.now());
            let actions = self.actions();
            if !actions.is_empty() {
                writeln!(out, "at {} ms:", self.now.as_millis()).expect("a string takes all");
                out += &actions;
            }
        }
        self.now = end;
        out
    }

    fn persist(&mut self, n: usize) {
        let n = n.min(self.batches.len());
        let done: Vec<Batch> = self.batches.drain(..n).collect();
        let Some(seq) = done.last().map(|batch| batch.seq) else { return };
        let synced = |batch: &&Batch| batch.sync || !batch.entries.is_empty() || batch.snapshot.is_some();
        if done.iter().any(|batch| synced(&batch) || batch.hard_state.is_some()) {
            self.commit =
                done.iter().filter_map(|batch| batch.hard_state).map(|h| h.commit).fold(self.commit, u64::max);
        }
        self.handle(Event::Persisted(Persisted { seq, commit: self.commit }));
    }

    fn apply(&mut self, case: &Case) {
        let n = case.parsed("n").unwrap_or(usize::MAX).min(self.to_apply.len());
        let mut applied = Applied { members: None, leases: Vec::new(), tickets: Vec::new(), ..self.applied.clone() };
        let batches: Vec<ApplyBatch> = self.to_apply.drain(..n).collect();
        if let Some(metadata) =
            batches.iter().filter_map(|batch| batch.snapshot.as_ref()?.metadata.as_ref()).next_back()
        {
            (applied.index, applied.term, applied.snapshot_installed) = (metadata.index, metadata.term, true);
        }
        for entry in batches.into_iter().flat_map(|batch| batch.entries) {
            (applied.index, applied.term) = (entry.index, entry.term);
            applied.tickets.extend(ticket_of(&entry).filter(|id| self.node.ids.is_own(*id)));
            if entry.entry_type == EntryType::EntryConfChange as i32 {
                let change: ConfChange = prost::Message::decode(entry.data).expect("a conf change");
                applied.conf_changes.push(AppliedConfChange {
                    index: entry.index,
                    ticket: change.id,
                    removed_self: change.node_id == self.node.id,
                    change: Some(change),
                    outcome: Ok(state::Outcome::Done),
                });
            }
        }
        for id in case.parsed_list("grant") {
            applied.leases.push(LeaseChange::Granted { id, ttl_secs: case.parsed("ttl").unwrap_or(10) });
        }
        for id in case.parsed_list("revoke") {
            applied.leases.push(LeaseChange::Revoked { id });
        }
        applied.cluster_version = case.value("cluster").map(version).or(applied.cluster_version);
        if let Some(arg) = case.arg("downgrade") {
            applied.downgrade_target = arg.values.first().and_then(|text| text.parse().ok());
            applied.downgrade_enabled = applied.downgrade_target.is_some();
        }
        applied.revision = case.parsed("revision").unwrap_or(applied.revision);
        applied.v2_ttl_keys |= case.arg("v2-ttl").is_some();
        applied.over_quota = case.arg("over-quota").is_some();
        if let Some(arg) = case.arg("members") {
            applied.members =
                Some(members(&arg.values.iter().map(|id| id.parse().expect("an id")).collect::<Vec<_>>()));
        }
        self.applied =
            Applied { conf_changes: Vec::new(), over_quota: false, snapshot_installed: false, ..applied.clone() };
        self.handle(Event::Applied(applied));
    }

    fn step(&mut self, case: &Case) {
        let kind = case.args.first().expect("a message type").key.as_str();
        let msg_type = MessageType::from_str_name(kind).expect("a message type") as i32;
        let number = |key| case.parsed(key).unwrap_or(0);
        let (index, term) = (number("index"), number("term"));
        let count = case.parsed::<u64>("entries").unwrap_or(0);
        let data = match case.parsed::<u64>("question") {
            Some(id) => Bytes::copy_from_slice(&(1 << 48 | id).to_be_bytes()),
            None => Bytes::from_static(b"data"),
        };
        let entries = (index + 1..=index + count)
            .map(|index| proto::raftpb::Entry { index, term, data: data.clone(), ..Default::default() })
            .collect();
        let context = if let Some(hex) = case.value("context-hex") {
            let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal digits");
            (0..hex.len()).step_by(2).map(byte).collect()
        } else if case.arg("context").is_some() {
            Bytes::copy_from_slice(&number("context").to_be_bytes())
        } else {
            Bytes::new()
        };
        self.handle(Event::Step(Message {
            msg_type,
            from: case.parsed("from").unwrap_or(2),
            to: self.node.id,
            term,
            index,
            entries,
            context,
            log_term: number("log-term"),
            commit: number("commit"),
            reject: case.arg("reject").is_some(),
            ..Message::default()
        }));
    }

    /// A snapshot of the leader, whose database lies in its place.
    fn snap(&mut self, case: &Case) {
        let number = |key| case.parsed(key).unwrap_or(0);
        let conf_state = Some(proto::raftpb::ConfState { voters: case.parsed_list("voters"), ..Default::default() });
        let metadata = SnapshotMetadata { conf_state, index: number("index"), term: number("term") };
        self.handle(Event::Step(Message {
            msg_type: MessageType::MsgSnap as i32,
            from: number("from"),
            to: self.node.id,
            term: number("term"),
            snapshot: Some(Snapshot { metadata: Some(metadata), ..Snapshot::default() }),
            ..Message::default()
        }));
    }

    fn actions(&mut self) -> String {
        let mut out = String::new();
        while let Some(action) = self.node.next_action() {
            let line = match action {
                Action::Persist(batch) => {
                    let line = batch_text(&batch);
                    self.batches.push_back(batch);
                    line
                }
                Action::Send(messages) => messages.iter().map(message_text).collect::<Vec<_>>().join("\n"),
                Action::Apply(batch) => {
                    let line = match batch.snapshot.as_ref().and_then(|snapshot| snapshot.metadata.as_ref()) {
                        Some(metadata) => format!("install {}/{}", metadata.term, metadata.index),
                        None => format!("apply {}", entries_text(&batch.entries)),
                    };
                    self.to_apply.push_back(batch);
                    line
                }
                Action::Durable { commit } => format!("durable {commit}"),
                Action::Reply(ticket, outcome) => format!("reply {ticket}: {outcome:?}"),
                Action::ReadReady(tickets) => format!("read-ready {tickets:?}"),
                Action::RoleChanged { role, term, leader } => format!("role {role:?} term={term} leader={leader}"),
                Action::AskVersions => "ask-versions".into(),
                Action::Published => "published".into(),
                Action::SendSnapshot(message) => format!("snapshot to {}", message.to),
                Action::Purge => "purge".into(),
                Action::Stopped { removed } => format!("stopped removed={removed}"),
                Action::Failed(why) => format!("failed: {why}"),
            };
            out += &line;
            out.push('\n');
        }
        out
    }
}

/// The ticket in a request that the node itself made, or in a conf change.
fn ticket_of(entry: &proto::raftpb::Entry) -> Option<u64> {
    if entry.entry_type == EntryType::EntryConfChange as i32 {
        let change: Option<ConfChange> = prost::Message::decode(entry.data.clone()).ok();
        return change.map(|change| change.id);
    }
    let request: Option<InternalRaftRequest> = prost::Message::decode(entry.data.clone()).ok();
    if let Some(header) = request.and_then(|request| request.header) {
        return Some(header.id);
    }
    let v2: Option<V2Request> = prost::Message::decode(entry.data.clone()).ok();
    v2.map(|request| request.id)
}

fn batch_text(batch: &Batch) -> String {
    let mut line = format!("persist {}", batch.seq);
    if let Some(HardState { term, vote, commit }) = batch.hard_state {
        write!(line, " term={term} vote={vote} commit={commit}").expect("a string takes all");
    }
    if !batch.entries.is_empty() {
        write!(line, " {}", entries_text(&batch.entries)).expect("a string takes all");
    }
    if let Some(metadata) = batch.snapshot.as_ref().and_then(|snapshot| snapshot.metadata.as_ref()) {
        write!(line, " received={}", metadata.index).expect("a string takes all");
    }
    if let Some(record) = &batch.snapshot_record {
        write!(line, " snapshot={}", record.index).expect("a string takes all");
    }
    if batch.sync {
        line.push_str(" sync");
    }
    line
}

fn entries_text(entries: &[proto::raftpb::Entry]) -> String {
    entries
        .iter()
        .map(|entry| format!("{}/{}{}", entry.term, entry.index, data_text(entry)))
        .collect::<Vec<_>>()
        .join(" ")
}

/// What is in an entry, as far as the node itself put it there.
fn data_text(entry: &proto::raftpb::Entry) -> String {
    if entry.entry_type == EntryType::EntryConfChange as i32 {
        return ":conf-change".into();
    }
    if entry.data.is_empty() || entry.data.iter().all(|byte| *byte == b'x') || entry.data == "data" {
        return String::new();
    }
    let request: InternalRaftRequest = match prost::Message::decode(entry.data.clone()) {
        Ok(request) => request,
        Err(_) => {
            let v2: V2Request = prost::Message::decode(entry.data.clone()).expect("a request of v2");
            return format!(":v2-{}{}={}", v2.method, v2.path, v2.val);
        }
    };
    if let Some(revoke) = request.lease_revoke {
        format!(":revoke-{}", revoke.id)
    } else if let Some(set) = request.cluster_version_set {
        format!(":version-{}", set.ver)
    } else if request.cluster_member_attr_set.is_some() {
        ":attributes".into()
    } else if let Some(set) = request.downgrade_info_set {
        format!(":downgrade-{}{}", set.enabled, set.ver)
    } else if let Some(alarm) = request.alarm {
        format!(":alarm-{}-{}", alarm.alarm().as_str_name(), alarm.member_id)
    } else if let Some(compaction) = request.compaction {
        format!(":compact-{}", compaction.revision)
    } else {
        ":?".into()
    }
}

fn message_text(message: &Message) -> String {
    let kind = MessageType::try_from(message.msg_type).map_or("?", |kind| kind.as_str_name());
    let mut line = format!("send {kind} to {} term={} index={}", message.to, message.term, message.index);
    if kind.starts_with("MsgHeartbeat") && !message.context.is_empty() {
        write!(line, " context={:x?}", message.context.as_ref()).expect("a string takes all");
    }
    if !message.entries.is_empty() {
        write!(line, " entries={}", message.entries.len()).expect("a string takes all");
    }
    if message.reject {
        line.push_str(" reject");
    }
    line
}
