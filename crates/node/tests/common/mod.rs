//! A member driven by hand: every action is carried out at once, in order.
#![allow(dead_code, reason = "each test uses a part")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use disk::{Disk, MemDisk};
use node::{
    Action, ApplierError, BootError, BootOptions, Booted, Config, Event, Now, Outcome as NodeOutcome, Output, Proposal,
    ProposalKind, ReadySnapshot, boot,
};
use prost::Message;
use proto::etcdserverpb::{
    CompactionRequest, DeleteRangeRequest, InternalRaftRequest, LeaseGrantRequest, PutRequest, RequestHeader,
};
use state::{ApplyError, Outcome};

pub type Reply = Result<Outcome, ApplyError>;

pub struct Member {
    pub booted: Booted,
    pub now: Duration,
    pub replies: BTreeMap<u64, Reply>,
    pub node_replies: BTreeMap<u64, NodeOutcome>,
    pub reads: Vec<u64>,
    pub actions: Vec<String>,
    /// Messages to peers.
    pub sent: Vec<proto::raftpb::Message>,
    pub events: u64,
    pub stopped: bool,
    pub snapshots: Vec<ReadySnapshot>,
    /// Whether the disk may fail; then nothing more happens.
    pub may_fail: bool,
    pub failed: bool,
    /// Why the applier stopped.
    pub failure: Option<String>,
}

pub fn options(disk: Arc<dyn Disk>, config: Config) -> BootOptions {
    BootOptions::new(disk, "/data", config, vec!["http://localhost:2380".into()])
}

pub fn config() -> Config {
    Config { name: "default".into(), client_urls: vec!["http://localhost:2379".into()], ..Config::default() }
}

pub fn start(disk: &MemDisk) -> Member {
    Member::start(options(Arc::new(disk.clone()), config())).expect("a sound directory")
}

impl Member {
    pub fn start(options: BootOptions) -> Result<Member, BootError> {
        Member::begin(options, false)
    }

    /// A member whose disk may fail.
    pub fn try_start(options: BootOptions) -> Result<Member, BootError> {
        Member::begin(options, true)
    }

    fn begin(options: BootOptions, may_fail: bool) -> Result<Member, BootError> {
        let now = Duration::from_secs(1);
        let booted = boot(options, Now { monotonic: now, unix_millis: 1_700_000_000_000 })?;
        let mut member = Member {
            booted,
            now,
            replies: BTreeMap::new(),
            node_replies: BTreeMap::new(),
            reads: Vec::new(),
            actions: Vec::new(),
            sent: Vec::new(),
            events: 0,
            stopped: false,
            snapshots: Vec::new(),
            may_fail,
            failed: false,
            failure: None,
        };
        member.settle();
        Ok(member)
    }

    /// What the disk gave, if it works.
    fn got<T, E: std::fmt::Debug>(&mut self, result: Result<T, E>) -> Option<T> {
        assert!(self.may_fail || result.is_ok(), "a disk that works: {:?}", result.as_ref().err());
        self.failed |= result.is_err();
        result.ok()
    }

    fn moment(&self) -> Now {
        Now { monotonic: self.now, unix_millis: 1_700_000_000_000 + self.now.as_millis() as u64 }
    }

    pub fn handle(&mut self, event: Event) {
        let now = self.moment();
        self.booted.node.handle(event, now);
        self.settle();
    }

    /// Carries out actions until there are none.
    pub fn settle(&mut self) {
        while !self.failed {
            let now = self.moment();
            self.booted.node.flush(now);
            let mut idle = true;
            while let Some(action) = self.booted.node.next_action() {
                idle = false;
                self.carry_out(action);
            }
            let synced = self.booted.log_writer.sync();
            if let Some(Some(persisted)) = self.got(synced) {
                idle = false;
                self.booted.node.handle(Event::Persisted(persisted), now);
            }
            if idle {
                let prepared = self.booted.log_writer.prepare_next();
                self.got(prepared);
                return;
            }
        }
    }

    fn carry_out(&mut self, action: Action) {
        let now = self.moment();
        if self.failed {
            return;
        }
        match action {
            Action::Persist(batch) => {
                let appended = self.booted.log_writer.append(batch);
                self.got(appended);
            }
            Action::Apply(batch) => {
                let output = self.booted.applier.apply(batch, now);
                self.take(output);
            }
            Action::Durable { commit } => {
                let output = self.booted.applier.durable(commit, now);
                self.take(output);
            }
            Action::Reply(ticket, outcome) => {
                self.node_replies.insert(ticket, outcome);
            }
            Action::ReadReady(tickets) => self.reads.extend(tickets),
            Action::Send(messages) => self.sent.extend(messages),
            Action::Stopped { .. } => self.stopped = true,
            Action::Purge => {
                let purged = self.booted.purger.purge();
                self.got(purged);
            }
            other => self.actions.push(format!("{other:?}")),
        }
    }

