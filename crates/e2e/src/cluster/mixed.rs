//! Members replaced one by one by those of another program while clients go on: each joins as a learner, is promoted,
//! leads, and lets one of the old ones go. Nothing may be lost, nobody may notice.

use super::Failure;
use super::access::Access;
use super::group::{RECOVERY, same_hashes};
use super::load::{self, Shared, Tasks};
use super::member::{Member, Site};
use super::phase::keep_logs;
use super::watcher;
use crate::process::{Scratch, tail};
use crate::workload;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Members that a cluster has while nobody is being replaced.
const SIZE: usize = 3;
/// Places for members: the first ones, those that replace them, those that go back.
const PLACES: usize = 3 * SIZE + 1;
/// Entries written first, so that a newcomer needs a snapshot: etcd keeps 5000 behind its newest one.
const BURST: load::Burst = load::Burst { writes: 6500, bytes: 0, keys: None };
const SNAPSHOT_COUNT: &str = "500";
const CLIENTS: usize = 4;
const PACE: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(2);
const CALL: Duration = Duration::from_secs(8);
/// How long clients and watchers have to end.
const END: Duration = Duration::from_secs(70);
const V2_KEYS: usize = 20;

/// A program with the flags for it.
#[derive(Clone, Debug)]
pub struct Program {
    /// For what is printed, and for names of members: letters and digits.
    pub name: String,
    pub binary: PathBuf,
    pub flags: Vec<String>,
    /// Whether it serves the v2 API.
    pub v2: bool,
}

/// One run: from the members of one program to those of others, in turn.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub name: String,
    pub first: Program,
    pub then: Vec<Program>,
    /// At the end one of these joins, shows what it got, and leaves.
    pub guest: Option<Program>,
    /// At the end the members are restarted without these flags, and the cluster reaches this version.
    pub lift: Option<(&'static str, &'static str)>,
    /// How long clients go on between two steps.
    pub rest: Duration,
    pub port: u16,
}

struct Mixed {
    scratch: Scratch,
    port: u16,
    members: BTreeMap<usize, Member>,
    ids: BTreeMap<usize, u64>,
    accesses: Vec<Access>,
    rest: Duration,
}

/// Runs a scenario; gives the number of violations.
pub async fn run(scenario: &Scenario) -> Result<usize, Failure> {
    let began = Instant::now();
    println!("{}: {} first", scenario.name, scenario.first.name);
    let site = |place: usize| Site::loopback(scenario.port + 2 * place as u16);
    let accesses = (0..PLACES).map(|place| Access::new(&site(place).client_url(), CALL));
    let mut mixed = Mixed {
        scratch: Scratch::new(&format!("mixed-{}", scenario.name))?,
        port: scenario.port,
        members: BTreeMap::new(),
        ids: BTreeMap::new(),
        accesses: accesses.collect::<Result<_, _>>()?,
        rest: scenario.rest,
    };
    let shared = Shared::default();
    let done = mixed.scenario(scenario, &shared).await;
    let mut history = shared.history();
    match done {
        Ok(()) => history.judge(),
        Err(failure) => history.violation(format!("{}: {failure}", scenario.name)),
    }
    for member in mixed.members.values().filter(|member| member.has_panicked()) {
        history.violation(format!("{} panicked", member.name));
    }
    if history.violated > 0 {
        keep_logs(mixed.scratch.path());
    }
    println!(
        "{}: {} answers, {} without answer, {} revisions, {} events to watchers, {} violations, {:.0} s",
        scenario.name,
        history.answered,
        history.unanswered,
        history.revisions(),
        history.events,
        history.violated,
        began.elapsed().as_secs_f64()
    );
    Ok(history.violated)
}

