//! The world of one run: members, network, clients, watchers, judges, and the order in which things happen to them.

use std::collections::BTreeMap;
use std::time::Duration;

use disk::MemDisk;
use node::{InitialMember, member_id};
use proto::raftpb::Message;

use crate::check::{Consensus, History};
use crate::client::Client;
use crate::member::Slot;
use crate::network::Network;
use crate::options::Options;
use crate::rng::Rng;
use crate::schedule::Schedule;
use crate::watcher::Watcher;

/// Things that happen to a running member, void once it has crashed.
#[derive(Debug)]
pub enum Inside {
    Wake,
    LogSynced,
    ApplierDone,
    JobDone,
    Hashed { index: u64, text: String },
    Versions,
}

/// Things that happen.
#[derive(Debug)]
pub enum Happening {
    Inside { member: usize, incarnation: u32, what: Inside },
    Deliver { to: usize, message: Box<Message> },
    DeliverSnapshot { from: usize, to: usize, message: Box<Message>, db: Vec<u8> },
    SnapshotFate { from: usize, peer: u64, failed: bool },
    Client { client: usize },
    ClientGivesUp { client: usize, op: u64 },
    Watch { watcher: usize },
    Fault,
    Restart { member: usize },
    Heal,
    Flood { member: usize, left: u32 },
    FaultsEnd,
}

/// Everything.
pub struct World {
    pub options: Options,
    pub rng: Rng,
    pub schedule: Schedule<Happening>,
    pub cluster: Vec<InitialMember>,
    pub slots: Vec<Slot>,
    pub places: BTreeMap<u64, usize>,
    pub network: Network,
    pub clients: Vec<Client>,
    pub watchers: Vec<Watcher>,
    pub consensus: Consensus,
    pub history: History,
    pub faults_over: bool,
    /// Clients begin nothing new.
    pub closing: bool,
    pub figures: Figures,
}

/// What a run amounted to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    pub happenings: u64,
    pub crashes: u64,
    pub power_losses: u64,
    pub snapshots_sent: u64,
    pub unsynced_bytes_max: usize,
}

const TOKEN: &str = "etcd-cluster";
/// After the faults the members get this long to come together.
const CALM: Duration = Duration::from_secs(20);
/// After the last request they get this long to become equal.
const END: Duration = Duration::from_secs(10);

impl World {
    pub fn new(options: Options) -> Self {
        let mut rng = Rng::new(options.seed);
        let cluster: Vec<InitialMember> = (0..options.members)
            .map(|n| InitialMember { name: format!("m{n}"), peer_urls: vec![format!("http://m{n}:2380")] })
            .collect();
        let slots: Vec<Slot> = cluster
            .iter()
            .map(|member| Slot {
                id: member_id(&member.peer_urls, TOKEN, None),
                name: member.name.clone(),
                disk: MemDisk::new(rng.next()),
                incarnation: 0,
                running: None,
                paused_until: None,
                sync_stalled_until: Duration::ZERO,
                clock_permille: rng.between(1000 - options.drift_permille, 1000 + options.drift_permille),
            })
            .collect();
        let network = Network {
            loss_permille: options.loss_permille,
            duplicate_permille: options.duplicate_permille,
            delay_max: options.delay_max,
            ..Network::default()
        };
        Self {
            places: slots.iter().enumerate().map(|(place, slot)| (slot.id, place)).collect(),
            clients: (0..options.clients).map(|n| Client::new(n, rng.fork())).collect(),
            watchers: (0..options.watchers).map(|_| Watcher::new()).collect(),
            rng,
            schedule: Schedule::default(),
            cluster,
            slots,
            network,
            consensus: Consensus::default(),
            history: History::default(),
            faults_over: false,
            closing: false,
            figures: Figures::default(),
            options,
        }
    }

