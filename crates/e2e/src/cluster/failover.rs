//! How long a cluster of three takes no writes when its leader goes: killed, or stopped in order. Writes begin every few
//! milliseconds whether earlier ones are answered or not; the longest time without an answer counts.

use super::Failure;
use super::access::Access;
use super::group::{RECOVERY, same_hashes};
use super::member::{Member, Site};
use crate::process::Scratch;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const SIZE: usize = 3;
/// The time between the beginnings of two writes.
const BEAT: Duration = Duration::from_millis(4);
/// A write that is not answered in this time is given up.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long the cluster serves before its leader goes, so that followers trust it, and after.
const CALM: Duration = Duration::from_secs(2);
/// When an outage counts as endless.
const LIMIT: Duration = Duration::from_secs(30);

/// How the leader goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Killed,
    Stopped,
}

/// Outages in milliseconds.
#[derive(Clone, Debug, Default)]
pub struct Outages(pub Vec<u64>);

impl Outages {
    pub fn mean(&self) -> f64 {
        self.0.iter().sum::<u64>() as f64 / self.0.len().max(1) as f64
    }

    pub fn longest(&self) -> u64 {
        self.0.iter().copied().max().unwrap_or_default()
    }
}

/// Three members on loopback with default timings.
pub struct Trio {
    members: Vec<Member>,
    accesses: Vec<Access>,
    _scratch: Scratch,
}

impl Trio {
    pub async fn form(name: &str, binary: &Path, port: u16) -> Result<Trio, Failure> {
        let scratch = Scratch::new(&format!("failover-{name}"))?;
        let (mut members, mut accesses) = (Vec::new(), Vec::new());
        for place in 0..SIZE {
            let site = Site::loopback(port + 2 * place as u16);
            accesses.push(Access::new(&site.client_url(), PATIENCE)?);
            let folder = scratch.path().join(format!("m{place}"));
            std::fs::create_dir_all(&folder)?;
            members.push(Member::new(&format!("m{place}"), binary, site, folder.join("data")));
        }
        let initial: Vec<String> = members.iter().map(|m| format!("{}={}", m.name, m.site.peer_url())).collect();
        for member in &mut members {
            member.initial.0 = initial.join(",");
            member.start()?;
        }
        let trio = Trio { members, accesses, _scratch: scratch };
        trio.ready().await?;
        Ok(trio)
    }

    async fn ready(&self) -> Result<(), Failure> {
        let deadline = Instant::now() + RECOVERY;
        for access in &self.accesses {
            while let Err(status) = access.get("probe", false).await {
                if Instant::now() > deadline {
                    return Err(status.message().to_owned().into());
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Ok(())
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

    /// Makes the leader go; gives the longest time without an answered write, in milliseconds.
    pub async fn outage(&mut self, way: Way) -> Result<u64, Failure> {
        let leader = self.leader().await?;
        let writing = Writing::start(self.accesses.clone());
        tokio::time::sleep(CALM).await;
        let gone = Instant::now();
        match way {
            Way::Killed => self.members[leader].kill()?,
            Way::Stopped => self.members[leader].stop().await?,
        }
        while !writing.answered_after(gone + CALM) {
            if gone.elapsed() > LIMIT {
                return Err(format!("no write for {} s after the leader was {way:?}", LIMIT.as_secs()).into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let longest = writing.longest();
        writing.stop();
        self.members[leader].start()?;
        self.ready().await?;
        same_hashes(&self.accesses.iter().collect::<Vec<_>>()).await?;
        Ok(longest)
    }
}

/// Writes under way, with the times of their answers.
struct Writing {
    answers: Arc<Mutex<Vec<Instant>>>,
    stopped: Arc<AtomicBool>,
}

impl Writing {
    fn start(accesses: Vec<Access>) -> Writing {
        let writing = Writing { answers: Arc::default(), stopped: Arc::default() };
        let (answers, stopped) = (Arc::clone(&writing.answers), Arc::clone(&writing.stopped));
        tokio::spawn(async move {
            let mut beat = tokio::time::interval(BEAT);
            for number in 0usize.. {
                beat.tick().await;
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                let (access, answers) = (accesses[number % SIZE].clone(), Arc::clone(&answers));
                tokio::spawn(async move {
                    if access.put(&format!("beat/{}", number % 100), "x").await.is_ok() {
                        answers.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now());
                    }
                });
            }
        });
        writing
    }

    fn answered_after(&self, moment: Instant) -> bool {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).last().is_some_and(|last| *last > moment)
    }

    fn longest(&self) -> u64 {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let longest = answers.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default();
        u64::try_from(longest.as_millis()).unwrap_or(u64::MAX)
    }

    fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}