impl Mixed {
    async fn scenario(&mut self, scenario: &Scenario, shared: &Shared) -> Result<(), Failure> {
        self.form(&scenario.first).await?;
        let mut tasks = self.load(shared)?;
        let members: Vec<Access> = (0..SIZE).map(|place| self.accesses[place].clone()).collect();
        load::burst(members, shared, BURST).await;
        if scenario.first.v2 {
            self.put_v2(0)?;
        }
        workload::add_users(&self.accesses[0].channel()).await?;
        let users = workload::users(&self.accesses[0].channel()).await?;
        self.step(&format!("{SIZE} of {} formed and filled", scenario.first.name)).await?;
        for (turn, program) in scenario.then.iter().enumerate() {
            for number in 0..SIZE {
                let (comes, goes) = ((turn + 1) * SIZE + number, turn * SIZE + number);
                self.replace(comes, goes, program).await?;
                self.same_users(comes, &users).await?;
            }
        }
        if let Some(guest) = &scenario.guest {
            self.guest(guest, &users).await?;
        }
        if let Some((flag, version)) = scenario.lift {
            self.lift(flag, version).await?;
        }
        tasks.end(shared, END).await?;
        self.hashes().await?;
        Ok(())
    }

    fn site(&self, place: usize) -> Site {
        Site::loopback(self.port + 2 * place as u16)
    }

    fn member(&self, place: usize, program: &Program) -> Result<Member, Failure> {
        let folder = self.scratch.path().join(format!("p{place}"));
        std::fs::create_dir_all(&folder)?;
        let name = format!("{}-{place}", program.name);
        let mut member = Member::new(&name, &program.binary, self.site(place), folder.join("data"));
        member.extra = vec!["--snapshot-count".to_owned(), SNAPSHOT_COUNT.to_owned()];
        member.extra.extend(program.flags.iter().cloned());
        Ok(member)
    }

    async fn form(&mut self, program: &Program) -> Result<(), Failure> {
        let mut members = (0..SIZE).map(|place| self.member(place, program)).collect::<Result<Vec<_>, _>>()?;
        let initial: Vec<String> = members.iter().map(|m| format!("{}={}", m.name, m.site.peer_url())).collect();
        for member in &mut members {
            member.initial.0 = initial.join(",");
            member.start()?;
        }
        self.members = members.into_iter().enumerate().collect();
        for place in 0..SIZE {
            self.ready(place).await?;
            let header = self.accesses[place].status().await?.header;
            self.ids.insert(place, header.map_or(0, |header| header.member_id));
        }
        Ok(())
    }

    fn load(&self, shared: &Shared) -> Result<Tasks, Failure> {
        let mut tasks = Tasks::default();
        let all = || (0..PLACES).map(|place| Access::new(&self.site(place).client_url(), PATIENCE));
        for client in 0..CLIENTS {
            let members = all().collect::<Result<_, _>>()?;
            tasks.clients.spawn(load::client(members, shared.clone(), client as u64, PACE));
        }
        for (name, prefix, seed) in [("of everything", None, 1), ("of registers", Some("r/"), 2)] {
            let name = format!("watcher {name}");
            let kind = watcher::Kind { name, prefix, stays_ms: 5_000, asks_progress: false };
            tasks.watchers.spawn(watcher::watch(all().collect::<Result<_, _>>()?, shared.clone(), kind, seed));
        }
        Ok(tasks)
    }

