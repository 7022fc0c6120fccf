//! One peer: its addresses, its queues, the tasks that serve it.

mod activity;
mod pipeline;
mod probe;
mod queue;
mod reader;
mod slot;
mod snapshot;
mod urls;
mod writer;

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use proto::raftpb::{Message, MessageType};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::codec::clear_local;
use crate::transport::{Shared, report_panic};
use activity::Activity;
pub(crate) use activity::{Change, StreamKind, Way};
use queue::Queue;
use slot::{Full, Slot};
pub(crate) use snapshot::Report;
pub(crate) use urls::Urls;
pub(crate) use writer::OutgoingStream;

/// Posts to one peer that may be under way.
const PIPELINE_WORKERS: usize = 4;

/// One member, or somebody who is in no member list yet (a "remote"), who is reached by posts only.
pub(crate) struct Peer {
    pub id: u64,
    shared: Arc<Shared>,
    member: AtomicBool,
    urls: Mutex<Urls>,
    activity: Mutex<Activity>,
    append: Mutex<Slot>,
    message: Mutex<Slot>,
    pipeline: Queue,
    /// The peer has shown itself: dialers need not wait out their pause.
    seen: Notify,
    tasks: Mutex<JoinSet<()>>,
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Peer {
    /// Somebody who is no member yet. To be called on the transport's runtime.
    pub fn remote(shared: &Arc<Shared>, id: u64, urls: Urls) -> Arc<Peer> {
        let limits = &shared.config.limits;
        let slot = || Mutex::new(Slot::new(limits.stream_messages_max, limits.stream_bytes_max));
        let peer = Arc::new(Peer {
            id,
            shared: shared.clone(),
            member: AtomicBool::new(false),
            urls: Mutex::new(urls),
            activity: Mutex::default(),
            append: slot(),
            message: slot(),
            pipeline: Queue::new(limits.pipeline_messages_max, limits.pipeline_bytes_max),
            seen: Notify::new(),
            tasks: Mutex::default(),
        });
        for _ in 0..PIPELINE_WORKERS {
            peer.spawn(pipeline::work(peer.clone()));
        }
        peer
    }

    /// The peer is a member now: streams and probes begin.
    pub fn become_member(self: &Arc<Peer>) {
        if self.member.swap(true, Ordering::Relaxed) {
            return;
        }
        for kind in StreamKind::BOTH {
            self.spawn(reader::read(self.clone(), kind));
        }
        for prober in probe::Prober::BOTH {
            self.spawn(probe::probe(self.clone(), prober));
        }
        if self.active_since().is_some() {
            self.shared.host.activity(self.id, true);
        }
    }

    pub fn is_member(&self) -> bool {
        self.member.load(Ordering::Relaxed)
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = lock(&self.tasks);
        while let Some(ended) = tasks.try_join_next() {
            report_panic(ended);
        }
        tasks.spawn(work);
    }

    /// Ends everything that goes on with this peer.
    pub fn stop(&self) {
        lock(&self.tasks).abort_all();
        lock(&self.append).close();
        lock(&self.message).close();
        let change = lock(&self.activity).end();
        self.tell(change, &"the peer was removed");
    }

    pub fn urls(&self) -> MutexGuard<'_, Urls> {
        lock(&self.urls)
    }

    /// Takes other URLs.
    pub fn update_urls(&self, urls: Urls) {
        if self.urls().update(urls) {
            self.seen.notify_waiters();
        }
    }

    pub fn active_since(&self) -> Option<Instant> {
        lock(&self.activity).since()
    }

    /// Takes a message on the best way that is open: appends on their stream, everything else, and appends while that one is
    /// down, on the message stream, without streams through the pipeline.
    pub fn send(&self, mut message: Message) -> Result<(), Full> {
        clear_local(&mut message);
        let append = message.msg_type == MessageType::MsgApp as i32;
        let mut slot = lock(&self.append);
        if !(append && slot.is_open()) {
            slot = lock(&self.message);
        }
        match slot.is_open() {
            true => slot.push(message),
            false => self.pipeline.push(message),
        }
    }

    /// So many messages found no room; `kind` is the type of one of them.
    pub fn dropped(&self, kind: i32, messages: usize) {
        tracing::warn!(
            "message-type" = MessageType::try_from(kind).map_or("", |kind| kind.as_str_name()),
            "local-member-id" = %self.local(),
            "remote-peer-id" = %format!("{:x}", self.id),
            "remote-peer-active" = self.active_since().is_some(),
            messages,
            "dropped internal Raft message since sending buffer is full"
        );
        self.failed(messages);
    }

    fn slot(&self, kind: StreamKind) -> MutexGuard<'_, Slot> {
        match kind {
            StreamKind::Append => lock(&self.append),
            StreamKind::Message => lock(&self.message),
        }
    }

    /// Messages to this peer are lost.
    fn failed(&self, messages: usize) {
        self.shared.observer.sent_failures(self.id, messages as u64);
        self.shared.host.unreachable(self.id);
    }

    /// The peer has opened a stream.
    pub fn open_stream(self: &Arc<Peer>, kind: StreamKind) -> OutgoingStream {
        self.seen.notify_waiters();
        OutgoingStream::attach(self.clone(), kind)
    }

    fn stream_changed(&self, way: Way, kind: StreamKind, open: bool, why: &dyn Display) {
        let change = lock(&self.activity).stream(way, kind, open);
        self.tell(change, why);
    }

    fn posted(&self, outcome: Result<(), &dyn Display>) {
        let change = lock(&self.activity).post(outcome.is_ok());
        self.tell(change, outcome.err().unwrap_or(&""));
    }

    fn tell(&self, change: Option<Change>, why: &dyn Display) {
        let Some(change) = change else { return };
        let connected = change == Change::Connected;
        let peer_id = format!("{:x}", self.id);
        match connected {
            true => tracing::info!("peer-id" = %peer_id, "peer became active"),
            false => {
                tracing::warn!("peer-id" = %peer_id, error = %why, "peer became inactive (message send to peer failed)")
            }
        }
        self.shared.observer.activity(self.id, connected);
        if self.is_member() {
            self.shared.host.activity(self.id, connected);
        }
    }

    fn local(&self) -> String {
        format!("{:x}", self.shared.config.identity.member)
    }
}
