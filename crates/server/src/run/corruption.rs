//! Asking the other members for their hashes; what follows from them is judged in `node::corruption` (facts: peer-protocol, 10).

use super::front::Front;
use super::serve::ServeError;
use crate::doors::on_reader_thread;
use crate::logging;
use ::peer::{Fetcher, HashKvError, Refusal};
use mvcc::HashKv;
use node::boot::Booted;
use node::corruption::{self, Answer, CompactionChecks, PeerHash};
use node::{Event, Role};
use state::StateView;
use state::members::Membership;
use std::time::Duration;

/// How long a member may take for its hash.
const PATIENCE: Duration = Duration::from_secs(10);

/// When the leader looks.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// `--corrupt-check-time`.
    pub periodic: Option<Duration>,
    /// `--compact-hash-check-time`, where the check is on.
    pub compactions: Option<Duration>,
}

/// What is asked of others.
struct Asker<'a> {
    fetcher: &'a Fetcher,
    cluster: u64,
    own: u64,
}

impl Asker<'_> {
    /// Asks every other member for its hash at a revision, at its first URL that answers.
    async fn ask(&self, members: &Membership, revision: i64) -> Vec<PeerHash> {
        let mut answers = Vec::new();
        for member in members.iter().filter(|member| member.id != self.own) {
            let mut answer = Answer::Nothing;
            for url in &member.peer_urls {
                answer = self.ask_at(url, revision).await;
                if answer != Answer::Nothing {
                    break;
                }
            }
            answers.push(PeerHash { member: member.id, answer });
        }
        answers
    }

    async fn ask_at(&self, url: &str, revision: i64) -> Answer {
        match self.fetcher.hash_kv(url, self.cluster, revision, PATIENCE).await {
            Ok(hash) => Answer::Hash {
                hash: hash.hash,
                compact_revision: hash.compact_revision,
                revision: hash.current_revision,
            },
            Err(Refusal::Refused(HashKvError::Compacted)) => Answer::Compacted,
            Err(Refusal::Refused(HashKvError::FutureRevision)) => Answer::Future,
            Err(failure) => {
                let fields = [("remote-peer-endpoint", url.into()), ("error", failure.to_string().into())];
                logging::warn("failed to fetch hash from peer", &fields);
                Answer::Nothing
            }
        }
    }
}

/// The check before a member serves. Errs where the data are not those of the others.
pub fn check_before_serving(booted: &Booted, election_timeout: Duration) -> Result<(), ServeError> {
    let view = booted.reader.view();
    let failed = |failure: mvcc::Error| ServeError::Config(format!("failed to hash the data: {failure}"));
    let own = view.kv().hash_kv(0, view.hash_rule()).map_err(failed)?;
    let fields = [("local-member-id", format!("{:x}", booted.member_id).into())];
    logging::info("starting initial corruption check", &fields);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let fetcher = Fetcher::new(Duration::from_secs(1) + election_timeout);
    let asker = Asker { fetcher: &fetcher, cluster: booted.cluster_id, own: booted.member_id };
    let peers = runtime.block_on(asker.ask(view.members(), own.hash_revision));
    let verdict = corruption::initial(booted.member_id, &own, &peers);
    verdict.map_err(|inconsistent| ServeError::Config(inconsistent.to_string()))?;
    logging::info("initial corruption checking passed; no corruption", &fields);
    Ok(())
}

/// Checks from time to time while this member leads, as long as the process runs.
pub async fn watch(front: Front, times: Times) {
    let periodic = async {
        match times.periodic {
            Some(interval) => every(interval, || check_now(&front)).await,
            None => std::future::pending().await,
        }
    };
    let compactions = async {
        let Some(interval) = times.compactions else { return std::future::pending().await };
        let mut checks = CompactionChecks::default();
        loop {
            tokio::time::sleep(interval).await;
            if leads(&front) {
                check_compactions(&front, &mut checks).await;
            }
        }
    };
    tokio::join!(periodic, compactions);
}

async fn every<F: Future<Output = ()>>(interval: Duration, mut work: impl FnMut() -> F) {
    loop {
        tokio::time::sleep(interval).await;
        work().await;
    }
}

fn leads(front: &Front) -> bool {
    front.shared.status.get().role == Role::Leader
}

async fn hash(view: StateView) -> Option<HashKv> {
    let rule = view.hash_rule();
    on_reader_thread(move || view.kv().hash_kv(0, rule)).await.ok()?.ok()
}

/// One round of the leader's check.
async fn check_now(front: &Front) {
    if !leads(front) {
        return;
    }
    let asker = Asker { fetcher: front.fetcher(), cluster: front.shared.cluster_id, own: front.shared.member_id };
    let view = front.view();
    let Some(first) = hash(view.clone()).await else { return };
    let peers = asker.ask(view.members(), first.hash_revision).await;
    if front.read_index().await.is_err() {
        return;
    }
    let Some(second) = hash(front.view()).await else { return };
    if let Some(member) = corruption::periodic(front.shared.member_id, &first, &second, &peers) {
        raise(front, member);
    }
}

/// Compares the hashes of compactions that were not compared yet, the newest first.
async fn check_compactions(front: &Front, checks: &mut CompactionChecks) {
    let asker = Asker { fetcher: front.fetcher(), cluster: front.shared.cluster_id, own: front.shared.member_id };
    let view = front.view();
    for own in checks.due(view.kv().compaction_hashes()) {
        let peers = asker.ask(view.members(), own.hash_revision).await;
        let (members, done) = checks.judge(front.shared.member_id, &own, &peers);
        members.into_iter().for_each(|member| raise(front, member));
        if done {
            return;
        }
    }
}

fn raise(front: &Front, member: u64) {
    let fields = [("member-id", format!("{member:x}").into())];
    logging::error("found hash mismatch; raising the alarm CORRUPT", &fields);
    front.shared.inbox.answer(Event::RaiseCorrupt { member });
}
