//! The world of one run: members, network, clients, watchers, judges, and the order in which things happen to them.

mod end;

use std::collections::BTreeMap;
use std::time::Duration;

use node::{InitialMember, member_id};
use proto::raftpb::Message;

use crate::check::{Consensus, History, LeaseCheck};
use crate::client::Client;
use crate::lab::LabAnswer;
use crate::member::{Fate, Slot, TOKEN};
use crate::model::Model;
use crate::network::Network;
use crate::operator::Operator;
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
    Inside {
        member: usize,
        incarnation: u32,
        what: Inside,
    },
    Deliver {
        from: usize,
        to: usize,
        message: Box<Message>,
    },
    DeliverSnapshot {
        from: usize,
        to: usize,
        message: Box<Message>,
        db: Vec<u8>,
    },
    SnapshotFate {
        from: usize,
        peer: u64,
        failed: bool,
    },
    Client {
        client: usize,
    },
    ClientGivesUp {
        client: usize,
        op: u64,
    },
    /// A keep-alive that another member passed on.
    KeepAlive {
        client: usize,
        op: u64,
        member: usize,
        lease: i64,
    },
    Watch {
        watcher: usize,
    },
    Fault,
    Restart {
        member: usize,
    },
    Heal,
    Flood {
        member: usize,
        left: u32,
    },
    DiskFreed {
        member: usize,
    },
    Operator,
    OperatorGivesUp {
        work: u64,
    },
    /// A peer refuses a member because it was removed.
    ToldRemoved {
        member: usize,
    },
    /// A member that was removed is switched off for good.
    Retire {
        member: usize,
    },
}

/// Who waits for an answer of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiter {
    Client {
        client: usize,
        op: u64,
    },
    /// Who keeps this lease alive.
    Keeper {
        client: usize,
        op: u64,
        lease: i64,
    },
    Operator,
    Lab,
}

/// Everything.
pub struct World {
    pub options: Options,
    pub rng: Rng,
    pub schedule: Schedule<Happening>,
    pub founders: Vec<InitialMember>,
    /// Every member there ever was.
    pub slots: Vec<Slot>,
    pub places: BTreeMap<u64, usize>,
    pub network: Network,
    pub clients: Vec<Client>,
    pub watchers: Vec<Watcher>,
    pub operator: Operator,
    pub consensus: Consensus,
    pub history: History,
    pub leases: LeaseCheck,
    /// What directed calls were answered, by their tickets.
    pub lab_answers: BTreeMap<u64, LabAnswer>,
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
    pub disk_failures: u64,
    pub snapshots_sent: u64,
    pub snapshots_installed: u64,
    pub transfers: u64,
    pub defragmentations: u64,
    pub joined: u64,
    pub unsynced_bytes_max: usize,
    pub held_bytes_max: usize,
}

/// After the faults the members get this long to come together.
const CALM: Duration = Duration::from_secs(20);
/// After the last request they get this long to become equal.
const END: Duration = Duration::from_secs(10);
/// A long run is reported on so often, by what happened.
const REPORT_EVERY: u64 = 50_000;

impl World {
    pub fn new(options: Options) -> Self {
        let mut rng = Rng::new(options.seed);
        let founders: Vec<InitialMember> = (0..options.members)
            .map(|n| InitialMember { name: format!("m{n}"), peer_urls: vec![format!("http://m{n}:2380")] })
            .collect();
        let founder = |rng: &mut Rng, member: &InitialMember| {
            Slot::new(member_id(&member.peer_urls, TOKEN, None), member.clone(), &options, rng)
        };
        let slots: Vec<Slot> = founders.iter().map(|member| founder(&mut rng, member)).collect();
        let network = Network {
            loss_permille: options.loss_permille,
            duplicate_permille: options.duplicate_permille,
            delay_max: options.delay_max,
            ..Network::default()
        };
        let ttl_min = node::Config::default().lease_ttl_min_secs();
        Self {
            places: slots.iter().enumerate().map(|(place, slot)| (slot.id, place)).collect(),
            clients: (0..options.clients).map(|n| Client::new(n, rng.fork())).collect(),
            watchers: (0..options.watchers).map(|_| Watcher::of(&mut rng)).collect(),
            operator: Operator::new(rng.fork()),
            rng,
            schedule: Schedule::default(),
            founders,
            slots,
            network,
            consensus: Consensus::new(Model::new(ttl_min, options.learners_max)),
            history: History::default(),
            leases: LeaseCheck::new(options.drift_permille),
            lab_answers: BTreeMap::new(),
            faults_over: false,
            closing: false,
            figures: Figures::default(),
            options,
        }
    }

