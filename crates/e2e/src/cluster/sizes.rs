//! Clusters of other sizes: they form and survive the loss of a minority, and one of four that is split in two halves
//! serves nothing but what needs no majority.

use super::Failure;
use super::access::Access;
use super::group::{Form, Group, Kind};
use super::phase::keep_logs;
use crate::process::Scratch;
use std::path::Path;
use std::time::{Duration, Instant};

/// Longer than a member takes to refuse a request for want of a leader.
const REFUSAL: Duration = Duration::from_secs(20);
/// How long until the rest of a cluster writes again.
const TAKEOVER: Duration = Duration::from_secs(30);

async fn form(binary: &Path, size: usize, scratch: &Scratch) -> Result<Group, Failure> {
    let form =
        Form { binary: binary.to_owned(), size, disk: Kind::Plain, proxies: false, extra: vec![], seed: size as u64 };
    Group::form(&form, scratch.path()).await
}

/// A cluster of this size loses a minority with the leader, goes on, and is whole again. One of two has no minority to lose: it
/// stops writing and goes on when the lost member is back.
pub async fn survives(binary: &Path, size: usize) -> Result<(), Failure> {
    let began = Instant::now();
    let scratch = Scratch::new(&format!("size-{size}"))?;
    let mut group = form(binary, size, &scratch).await?;
    let formed = began.elapsed().as_secs_f64();
    let done = lose_and_return(&mut group).await;
    if done.is_err() {
        keep_logs(scratch.path());
    }
    done.map_err(|failure| format!("{size} members: {failure}"))?;
    no_panics(&group)?;
    println!("ok: {size} members, formed in {formed:.1} s, {:.1} s in all", began.elapsed().as_secs_f64());
    Ok(())
}

fn no_panics(group: &Group) -> Result<(), Failure> {
    let panics = group.panics();
    if panics.is_empty() { Ok(()) } else { Err(panics.join(", ").into()) }
}

async fn lose_and_return(group: &mut Group) -> Result<(), Failure> {
    let size = group.size();
    for member in 0..size {
        group.access(member).put(&format!("before/{member}"), "x").await?;
    }
    group.same_hashes().await?;
    let leader = group.leader().await?;
    let lost: Vec<usize> = (0..(size - group.quorum()).max(1)).map(|place| (leader + place) % size).collect();
    for member in &lost {
        group.members[*member].kill()?;
    }
    let left: Vec<usize> = (0..size).filter(|member| !lost.contains(member)).collect();
    if left.len() >= group.quorum() {
        for member in &left {
            written(group.access(*member), &format!("without/{member}")).await?;
        }
        let rest: Vec<&Access> = left.iter().map(|member| group.access(*member)).collect();
        super::group::same_hashes(&rest).await?;
    } else {
        for member in &left {
            refuses(group.access(*member)).await?;
        }
    }
    group.start_all()?;
    group.ready().await?;
    group.same_hashes().await?;
    for member in 0..size {
        let seen = group.access(member).all().await?.kvs.len();
        let written = size + if left.len() >= group.quorum() { left.len() } else { 0 };
        // A refused write may have been carried out once the cluster was whole.
        if seen < written {
            return Err(format!("{seen} of {written} keys are there").into());
        }
        group.access(member).put(&format!("after/{member}"), "x").await?;
    }
    group.same_hashes().await?;
    Ok(())
}

/// Tries until a write succeeds.
async fn written(access: &Access, key: &str) -> Result<(), Failure> {
    let deadline = Instant::now() + TAKEOVER;
    loop {
        match access.put(key, "x").await {
            Ok(_) => return Ok(()),
            Err(status) if Instant::now() > deadline => return Err(format!("no write succeeds: {status}").into()),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// A member without a majority refuses writes and linearizable reads, in its own words, and answers serializable reads.
async fn refuses(access: &Access) -> Result<(), Failure> {
    let patient = access.limited(REFUSAL);
    let (put, read, old) =
        tokio::join!(patient.put("refused", "x"), patient.get("before/0", false), access.get("before/0", true));
    for (what, refusal) in [("a write", put.err()), ("a linearizable read", read.err())] {
        let Some(status) = refusal else { return Err(format!("{what} succeeded without a majority").into()) };
        if status.code() != tonic::Code::Unavailable || !status.message().starts_with("etcdserver: ") {
            return Err(format!("{what} was refused with {status:?}").into());
        }
    }
    match old {
        Ok(answer) if answer.kvs.len() == 1 => Ok(()),
        other => Err(format!("a serializable read was answered {other:?}").into()),
    }
}

/// Four members in two halves: neither serves, both answer serializable reads, and together they go on.
pub async fn split_of_four(binary: &Path) -> Result<(), Failure> {
    let scratch = Scratch::new("split")?;
    let mut group = form(binary, 4, &scratch).await?;
    let done = split_and_heal(&mut group).await;
    if done.is_err() {
        keep_logs(scratch.path());
    }
    done.map_err(|failure| format!("a split of four: {failure}"))?;
    no_panics(&group)?;
    println!("ok: a split of four refuses, answers serializable reads, and recovers");
    Ok(())
}

async fn split_and_heal(group: &mut Group) -> Result<(), Failure> {
    group.access(0).put("before/0", "x").await?;
    group.same_hashes().await?;
    let leader = group.leader().await?;
    group.network.split(&[leader, (leader + 1) % 4]);
    group.network.apply()?;
    // Until the leader notices, which takes it an election timeout, it answers nothing but refuses nothing either.
    let (a, b, c, d) = tokio::join!(
        refuses(group.access(0)),
        refuses(group.access(1)),
        refuses(group.access(2)),
        refuses(group.access(3))
    );
    a.and(b).and(c).and(d)?;
    group.network.heal()?;
    group.ready().await?;
    for member in 0..4 {
        written(group.access(member), &format!("after/{member}")).await?;
    }
    group.same_hashes().await?;
    Ok(())
}
