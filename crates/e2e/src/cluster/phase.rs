//! One phase of `cluster-faults`: a cluster, clients and watchers on it, and faults one after the other until the time is
//! up; then everything that was seen is judged.

use super::Failure;
use super::access::Access;
use super::faults::{self, Fault};
use super::group::{Form, Group};
use super::load::{self, Shared, Tasks};
use super::watcher;
use crate::process::Scratch;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use std::path::Path;
use std::time::{Duration, Instant};

const CLIENTS: usize = 8;
/// The mean pause of a client between two operations.
const PACE: Duration = Duration::from_millis(18);
/// The limit of a client's call.
const PATIENCE: Duration = Duration::from_millis(1500);
/// Revisions that no compaction takes.
const KEPT_REVISIONS: i64 = 300;
const LEASE_SECS: i64 = 60;
/// How long clients have to end their last call.
const END: Duration = Duration::from_secs(70);

/// What a phase does.
#[derive(Clone, Debug)]
pub struct Phase {
    pub name: &'static str,
    pub form: Form,
    pub faults: Vec<Fault>,
    /// Faults are inflicted for so long.
    pub seconds: u64,
    /// How long a fault holds, in milliseconds.
    pub holds: std::ops::Range<u64>,
    pub asks_progress: bool,
}

/// Runs one phase; gives the number of violations.
pub async fn run(phase: &Phase) -> Result<usize, Failure> {
    let began = Instant::now();
    let scratch = Scratch::new(&format!("faults-{}", phase.name))?;
    println!("{}: {} members of {}", phase.name, phase.form.size, phase.form.binary.display());
    let mut group = Group::form(&phase.form, scratch.path()).await?;
    println!("    formed in {:.1} s", began.elapsed().as_secs_f64());
    let shared = Shared::default();
    let mut tasks = start_load(&group, &shared, phase)?;
    let mut random = StdRng::seed_from_u64(phase.form.seed);
    let harmed = harm(&mut group, phase, &mut random, &shared).await;
    let settled = match harmed {
        Ok(faults) => settle(&group, &shared, &mut tasks).await.map(|()| faults),
        Err(failure) => Err(failure),
    };
    let mut history = shared.history();
    match settled {
        Ok(faults) => {
            history.judge();
            println!(
                "{}: {faults} faults, {} answers, {} without answer, {} revisions, {} events to watchers, {} turns of \
                 watchers, peak memory of members {:?} MiB",
                phase.name,
                history.answered,
                history.unanswered,
                history.revisions(),
                history.events,
                history.reconnects,
                group.members.iter().map(|m| m.peak_kib().unwrap_or(0) / 1024).collect::<Vec<_>>(),
            );
        }
        Err(failure) => {
            keep_logs(scratch.path());
            history.violation(format!("{}: {failure}", phase.name));
        }
    }
    group.panics().into_iter().for_each(|panic| history.violation(panic));
    if history.violated > 0 {
        keep_logs(scratch.path());
    }
    println!("{}: {} violations, {:.0} s", phase.name, history.violated, began.elapsed().as_secs_f64());
    Ok(history.violated)
}

fn start_load(group: &Group, shared: &Shared, phase: &Phase) -> Result<Tasks, Failure> {
    let mut tasks = Tasks::default();
    let members = || group.urls().iter().map(|url| Access::new(url, PATIENCE)).collect::<Result<Vec<_>, _>>();
    for client in 0..CLIENTS {
        tasks.clients.spawn(load::client(members()?, shared.clone(), phase.form.seed * 1000 + client as u64, PACE));
    }
    let kind = |name: &str, prefix, stays_ms| watcher::Kind {
        name: format!("watcher {name}"),
        prefix,
        stays_ms,
        asks_progress: phase.asks_progress,
    };
    let kinds = [kind("restless", None, 1_000), kind("steady", None, 15_000), kind("of registers", Some("r/"), 4_000)];
    for (number, kind) in kinds.into_iter().enumerate() {
        tasks.watchers.spawn(watcher::watch(members()?, shared.clone(), kind, phase.form.seed + number as u64));
    }
    tasks.clients.spawn(load::keeper(members()?, shared.clone(), LEASE_SECS));
    Ok(tasks)
}

/// Inflicts faults until the time is up; gives how many.
async fn harm(group: &mut Group, phase: &Phase, random: &mut StdRng, shared: &Shared) -> Result<usize, Failure> {
    let until = Instant::now() + Duration::from_secs(phase.seconds);
    let (mut count, mut queue) = (0, Vec::new());
    loop {
        if queue.is_empty() {
            queue.clone_from(&phase.faults);
            queue.shuffle(random);
        }
        if Instant::now() >= until {
            return Ok(count);
        }
        let Some(fault) = queue.pop() else { return Ok(count) };
        count += 1;
        let answered = shared.history().answered;
        let holds = Duration::from_millis(random.random_range(phase.holds.clone()));
        let began = Instant::now();
        let step = async {
            faults::inflict(group, fault, random, shared).await?;
            tokio::time::sleep(holds).await;
            faults::heal(group).await
        };
        step.await.map_err(|failure| format!("{fault:?}: {failure}"))?;
        let healed = began.elapsed();
        compact(group, shared).await?;
        let revision = group.same_hashes().await.map_err(|failure| format!("after {fault:?}: {failure}"))?;
        println!(
            "    {:>4.0} s {fault:?}: healed after {:.1} s, {} answers meanwhile, hashes equal at revision {revision}",
            shared.started.elapsed().as_secs_f64(),
            healed.as_secs_f64(),
            shared.history().answered - answered,
        );
    }
}

/// Compacts what is older than the last revisions, so that full disks find room and hashes begin anew.
async fn compact(group: &Group, shared: &Shared) -> Result<(), Failure> {
    let revision = shared.history().highest() - KEPT_REVISIONS;
    if revision <= shared.compacted() {
        return Ok(());
    }
    shared.compacting(revision);
    match group.access(0).limited(Duration::from_secs(20)).compact(revision).await {
        Ok(_) => Ok(()),
        Err(status) => Err(format!("no compaction: {status}").into()),
    }
}

/// Ends the load and waits until watchers were told everything.
async fn settle(group: &Group, shared: &Shared, tasks: &mut Tasks) -> Result<(), Failure> {
    tasks.end(shared, END).await?;
    group.same_hashes().await?;
    // The same by content, and whatever clients saw is still there.
    let mut contents = Vec::new();
    for member in 0..group.size() {
        let all = group.access(member).limited(Duration::from_secs(30)).all().await?;
        contents.push((all.header.map_or(0, |header| header.revision), all.kvs));
    }
    if contents.windows(2).any(|pair| pair[0] != pair[1]) {
        return Err("members hold different keys".into());
    }
    let highest = shared.history().highest();
    match contents.first() {
        Some((revision, _)) if *revision >= highest => Ok(()),
        _ => Err(format!("members are at {:?}, clients saw {highest}", contents.first().map(|(at, _)| at)).into()),
    }
}

/// Copies the logs of the members out of a directory that will be removed.
pub fn keep_logs(folder: &Path) {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let target = std::env::temp_dir().join(format!("{name}-logs"));
    let copied = std::fs::create_dir_all(&target).and_then(|()| {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if let (Some(name), true) = (path.file_name(), path.extension().is_some_and(|e| e == "log")) {
                std::fs::copy(&path, target.join(name))?;
            }
        }
        Ok(())
    });
    match copied {
        Ok(()) => println!("    logs of the members: {}", target.display()),
        Err(failure) => println!("    the logs could not be kept: {failure}"),
    }
}