    /// Runs to the end, and judges it.
    pub fn run(&mut self) {
        self.begin();
        match self.options.steps {
            None => self.run_until(self.options.faults_for),
            Some(steps) => self.run_steps(steps),
        }
        self.finish();
    }

    /// The founders start.
    pub fn start_members(&mut self) {
        (0..self.slots.len()).for_each(|member| self.start_member(member));
    }

    fn begin(&mut self) {
        self.start_members();
        for client in 0..self.clients.len() {
            self.schedule.after(Duration::from_millis(self.rng.below(500)), Happening::Client { client });
        }
        for watcher in 0..self.watchers.len() {
            self.schedule.after(Duration::from_millis(self.rng.below(500)), Happening::Watch { watcher });
        }
        self.schedule.after(Duration::from_millis(500), Happening::Fault);
        self.schedule.after(Duration::from_millis(1500), Happening::Operator);
    }

    pub fn run_until(&mut self, end: Duration) {
        while self.schedule.now() < end && self.step_once() {}
    }

    fn run_steps(&mut self, steps: u64) {
        while self.figures.happenings < steps && self.step_once() {
            if self.figures.happenings.is_multiple_of(REPORT_EVERY) {
                eprintln!("{} of {steps} steps: {}", self.figures.happenings, self.summary());
            }
        }
    }

    /// The next thing happens. False where nothing is planned.
    pub fn step_once(&mut self) -> bool {
        let Some(happening) = self.schedule.next() else { return false };
        self.figures.happenings += 1;
        self.happen(happening);
        true
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Inside { member, incarnation, what } => self.inside(member, incarnation, what),
            Happening::Deliver { from, to, message } => self.deliver(from, to, *message),
            Happening::DeliverSnapshot { from, to, message, db } => self.deliver_snapshot(from, to, *message, &db),
            Happening::SnapshotFate { from, peer, failed } => {
                self.hand(from, node::Event::SnapshotReport { peer, failed });
            }
            Happening::Client { client } => self.client_turn(client),
            Happening::ClientGivesUp { client, op } => self.client_lost(client, op),
            Happening::KeepAlive { client, op, member, lease } => self.keep_alive_arrives(client, op, member, lease),
            Happening::Watch { watcher } => self.watch_turn(watcher),
            Happening::Fault => self.fault(),
            Happening::Restart { member } => {
                if self.slots[member].running.is_none() && self.slots[member].fate != Fate::Gone {
                    self.start_member(member);
                }
            }
            Happening::Heal => self.network.heal(),
            Happening::Flood { member, left } => self.flood(member, left),
            Happening::DiskFreed { member } => self.free_disk(member),
            Happening::Operator => self.operator_turn(),
            Happening::OperatorGivesUp { work } => self.operator_gives_up(work),
            Happening::ToldRemoved { member } => self.hand(member, node::Event::ToldRemoved),
            Happening::Retire { member } => self.retire(member),
        }
    }

    /// The members that belong to the cluster, as far as its log goes.
    pub fn members(&self) -> impl Iterator<Item = usize> {
        self.slots.iter().enumerate().filter(|(_, slot)| slot.fate == Fate::Stays).map(|(place, _)| place)
    }
}
