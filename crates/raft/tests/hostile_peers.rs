//! Whatever peers send, a node goes on. `QUORATE_SEEDS` sets how many runs.

#[path = "sim/rng.rs"]
mod rng;

use bytes::Bytes;
use proto::raftpb::{ConfState, Entry, Message, Snapshot, SnapshotMetadata};
use raft::{AnyConfChange, Config, MemoryStorage, RawNode};
use rng::Rng;

const STEPS: usize = 3000;

/// Mostly a number near the given one, sometimes any.
fn number(rng: &mut Rng, near: u64) -> u64 {
    match rng.below(1000) {
        0..20 => rng.pick(&[u64::MAX, u64::MAX - 1, i64::MAX as u64 + 1]),
        20..22 => rng.pick(&[i64::MAX as u64, 1 << 40]),
        22..60 => rng.below(20) as u64,
        60..90 => 0,
        90..700 => near,
        _ => (near + rng.below(5) as u64).saturating_sub(2),
    }
}

fn bytes(rng: &mut Rng) -> Bytes {
    let length = rng.below(12);
    Bytes::from((0..length).map(|_| rng.below(256) as u8).collect::<Vec<_>>())
}

fn ids(rng: &mut Rng) -> Vec<u64> {
    (0..rng.below(4)).map(|_| rng.below(5) as u64).collect()
}

fn message(rng: &mut Rng, raw: &RawNode<MemoryStorage>) -> Message {
    let status = raw.basic_status();
    let near_index = rng.pick(&[status.last_index, status.hard_state.commit]);
    let term = number(rng, status.hard_state.term);
    let index = number(rng, near_index);
    let entry_term = number(rng, status.hard_state.term);
    let consecutive = rng.percent(80);
    let entries = (1..=rng.below(4) as u64).map(|offset| Entry {
        entry_type: if rng.percent(80) { 0 } else { rng.below(4) as i32 },
        term: if consecutive { term.min(entry_term) } else { number(rng, term.min(1 << 40)) },
        index: if consecutive { index.wrapping_add(offset) } else { number(rng, near_index) },
        data: bytes(rng),
    });
    let entries = entries.collect();
    let snapshot = rng.percent(30).then(|| {
        let conf_state = ConfState {
            voters: ids(rng),
            learners: ids(rng),
            voters_outgoing: if rng.percent(80) { Vec::new() } else { ids(rng) },
            learners_next: if rng.percent(80) { Vec::new() } else { ids(rng) },
            auto_leave: rng.percent(10),
        };
        let conf_state = rng.percent(90).then_some(conf_state);
        let metadata = SnapshotMetadata { conf_state, index: number(rng, near_index + 2), term: entry_term };
        Snapshot { data: bytes(rng), metadata: rng.percent(90).then_some(metadata) }
    });
    Message {
        msg_type: rng.below(26) as i32 - 1,
        to: if rng.percent(90) { status.id } else { number(rng, status.id) },
        from: number(rng, 2),
        term,
        log_term: if rng.percent(70) {
            raw.term_at(index).unwrap_or(entry_term)
        } else {
            number(rng, entry_term.min(9))
        },
        index,
        entries,
        commit: number(rng, near_index),
        snapshot,
        reject: rng.percent(30),
        reject_hint: number(rng, near_index),
        context: if rng.percent(20) { Bytes::from_static(b"CampaignTransfer") } else { bytes(rng) },
        vote: number(rng, 1),
        responses: Vec::new(),
    }
}

/// Carries out all there is to do, as an honest application does.
fn carry_out(raw: &mut RawNode<MemoryStorage>) {
    while raw.has_ready() {
        let ready = raw.ready();
        let storage = raw.storage_mut();
        if let Some(hard_state) = ready.hard_state {
            storage.set_hard_state(hard_state);
        }
        if let Some(snapshot) = ready.snapshot {
            storage.apply_snapshot(snapshot).expect("a newer snapshot");
        }
        storage.append(&ready.entries).expect("no gap");
        for entry in &ready.committed_entries {
            if let Ok(Some(change)) = AnyConfChange::from_entry(entry) {
                // Nonsense that was committed is refused at application.
                drop(raw.apply_conf_change(change));
            }
        }
        raw.advance();
    }
}

fn run(seed: u64) -> usize {
    let mut rng = Rng::new(seed);
    let mut storage = MemoryStorage::new();
    let conf_state = ConfState { voters: vec![1, 2, 3], ..Default::default() };
    let metadata = SnapshotMetadata { conf_state: Some(conf_state), index: 5, term: 1 };
    let snapshot = Snapshot { metadata: Some(metadata), ..Default::default() };
    storage.apply_snapshot(snapshot).expect("an empty log");
    let config = Config {
        id: 1,
        seed,
        max_inflight_messages: 3,
        check_quorum: rng.percent(50),
        pre_vote: rng.percent(50),
        ..Config::default()
    };
    let mut raw = RawNode::new(config, storage).expect("a sound state");
    let mut accepted = 0;
    for _ in 0..STEPS {
        match rng.below(20) {
            0 => raw.tick(),
            1 => raw.campaign(),
            2 => drop(raw.propose(bytes(&mut rng))),
            3 => raw.read_index(bytes(&mut rng)),
            4 => raw.transfer_leader(rng.below(4) as u64),
            5 => raw.report_unreachable(rng.below(4) as u64),
            _ => {
                let message = message(&mut rng, &raw);
                accepted += usize::from(raw.step_peer(message).is_ok());
            }
        }
        if rng.percent(60) {
            carry_out(&mut raw);
        }
    }
    accepted
}

#[test]
fn no_message_makes_a_node_panic() {
    let seeds = std::env::var("QUORATE_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(30);
    let mut accepted = 0;
    for seed in 0..seeds {
        accepted += std::panic::catch_unwind(|| run(seed)).unwrap_or_else(|panic| {
            eprintln!("failed with seed {seed}");
            std::panic::resume_unwind(panic)
        });
    }
    assert!(accepted > seeds as usize * STEPS / 20, "only {accepted} messages were accepted: too little is reached");
}