    fn take(&mut self, output: Result<Output, ApplierError>) {
        self.failure = self.failure.take().or(output.as_ref().err().map(ToString::to_string));
        let mut next = self.got(output);
        while let Some(output) = next.take() {
            self.events += output.events.map_or(0, |batch| batch.events.len() as u64);
            self.replies.extend(output.replies);
            self.snapshots.extend(output.snapshots);
            let now = self.moment();
            for event in output.driver {
                self.booted.node.handle(event, now);
            }
            if let Some(job) = output.hash {
                assert!(output.job.is_none(), "nothing else is under way");
                let hashed = self.booted.applier.hashed(job.index, job.run(), now);
                next = self.got(hashed);
            } else if let Some(job) = output.job {
                let done = job.run();
                if let Some(done) = self.got(done) {
                    let committed = self.booted.applier.committed(done, now);
                    next = self.got(committed);
                }
            }
        }
    }

    /// Lets time pass.
    pub fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let next = self.booted.node.next_wakeup().min(self.booted.applier.next_wakeup());
            if next > end {
                break;
            }
            self.now = self.now.max(next);
            let now = self.moment();
            if self.booted.node.next_wakeup() <= self.now {
                self.booted.node.wake(now);
            }
            if self.booted.applier.next_wakeup() <= self.now {
                let output = self.booted.applier.wake(now);
                self.take(output);
            }
            self.settle();
            if self.failed {
                return;
            }
        }
        self.now = end;
    }

    pub fn propose(&mut self, request: InternalRaftRequest) -> u64 {
        let ticket = self.booted.ids.next();
        let header = Some(RequestHeader { id: ticket, ..RequestHeader::default() });
        let data = Bytes::from(InternalRaftRequest { header, ..request }.encode_to_vec());
        self.handle(Event::Propose(Proposal { ticket, data, kind: ProposalKind::Client }));
        ticket
    }

    /// Proposes and gives the answer.
    pub fn call(&mut self, request: InternalRaftRequest) -> Reply {
        let ticket = self.propose(request);
        self.replies.remove(&ticket).unwrap_or_else(|| panic!("no answer: {:?}", self.node_replies.get(&ticket)))
    }

    pub fn put(&mut self, key: &str, value: &str, lease: i64) -> Reply {
        let put =
            PutRequest { key: key.to_owned().into(), value: value.to_owned().into(), lease, ..Default::default() };
        self.call(InternalRaftRequest { put: Some(put), ..Default::default() })
    }

    /// As `put`, on a disk that may fail.
    pub fn try_put(&mut self, key: &str, value: &str) -> Option<Reply> {
        let put = PutRequest { key: key.to_owned().into(), value: value.to_owned().into(), ..Default::default() };
        let ticket = self.propose(InternalRaftRequest { put: Some(put), ..Default::default() });
        self.replies.remove(&ticket)
    }

    pub fn defragment(&mut self, ticket: u64) {
        let output = self.booted.applier.defragment(ticket, self.moment());
        self.take(output);
        self.settle();
    }

    /// The content of a snapshot taken now.
    pub fn snapshot(&mut self) -> Vec<u8> {
        let ticket = self.booted.ids.next();
        let output = self.booted.applier.snapshot(ticket, self.moment());
        self.take(output);
        self.settle();
        let snapshot = self.snapshots.pop().expect("a snapshot at once");
        let mut chunks = snapshot.source.stream();
        let mut bytes = Vec::new();
        while let Some(chunk) = chunks.next_chunk().expect("a disk that works") {
            bytes.extend_from_slice(&chunk);
        }
        bytes
    }

    /// Has a snapshot made for a peer.
    pub fn snapshot_for(&mut self, message: proto::raftpb::Message) {
        let output = self.booted.applier.send_snapshot(message, self.moment());
        self.take(output);
        self.settle();
    }

    pub fn delete(&mut self, key: &str) -> Reply {
        let delete = DeleteRangeRequest { key: key.to_owned().into(), ..Default::default() };
        self.call(InternalRaftRequest { delete_range: Some(delete), ..Default::default() })
    }

    pub fn compact(&mut self, revision: i64, physical: bool) -> u64 {
        let compaction = CompactionRequest { revision, physical };
        self.propose(InternalRaftRequest { compaction: Some(compaction), ..Default::default() })
    }

    pub fn grant(&mut self, id: i64, ttl: i64) -> Reply {
        let grant = LeaseGrantRequest { id, ttl };
        self.call(InternalRaftRequest { lease_grant: Some(grant), ..Default::default() })
    }

    pub fn get(&self, key: &str) -> Option<String> {
        let view = self.booted.reader.view();
        let kv = view.get_kv(key.as_bytes(), 0).expect("readable");
        kv.map(|kv| String::from_utf8_lossy(&kv.value).into_owned())
    }

    pub fn revision(&self) -> i64 {
        self.booted.reader.view().revision()
    }

    /// Stops in good order.
    pub fn stop(mut self) {
        self.handle(Event::Stop);
        assert!(self.stopped, "a lone member stops at once");
        let now = self.moment();
        let output = self.booted.applier.stop(now);
        self.take(output);
        self.booted.log_writer.close().expect("a disk that works");
    }
}
