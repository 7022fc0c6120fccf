//! Bad input on the peer port of a running cluster: every request is answered as etcd answers it, nobody ends, and nothing has
//! changed afterwards.

mod cases;
mod http;
mod impostor;

use super::Failure;
use super::access::Access;
use super::group::{RECOVERY, same_hashes};
use super::member::{Member, Site};
use super::phase::keep_logs;
use crate::process::{Scratch, tail};
use crate::workload;
use cases::Facts;
use http::Answer;
use impostor::Impostor;
use std::path::Path;
use std::time::{Duration, Instant};

const SIZE: usize = 3;
const CALL: Duration = Duration::from_secs(5);
/// How long an answer may take: a refusal may be followed by 5 s until the connection is cut.
const PATIENCE: Duration = Duration::from_millis(700);
/// How long the impostor serves garbage.
const GARBAGE: Duration = Duration::from_secs(4);

/// What a program answered: the name of each case, whether it is compared, and the answer.
pub type Answers = Vec<(String, bool, Answer)>;

/// What must be as before.
#[derive(Debug, PartialEq)]
struct Picture {
    revision: i64,
    hash: (u32, i64),
    members: Vec<(u64, Vec<String>, bool)>,
}

struct Target {
    members: Vec<Member>,
    accesses: Vec<Access>,
    port: u16,
    scratch: Scratch,
    cluster: u64,
    removed: u64,
}

/// Runs all cases against a cluster of the program; `poisoned` says whether those that etcd does not survive are among
/// them, and `rounds` how much noise there is.
pub async fn run(name: &str, binary: &Path, poisoned: bool, rounds: u32, port: u16) -> Result<Answers, Failure> {
    let mut target = Target::form(name, binary, port).await?;
    let done = target.all(poisoned, rounds).await;
    if done.is_err() {
        keep_logs(target.scratch.path());
    }
    done
}

impl Target {
    async fn form(name: &str, binary: &Path, port: u16) -> Result<Target, Failure> {
        let scratch = Scratch::new(&format!("hostile-peer-{name}"))?;
        let (mut members, mut accesses) = (Vec::new(), Vec::new());
        for place in 0..SIZE {
            let site = Site::loopback(port + 2 * place as u16);
            accesses.push(Access::new(&site.client_url(), CALL)?);
            let folder = scratch.path().join(format!("m{place}"));
            std::fs::create_dir_all(&folder)?;
            members.push(Member::new(&format!("m{place}"), binary, site, folder.join("data")));
        }
        let initial: Vec<String> = members.iter().map(|m| format!("{}={}", m.name, m.site.peer_url())).collect();
        for member in &mut members {
            member.initial.0 = initial.join(",");
            member.start()?;
        }
        let mut target = Target { members, accesses, port, scratch, cluster: 0, removed: 0 };
        target.ready().await?;
        workload::work(&target.accesses[0].channel(), 3, 300).await?;
        let header = target.accesses[0].status().await?.header.unwrap_or_default();
        target.cluster = header.cluster_id;
        target.removed = target.add_learner(port + 2 * SIZE as u16 + 1).await?;
        target.accesses[0].member_remove(target.removed).await?;
        Ok(target)
    }