    /// Waits until a member answers a linearizable read, which a learner does not.
    async fn ready(&mut self, place: usize) -> Result<(), Failure> {
        let deadline = Instant::now() + RECOVERY;
        loop {
            self.must_run(place)?;
            match self.accesses[place].get("probe", false).await {
                Ok(_) => return Ok(()),
                Err(status) if Instant::now() > deadline => {
                    return Err(format!("place {place} does not answer: {status}").into());
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    fn must_run(&mut self, place: usize) -> Result<(), Failure> {
        let member = self.members.get_mut(&place).ok_or("there is no such member")?;
        match member.ended()? {
            None => Ok(()),
            Some(status) => Err(format!("{} ended with {status}:\n{}", member.name, tail(&member.log())).into()),
        }
    }

    /// One of the members that are there.
    fn anyone(&self) -> &Access {
        let place = self.members.keys().next_back().copied().unwrap_or_default();
        &self.accesses[place]
    }

    async fn leader(&self) -> Result<usize, Failure> {
        let deadline = Instant::now() + RECOVERY;
        loop {
            for place in self.members.keys() {
                let Ok(status) = self.accesses[*place].status().await else { continue };
                if status.leader != 0 && Some(&status.leader) == self.ids.get(place) {
                    return Ok(*place);
                }
            }
            if Instant::now() > deadline {
                return Err("no member leads".into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn hashes(&self) -> Result<i64, Failure> {
        let accesses: Vec<&Access> = self.members.keys().map(|place| &self.accesses[*place]).collect();
        same_hashes(&accesses).await
    }

    /// Lets clients go on for a while, then compares the members.
    async fn step(&self, what: &str) -> Result<(), Failure> {
        tokio::time::sleep(self.rest).await;
        let revision = self.hashes().await.map_err(|failure| format!("after {what}: {failure}"))?;
        println!("    {what}: hashes of {} members equal at revision {revision}", self.members.len());
        Ok(())
    }

    /// A member of another program joins, leads, and one goes.
    async fn replace(&mut self, comes: usize, goes: usize, program: &Program) -> Result<(), Failure> {
        self.join(comes, program).await?;
        self.step(&format!("{}-{comes} joined", program.name)).await?;
        self.lead(comes).await?;
        self.step(&format!("{}-{comes} leads", program.name)).await?;
        self.leave(goes).await?;
        self.step(&format!("place {goes} left")).await
    }

    async fn join(&mut self, place: usize, program: &Program) -> Result<(), Failure> {
        let mut member = self.member(place, program)?;
        let (url, name) = (member.site.peer_url(), member.name.clone());
        let added = until(|| self.anyone().member_add(&url, true)).await?;
        let initial = added.members.iter().flat_map(|m| {
            let name = if m.name.is_empty() { &name } else { &m.name };
            m.peer_urls.iter().map(move |url| format!("{name}={url}"))
        });
        member.initial = (initial.collect::<Vec<_>>().join(","), "existing");
        member.start()?;
        let id = added.member.map_or(0, |member| member.id);
        let voters = self.members.keys().next_back().copied().unwrap_or_default();
        self.members.insert(place, member);
        self.ids.insert(place, id);
        let promoted = until(|| self.accesses[voters].member_promote(id)).await;
        self.must_run(place)?;
        promoted?;
        self.ready(place).await?;
        self.got_snapshot(place)
    }

    /// The newcomer's data must have come as a snapshot.
    fn got_snapshot(&self, place: usize) -> Result<(), Failure> {
        let url = format!("{}/metrics", self.site(place).client_url());
        let output = Command::new("curl").args(["-sS", &url]).output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let count = |line: &str| line.starts_with("etcd_network_snapshot_receive_success") && !line.ends_with(" 0");
        if text.lines().any(count) {
            return Ok(());
        }
        Err(format!("place {place} got no snapshot, say its metrics").into())
    }

    async fn lead(&mut self, place: usize) -> Result<(), Failure> {
        let deadline = Instant::now() + RECOVERY;
        let id = self.ids.get(&place).copied().unwrap_or_default();
        loop {
            let leader = self.leader().await?;
            if leader == place {
                return Ok(());
            }
            if let Err(status) = self.accesses[leader].move_leader(id).await
                && Instant::now() > deadline
            {
                return Err(format!("place {place} does not get to lead: {status}").into());
            }
        }
    }

    /// A member is removed and its process ends by itself, as removed members do.
    async fn leave(&mut self, place: usize) -> Result<(), Failure> {
        let id = self.ids.remove(&place).unwrap_or_default();
        until(|| self.anyone().member_remove(id)).await?;
        let mut member = self.members.remove(&place).ok_or("there is no such member")?;
        let deadline = Instant::now() + Duration::from_secs(30);
        while member.running()? {
            if Instant::now() > deadline {
                return Err(format!("{} was removed and goes on", member.name).into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        if member.has_panicked() {
            return Err(format!("{} panicked", member.name).into());
        }
        Ok(())
    }

    /// A member of the old program comes for a look: the v2 keys and the users are there.
    async fn guest(&mut self, program: &Program, users: &str) -> Result<(), Failure> {
        let place = PLACES - 1;
        self.join(place, program).await?;
        if program.v2 {
            self.check_v2(place)?;
        }
        self.same_users(place, users).await?;
        self.step(&format!("{} came back as a guest", program.name)).await?;
        self.lead_any_but(place).await?;
        self.leave(place).await?;
        self.step("the guest left").await
    }

    async fn lead_any_but(&mut self, place: usize) -> Result<(), Failure> {
        let other = self.members.keys().copied().find(|other| *other != place).ok_or("there is nobody else")?;
        self.lead(other).await
    }

    /// Restarts the members without a flag, one by one.
    async fn lift(&mut self, flag: &str, version: &str) -> Result<(), Failure> {
        let places: Vec<usize> = self.members.keys().copied().collect();
        for place in places {
            let member = self.members.get_mut(&place).ok_or("there is no such member")?;
            member.stop().await?;
            if let Some(at) = member.extra.iter().position(|word| word == flag) {
                member.extra.drain(at..=at + 1);
            }
            member.start()?;
            self.ready(place).await?;
            self.step(&format!("place {place} restarted without {flag}")).await?;
        }
        let deadline = Instant::now() + RECOVERY;
        let wanted = format!("\"etcdcluster\":\"{version}\"");
        loop {
            let mut texts = Vec::new();
            for place in self.members.keys() {
                let url = format!("{}/version", self.site(*place).client_url());
                let output = Command::new("curl").args(["-sS", &url]).output()?;
                texts.push(String::from_utf8_lossy(&output.stdout).into_owned());
            }
            if texts.iter().all(|text| text.contains(&wanted)) {
                break;
            }
            if Instant::now() > deadline {
                return Err(format!("the cluster does not reach {version}: {texts:?}").into());
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        self.step(&format!("the cluster is at {version}")).await
    }

    /// The users are there, as far as the member tells of users at all.
    async fn same_users(&self, place: usize, users: &str) -> Result<(), Failure> {
        match workload::users(&self.accesses[place].channel()).await {
            Ok(found) if found == users => Ok(()),
            Ok(found) => Err(format!("users were {users} and are {found}").into()),
            Err(failure) => match failure.downcast_ref::<tonic::Status>() {
                Some(status) if status.code() == tonic::Code::Unimplemented => Ok(()),
                _ => Err(failure),
            },
        }
    }

    fn v2_url(&self, place: usize, key: usize) -> String {
        format!("{}/v2/keys/folder/{key}", self.site(place).client_url())
    }

    fn put_v2(&self, place: usize) -> Result<(), Failure> {
        for key in 0..V2_KEYS {
            let url = self.v2_url(place, key);
            let mut put = Command::new("curl");
            put.args(["-sS", "-L", "-XPUT", &url, "-d", &format!("value=kept-{key}")]);
            if key % 2 == 0 {
                put.args(["-d", "ttl=100000"]);
            }
            let output = put.output()?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            if !text.contains("\"action\":\"set\"") {
                return Err(format!("no v2 key could be put: {text}").into());
            }
        }
        self.check_v2(place)
    }

    /// All v2 keys are there, with their TTLs.
    pub fn check_v2(&self, place: usize) -> Result<(), Failure> {
        for key in 0..V2_KEYS {
            let output = Command::new("curl").args(["-sS", &self.v2_url(place, key)]).output()?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let lives = text.contains("\"ttl\":") == (key % 2 == 0);
            if !text.contains(&format!("\"value\":\"kept-{key}\"")) || !lives {
                return Err(format!("the v2 key {key} is {text}").into());
            }
        }
        println!("    {V2_KEYS} v2 keys are there");
        Ok(())
    }
}

/// Asks again until it is granted: the cluster may not be ready for the change yet.
async fn until<T, F>(mut ask: impl FnMut() -> F) -> Result<T, Failure>
where
    F: Future<Output = Result<T, tonic::Status>>,
{
    let deadline = Instant::now() + RECOVERY;
    loop {
        match ask().await {
            Ok(answer) => return Ok(answer),
            Err(status) if Instant::now() > deadline => return Err(status.message().to_owned().into()),
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}

/// What a program is called in a scenario.
pub fn program(name: &str, binary: &Path, flags: &[&str], v2: bool) -> Program {
    let flags = flags.iter().map(|&flag| flag.to_owned()).collect();
    Program { name: name.to_owned(), binary: binary.to_owned(), flags, v2 }
}
