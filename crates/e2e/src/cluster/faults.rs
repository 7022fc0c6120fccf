//! What is done to a cluster while clients use it, and how it is undone.

use super::Failure;
use super::access::Access;
use super::group::{Group, MemberDisk};
use super::load::{Burst, Shared, burst};
use super::net::Loss;
use rand::Rng;
use rand::rngs::StdRng;
use std::time::{Duration, Instant};

/// Entries that a member misses to need a snapshot: etcd keeps 5000 behind its newest snapshot.
const MANY: Burst = Burst { writes: 6500, bytes: 0, keys: None };
/// More than a segment of a log holds, so that a member must begin another one.
const MUCH: Burst = Burst { writes: 700, bytes: 100_000, keys: Some(10) };
/// How long a member may take to end after its disk has failed it.
const END: Duration = Duration::from_secs(20);

/// The kinds of harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    KillOne,
    KillLeader,
    /// More than a minority: what was acknowledged is on the disks.
    KillAll,
    PauseOne,
    PauseLeader,
    /// A minority without the leader.
    PartitionFollowers,
    /// A minority with the leader.
    PartitionLeader,
    /// No member reaches another one.
    PartitionAll,
    /// Nothing that the leader sends arrives.
    MuteLeader,
    /// Nothing that is sent to the leader arrives.
    DeafLeader,
    /// One link, one way.
    OneWay,
    LosePackets,
    DelayAll,
    DelayOne,
    MoveLeader,
    /// One member misses so much that it needs a snapshot.
    FallBehind,
    FillDisk,
    SlowSyncs,
    SlowLeaderSyncs,
    /// The leader's syncs do not end for a while.
    StallLeaderSyncs,
    FailSyncs,
    CutPower,
    CutPowerOfLeader,
    CutPowerOfAll,
}

/// Faults of the network and the processes.
pub const NETWORK: [Fault; 16] = [
    Fault::KillOne,
    Fault::KillLeader,
    Fault::KillAll,
    Fault::PauseOne,
    Fault::PauseLeader,
    Fault::PartitionFollowers,
    Fault::PartitionLeader,
    Fault::PartitionAll,
    Fault::MuteLeader,
    Fault::DeafLeader,
    Fault::OneWay,
    Fault::LosePackets,
    Fault::DelayAll,
    Fault::DelayOne,
    Fault::MoveLeader,
    Fault::FallBehind,
];

/// Faults of the disks.
pub const DISKS: [Fault; 8] = [
    Fault::SlowSyncs,
    Fault::StallLeaderSyncs,
    Fault::CutPower,
    Fault::FailSyncs,
    Fault::CutPowerOfAll,
    Fault::SlowLeaderSyncs,
    Fault::CutPowerOfLeader,
    Fault::KillOne,
];

/// Harms the cluster; [`heal`] undoes it. `holds` is how long the fault will last.
pub async fn inflict(group: &mut Group, fault: Fault, random: &mut StdRng, shared: &Shared) -> Result<(), Failure> {
    let leader = group.leader().await?;
    let size = group.size();
    let other = (leader + random.random_range(1..size)) % size;
    let any = random.random_range(0..size);
    let minority = size - group.quorum();
    match fault {
        Fault::KillOne => group.members[any].kill(),
        Fault::KillLeader => group.members[leader].kill(),
        Fault::KillAll => group.members.iter_mut().try_for_each(super::member::Member::kill),
        Fault::PauseOne => group.members[any].pause(),
        Fault::PauseLeader => group.members[leader].pause(),
        Fault::PartitionFollowers => split(group, leader + 1, minority),
        Fault::PartitionLeader => split(group, leader, minority),
        Fault::PartitionAll => {
            (0..size).for_each(|member| group.network.split(&[member]));
            group.network.apply()
        }
        Fault::MuteLeader => {
            (0..size).for_each(|member| group.network.lose(leader, member, Loss::All));
            group.network.apply()
        }
        Fault::DeafLeader => {
            (0..size).for_each(|member| group.network.lose(member, leader, Loss::All));
            group.network.apply()
        }
        Fault::OneWay => {
            group.network.lose(any, (any + random.random_range(1..size)) % size, Loss::All);
            group.network.apply()
        }
        Fault::LosePackets => {
            let percent = random.random_range(3..25);
            let links = (0..size).flat_map(|from| (0..size).map(move |to| (from, to)));
            links.for_each(|(from, to)| group.network.lose(from, to, Loss::Some(percent)));
            group.network.apply()
        }
        Fault::DelayAll => {
            let delay = Duration::from_millis(random.random_range(5..60));
            (0..size).try_for_each(|member| delay_to(group, member, delay))
        }
        Fault::DelayOne => delay_to(group, any, Duration::from_millis(random.random_range(50..400))),
        Fault::MoveLeader => move_leader(group, leader, other).await,
        Fault::FallBehind => {
            group.members[other].kill()?;
            let rest = (0..size).filter(|member| *member != other);
            let members: Vec<Access> = rest.map(|member| group.access(member).clone()).collect();
            burst(members, shared, MANY).await;
            Ok(())
        }
        Fault::FillDisk => fill_disk(group, any, shared).await,
        Fault::SlowSyncs => slow(group, any, random.random_range(20..300)),
        Fault::SlowLeaderSyncs => slow(group, leader, random.random_range(500..1500)),
        Fault::StallLeaderSyncs => slow(group, leader, 3_600_000),
        Fault::FailSyncs => fail_syncs(group, any).await,
        Fault::CutPower => cut_power(group, &[any]),
        Fault::CutPowerOfLeader => cut_power(group, &[leader]),
        Fault::CutPowerOfAll => cut_power(group, &(0..size).collect::<Vec<_>>()),
    }
}