    async fn ready(&mut self) -> Result<(), Failure> {
        let deadline = Instant::now() + RECOVERY;
        for access in &self.accesses {
            while let Err(status) = access.get("probe", false).await {
                if Instant::now() > deadline {
                    let logs: Vec<String> = self.members.iter().map(|member| tail(&member.log())).collect();
                    return Err(format!("{}\n{}", status.message(), logs.join("\n")).into());
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Ok(())
    }

    /// Adds a learner at a port of loopback; the cluster may not be ready for it at once.
    async fn add_learner(&self, port: u16) -> Result<u64, Failure> {
        let deadline = Instant::now() + RECOVERY;
        loop {
            match self.accesses[0].member_add(&format!("http://127.0.0.1:{port}"), true).await {
                Ok(added) => return Ok(added.member.map_or(0, |member| member.id)),
                Err(status) if Instant::now() > deadline => return Err(status.message().to_owned().into()),
                Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    }

    async fn picture(&self) -> Result<Picture, Failure> {
        let revision = same_hashes(&self.accesses.iter().collect::<Vec<_>>()).await?;
        let hash = self.accesses[0].hash_kv(revision).await?;
        let listed = self.accesses[0].members().await?.members;
        let mut members: Vec<_> = listed.into_iter().map(|m| (m.id, m.peer_urls, m.is_learner)).collect();
        members.sort();
        Ok(Picture { revision, hash: (hash.hash, hash.compact_revision), members })
    }

    async fn facts(&self, place: usize) -> Result<Facts, Failure> {
        let status = self.accesses[place].status().await?;
        let listed = self.accesses[place].members().await?.members;
        let file = self.scratch.path().join("database");
        workload::save_snapshot(&self.accesses[place].channel(), &file).await?;
        let mut database = std::fs::read(&file)?;
        // A snapshot for clients ends with its digest, one for members does not.
        database.truncate(database.len() - database.len() % 512);
        Ok(Facts {
            cluster: self.cluster,
            target: status.header.map_or(0, |header| header.member_id),
            leader: status.leader,
            voters: listed.iter().filter(|member| !member.is_learner).map(|member| member.id).collect(),
            removed: self.removed,
            term: status.raft_term,
            index: status.raft_index,
            database,
        })
    }

    async fn leader(&self) -> Result<usize, Failure> {
        for (place, access) in self.accesses.iter().enumerate() {
            let status = access.status().await?;
            if status.header.is_some_and(|header| header.member_id == status.leader) {
                return Ok(place);
            }
        }
        Err("no member leads".into())
    }

    async fn all(&mut self, poisoned: bool, rounds: u32) -> Result<Answers, Failure> {
        let before = self.picture().await?;
        let leader = self.leader().await?;
        let mut answers = Vec::new();
        for (role, place) in [("leader", leader), ("follower", (leader + 1) % SIZE)] {
            let facts = self.facts(place).await?;
            let site = &self.members[place].site;
            let address = format!("{}:{}", site.host, site.peer_port);
            for case in cases::all(&facts, rounds) {
                if !case.beside && !poisoned {
                    continue;
                }
                let answer = http::exchange(&address, &case.bytes, case.ends, PATIENCE).await;
                let name = format!("{role}: {}", case.name);
                self.alive(&name).await?;
                let mut answer = answer.map_err(|failure| format!("{name}: {failure}"))?;
                if !case.bodies || answer.status == 200 {
                    answer.body.clear();
                }
                // What a decoder or a disk says in brackets is its own affair.
                if case.name.starts_with("a snapshot") {
                    answer.body.truncate(answer.body.find(" (").unwrap_or(answer.body.len()));
                }
                answers.push((name, case.beside, answer));
            }
            self.unchanged(&before, role).await?;
        }
        self.garbage(poisoned).await?;
        self.unchanged(&before, "garbage on streams").await?;
        self.goes_on().await?;
        Ok(answers)
    }

    async fn alive(&mut self, after: &str) -> Result<(), Failure> {
        for member in &mut self.members {
            if let Some(status) = member.ended()? {
                let text = tail(&member.log());
                return Err(format!("{} ended with {status} after {after}:\n{text}", member.name).into());
            }
            if member.has_panicked() {
                return Err(format!("{} panicked after {after}:\n{}", member.name, tail(&member.log())).into());
            }
        }
        Ok(())
    }

    async fn unchanged(&mut self, before: &Picture, after: &str) -> Result<(), Failure> {
        self.ready().await?;
        let now = self.picture().await?;
        if now == *before { Ok(()) } else { Err(format!("after {after} {before:?} has become {now:?}").into()) }
    }

    /// A learner that sends garbage on its streams.
    async fn garbage(&mut self, poisoned: bool) -> Result<(), Failure> {
        let port = self.port + 2 * SIZE as u16 + 3;
        let id = self.add_learner(port).await?;
        let impostor = Impostor::start(&format!("127.0.0.1:{port}"), self.cluster, id, poisoned).await?;
        tokio::time::sleep(GARBAGE).await;
        self.alive("garbage on streams").await?;
        println!("    {} streams with garbage", impostor.served());
        if impostor.served() < 12 {
            return Err("too few streams were opened to see every kind of garbage".into());
        }
        self.accesses[0].member_remove(id).await?;
        Ok(())
    }

    /// Writes through every member, and no member differs afterwards.
    async fn goes_on(&mut self) -> Result<(), Failure> {
        for round in 0..10 {
            for access in &self.accesses {
                access.put(&format!("after/{round}"), "x").await?;
            }
        }
        same_hashes(&self.accesses.iter().collect::<Vec<_>>()).await?;
        self.alive("the last writes").await
    }
}
