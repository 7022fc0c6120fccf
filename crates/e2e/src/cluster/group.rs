//! A cluster as the tests hold it: the processes, their disks, the network between them, and what can be asked of all.

use super::Failure;
use super::access::Access;
use super::disk::{Syncs, TestDisk};
use super::member::{Member, Site};
use super::net::Network;
use super::proxy::Proxy;
use crate::process::tail;
use proto::etcdserverpb::StatusResponse;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// How long a cluster may take until every member answers, after whatever was done to it.
pub const RECOVERY: Duration = Duration::from_secs(60);
/// The limit of a call of the tests themselves.
const CALL: Duration = Duration::from_secs(3);

/// What a member's data lies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The machine's own disk.
    Plain,
    /// A disk of the tests' own.
    Test(Syncs),
    /// A file system in memory of so many MiB.
    Small(u32),
}

/// A disk that is mounted for one member.
#[derive(Debug)]
pub enum MemberDisk {
    Plain,
    Test(TestDisk),
    Small(SmallDisk),
}

/// A small file system in memory; unmounted when dropped.
#[derive(Debug)]
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    fn new(point: &Path, mebibytes: u32) -> Result<SmallDisk, Failure> {
        std::fs::create_dir_all(point)?;
        let size = format!("size={mebibytes}m");
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(point).status()?;
        if status.success() { Ok(SmallDisk(point.to_owned())) } else { Err("tmpfs cannot be mounted".into()) }
    }

    /// Takes all the space that is left.
    pub fn fill(&self) -> Result<(), Failure> {
        use std::io::Write;
        let mut ballast = std::fs::File::create(self.0.join("ballast"))?;
        let part = vec![0; 64 * 1024];
        loop {
            match ballast.write_all(&part) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::StorageFull => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Gives the space back.
    pub fn clear(&self) -> Result<(), Failure> {
        match std::fs::remove_file(self.0.join("ballast")) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        match Command::new("umount").arg(&self.0).status() {
            Ok(status) if status.success() => {}
            other => eprintln!("{} stays mounted: {other:?}", self.0.display()),
        }
    }
}

/// What to form.
#[derive(Clone, Debug)]
pub struct Form {
    pub binary: PathBuf,
    pub size: usize,
    pub disk: Kind,
    pub proxies: bool,
    pub extra: Vec<String>,
    pub seed: u64,
}

/// A cluster in a network of its own. What it is made of ends in the order of the fields.
#[derive(Debug)]
pub struct Group {
    pub members: Vec<Member>,
    pub proxies: Vec<Proxy>,
    pub disks: Vec<MemberDisk>,
    pub network: Network,
    accesses: Vec<Access>,
}

impl Group {
    /// Starts all members for the first time and waits until each answers.
    pub async fn form(form: &Form, folder: &Path) -> Result<Group, Failure> {
        let network = Network::new(form.size)?;
        let site = |member: usize| Site {
            namespace: Some(network.namespace(member)),
            host: network.address(member),
            client_port: 2379,
            peer_port: 2380,
            advertised_port: if form.proxies { 2381 } else { 2380 },
        };
        let sites: Vec<Site> = (0..form.size).map(site).collect();
        let initial: Vec<String> = sites.iter().enumerate().map(|(i, s)| format!("m{i}={}", s.peer_url())).collect();
        let mut group = Group { members: vec![], proxies: vec![], disks: vec![], network, accesses: vec![] };
        for (number, site) in sites.into_iter().enumerate() {
            let place = folder.join(format!("m{number}"));
            group.disks.push(match form.disk {
                Kind::Plain => {
                    std::fs::create_dir_all(&place)?;
                    MemberDisk::Plain
                }
                Kind::Test(syncs) => MemberDisk::Test(TestDisk::new(&place, form.seed + number as u64, syncs)?),
                Kind::Small(mebibytes) => MemberDisk::Small(SmallDisk::new(&place, mebibytes)?),
            });
            if form.proxies {
                group.proxies.push(Proxy::start(&site)?);
            }
            group.accesses.push(Access::new(&site.client_url(), CALL)?);
            let mut member = Member::new(&format!("m{number}"), &form.binary, site, place.join("data"));
            member.initial.0 = initial.join(",");
            member.extra.clone_from(&form.extra);
            group.members.push(member);
        }
        for member in &mut group.members {
            member.start()?;
        }
        group.ready().await?;
        Ok(group)
    }

    pub fn size(&self) -> usize {
        self.members.len()
    }

    /// How many make a majority.
    pub fn quorum(&self) -> usize {
        self.size() / 2 + 1
    }

    pub fn access(&self, member: usize) -> &Access {
        &self.accesses[member]
    }

    pub fn urls(&self) -> Vec<String> {
        self.members.iter().map(|member| member.site.client_url()).collect()
    }

    /// Waits until a linearizable read succeeds at every member; a process that ends meanwhile is an error.
    pub async fn ready(&mut self) -> Result<(), Failure> {
        let all: Vec<usize> = (0..self.size()).collect();
        self.these_ready(&all).await
    }

    /// The same for some of the members.
    pub async fn these_ready(&mut self, members: &[usize]) -> Result<(), Failure> {
        let deadline = Instant::now() + RECOVERY;
        for number in members {
            loop {
                let member = &mut self.members[*number];
                if let Some(status) = member.ended()? {
                    return Err(format!("{} ended with {status}:\n{}", member.name, tail(&member.log())).into());
                }
                let failure = match self.access(*number).get("probe", false).await {
                    Ok(_) => break,
                    Err(failure) => failure,
                };
                if Instant::now() > deadline {
                    let member = &self.members[*number];
                    let text = tail(&member.log());
                    return Err(format!("{} does not answer ({failure}):\n{text}", member.name).into());
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(())
    }

    /// The status of each member that answers.
    pub async fn statuses(&self) -> Vec<Option<StatusResponse>> {
        let mut statuses = Vec::new();
        for (member, access) in self.members.iter().zip(&self.accesses) {
            let answers = member.pid().is_some() && !member.is_paused();
            statuses.push(if answers { access.status().await.ok() } else { None });
        }
        statuses
    }

    /// The member that leads in the highest term that is seen.
    pub async fn leader(&self) -> Result<usize, Failure> {
        let deadline = Instant::now() + RECOVERY;
        loop {
            let statuses = self.statuses().await;
            let newest = statuses.iter().flatten().map(|status| status.raft_term).max();
            let leads = |status: &StatusResponse| {
                let id = status.header.as_ref().map_or(0, |header| header.member_id);
                Some(status.raft_term) == newest && status.leader == id
            };
            if let Some(leader) = statuses.iter().position(|status| status.as_ref().is_some_and(leads)) {
                return Ok(leader);
            }
            if Instant::now() > deadline {
                return Err("no member leads".into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Starts the members that do not run, and lets the paused ones go on.
    pub fn start_all(&mut self) -> Result<(), Failure> {
        for member in &mut self.members {
            member.resume()?;
            if !member.running()? {
                member.start()?;
            }
        }
        Ok(())
    }

    /// Waits until all members have reached one revision and compares their HashKV there; gives the revision.
    pub async fn same_hashes(&self) -> Result<i64, Failure> {
        let all: Vec<&Access> = self.accesses.iter().collect();
        same_hashes(&all).await
    }

    /// Harm that no test means to do: a panic in a log of our program.
    pub fn panics(&self) -> Vec<String> {
        let panicked = self.members.iter().filter(|member| member.has_panicked());
        panicked.map(|member| format!("{} panicked, see {}", member.name, member.log().display())).collect()
    }
}

/// Compares HashKV at the first member's latest revision, wherever the compact revisions agree; gives the revision. Members
/// that compact at this moment are asked again.
pub async fn same_hashes(accesses: &[&Access]) -> Result<i64, Failure> {
    let deadline = Instant::now() + RECOVERY;
    let mut last = String::from("no answer");
    while Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let Some(first) = accesses.first() else { return Ok(0) };
        // A linearizable read is of the newest revision; all members reach it.
        let revision = match first.get("probe", false).await {
            Ok(answer) => answer.header.map_or(0, |header| header.revision),
            Err(failure) => {
                last = failure.to_string();
                continue;
            }
        };
        match hashes_at(accesses, revision).await {
            Err(failure) => last = failure.to_string(),
            Ok(hashes) if hashes.windows(2).any(|pair| pair[0].1 != pair[1].1) => {
                last = format!("compact revisions differ: {hashes:?}");
            }
            Ok(hashes) if hashes.windows(2).any(|pair| pair[0].0 != pair[1].0) => {
                return Err(format!("hashes (and compact revisions) at revision {revision} differ: {hashes:?}").into());
            }
            Ok(_) => return Ok(revision),
        }
    }
    Err(format!("no revision could be compared: {last}").into())
}

async fn hashes_at(accesses: &[&Access], revision: i64) -> Result<Vec<(u32, i64)>, Failure> {
    let mut hashes = Vec::new();
    for access in accesses {
        // Waits until this member has applied what the first one had.
        access.get("probe", false).await?;
        let answer = access.limited(Duration::from_secs(20)).hash_kv(revision).await?;
        hashes.push((answer.hash, answer.compact_revision));
    }
    Ok(hashes)
}