/// Undoes all harm and waits until every member answers.
pub async fn heal(group: &mut Group) -> Result<(), Failure> {
    group.network.heal()?;
    for member in 0..group.proxies.len() {
        delay_to(group, member, Duration::ZERO)?;
    }
    for disk in &group.disks {
        match disk {
            MemberDisk::Plain => {}
            MemberDisk::Test(disk) => disk.heal(),
            MemberDisk::Small(disk) => disk.clear()?,
        }
    }
    // A member whose disk was full may be about to end.
    tokio::time::sleep(Duration::from_millis(300)).await;
    group.start_all()?;
    group.ready().await
}

fn split(group: &mut Group, first: usize, count: usize) -> Result<(), Failure> {
    let size = group.size();
    let side: Vec<usize> = (0..count).map(|place| (first + place) % size).collect();
    group.network.split(&side);
    group.network.apply()
}

/// Delays everything from and to a member's peer port.
fn delay_to(group: &mut Group, member: usize, delay: Duration) -> Result<(), Failure> {
    let addresses: Vec<String> = (0..group.size()).map(|from| group.network.address(from)).collect();
    let proxy = group.proxies.get_mut(member).ok_or("there are no proxies")?;
    addresses.iter().try_for_each(|from| proxy.delay(from, delay))
}

/// A transfer may fail where the target is behind; then nothing has happened.
async fn move_leader(group: &Group, leader: usize, target: usize) -> Result<(), Failure> {
    let id = group.access(target).status().await?.header.map_or(0, |header| header.member_id);
    if let Err(status) = group.access(leader).limited(Duration::from_secs(8)).move_leader(id).await {
        println!("    the leader was not moved: {}", status.message());
    }
    Ok(())
}

fn test_disk(disk: &mut MemberDisk) -> Result<&mut super::disk::TestDisk, Failure> {
    match disk {
        MemberDisk::Test(disk) => Ok(disk),
        other => Err(format!("{other:?} is no disk of the tests").into()),
    }
}

/// Fills the disk of a member and writes more than its log has room for; the others go on.
async fn fill_disk(group: &mut Group, member: usize, shared: &Shared) -> Result<(), Failure> {
    match &group.disks[member] {
        MemberDisk::Small(disk) => disk.fill()?,
        other => return Err(format!("{other:?} is not small").into()),
    }
    let rest = (0..group.size()).filter(|other| *other != member);
    let members: Vec<Access> = rest.map(|member| group.access(member).clone()).collect();
    burst(members, shared, MUCH).await;
    let state = if group.members[member].running()? { "goes on" } else { "has ended" };
    println!("    {} {state} on a full disk", group.members[member].name);
    Ok(())
}

fn slow(group: &mut Group, member: usize, millis: u64) -> Result<(), Failure> {
    test_disk(&mut group.disks[member])?.delay_syncs(Duration::from_millis(millis));
    Ok(())
}

/// A member whose sync fails must end: what it had acknowledged may not be there.
async fn fail_syncs(group: &mut Group, member: usize) -> Result<(), Failure> {
    test_disk(&mut group.disks[member])?.fail_syncs();
    let deadline = Instant::now() + END;
    while group.members[member].running()? {
        if Instant::now() > deadline {
            return Err(format!("{} goes on after a failed sync", group.members[member].name).into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The disk is back as a machine's would be after it was switched off and on.
    cut_power(group, &[member])
}

/// Cuts the power of some members at one moment, as near as it gets.
fn cut_power(group: &mut Group, members: &[usize]) -> Result<(), Failure> {
    for member in members {
        test_disk(&mut group.disks[*member])?.darken();
    }
    for member in members {
        group.members[*member].kill()?;
    }
    for member in members {
        test_disk(&mut group.disks[*member])?.cut_power()?;
    }
    Ok(())
}