    /// Runs to the end, and judges it.
    pub fn run(&mut self) {
        for member in 0..self.slots.len() {
            self.start_member(member);
        }
        for client in 0..self.clients.len() {
            self.schedule.after(Duration::from_millis(self.rng.below(500)), Happening::Client { client });
        }
        for watcher in 0..self.watchers.len() {
            self.schedule.after(Duration::from_millis(self.rng.below(500)), Happening::Watch { watcher });
        }
        self.schedule.after(Duration::from_millis(500), Happening::Fault);
        self.schedule.at(self.options.faults_for, Happening::FaultsEnd);
        self.run_until(self.options.faults_for);
        // A disk that hangs goes on hanging, while the others work and memory must not grow.
        let stalls = self.slots.iter().map(|slot| slot.sync_stalled_until);
        let calm_end = stalls.fold(self.options.faults_for, Duration::max) + CALM;
        self.run_until(calm_end);
        self.closing = true;
        self.run_until(calm_end + END);
        // Leases go on ending: there may be an entry under way at any moment.
        let mut end = calm_end + END;
        while !self.is_settled() && end < calm_end + END * 12 {
            end += Duration::from_millis(100);
            self.run_until(end);
        }
        self.judge_end();
    }

    fn run_until(&mut self, end: Duration) {
        while self.schedule.now() < end {
            let Some(happening) = self.schedule.next() else { return };
            self.figures.happenings += 1;
            self.happen(happening);
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Inside { member, incarnation, what } => self.inside(member, incarnation, what),
            Happening::Deliver { to, message } => self.deliver(to, *message),
            Happening::DeliverSnapshot { from, to, message, db } => self.deliver_snapshot(from, to, *message, &db),
            Happening::SnapshotFate { from, peer, failed } => {
                self.hand(from, node::Event::SnapshotReport { peer, failed });
            }
            Happening::Client { client } => self.client_turn(client),
            Happening::ClientGivesUp { client, op } => self.client_gives_up(client, op),
            Happening::Watch { watcher } => self.watch_turn(watcher),
            Happening::Fault => self.fault(),
            Happening::Restart { member } => {
                if self.slots[member].running.is_none() {
                    self.start_member(member);
                }
            }
            Happening::Heal => self.network.heal(),
            Happening::Flood { member, left } => self.flood(member, left),
            Happening::FaultsEnd => self.end_faults(),
        }
    }

    /// Whether every member has applied, and every watcher heard of, all that is committed.
    fn is_settled(&self) -> bool {
        let committed = self.consensus.committed_index();
        let applied = |slot: &Slot| slot.running.as_ref().map(|running| running.booted.node.status().applied);
        let heard = |watcher: &Watcher| self.consensus.model.changes_from(watcher.check.next).is_empty();
        self.slots.iter().all(|slot| applied(slot) == Some(committed)) && self.watchers.iter().all(heard)
    }

    /// For whoever looks into a failed run.
    fn show_members(&self) {
        if std::env::var_os("SIM_VERBOSE").is_none() {
            return;
        }
        for slot in &self.slots {
            let Some(running) = &slot.running else {
                eprintln!("{} does not run", slot.name);
                continue;
            };
            eprintln!(
                "{} incarnation {} clock {} log busy {} queue {} applier busy {} tasks {} job {} wake {:?} {:?} local {:?}\n  {:?}",
                slot.name,
                slot.incarnation,
                slot.clock_permille,
                running.log_busy,
                running.log_queue.len(),
                running.applier_busy,
                running.tasks.len(),
                running.job.is_some(),
                running.wake_at,
                running.applier_wake_at,
                slot.local(self.schedule.now()),
                running.booted.node.status(),
            );
        }
    }

    /// In the end all members run, agree on the last entry, and nobody misses anything.
    fn judge_end(&mut self) {
        let committed = self.consensus.committed_index();
        self.show_members();
        for member in 0..self.slots.len() {
            let slot = &self.slots[member];
            let running = slot.running.as_ref().unwrap_or_else(|| panic!("{} does not run in the end", slot.name));
            let status = running.booted.node.status();
            assert!(status.leader != 0, "{} knows no leader in the end: {status:?}", slot.name);
            assert_eq!(status.applied, committed, "{} is behind in the end: {status:?}", slot.name);
            let state = self.state_text(member);
            self.consensus.state_at(self.slots[member].id, committed, state);
        }
        let model = &self.consensus.model;
        for watcher in &self.watchers {
            let missed = model.changes_from(watcher.check.next).first();
            assert!(missed.is_none(), "a watcher never heard of {missed:?}");
        }
        for client in &self.clients {
            assert!(client.answered > 0, "client {} was never answered", client.number);
        }
    }
}
