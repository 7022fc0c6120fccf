//! Kills a server without warning, again and again, while clients write. Afterwards every acknowledged write must be there, at
//! the revision that was acknowledged, none applied twice, and the revision must never have gone back.

use crate::process::{Plan, Scratch};
use client::rpc::etcdserverpb::kv_client::KvClient;
use proto::etcdserverpb::{PutRequest, RangeRequest};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tonic::transport::Channel;

type Failure = Box<dyn std::error::Error>;

const WRITERS: usize = 20;
/// Keys asked for in one range when everything is checked.
const PAGE_KEYS: i64 = 5000;

/// Acknowledged writes: key to revision.
type Acknowledged = BTreeMap<String, i64>;

/// Runs `cycles` kills; gives a line that tells what was found, and errs where a promise was broken.
pub async fn run(binary: &Path, cycles: u64, seed: u64, port: u16) -> Result<String, Failure> {
    let scratch = Scratch::new("crash")?;
    // Small limits, so that snapshots and compactions fall into the cycles.
    let plan = Plan::new(binary, scratch.path().join("data"), port).with([
        "--snapshot-count",
        "500",
        "--auto-compaction-mode",
        "revision",
        "--auto-compaction-retention",
        "1000000",
    ]);
    let mut random = StdRng::seed_from_u64(seed);
    let (mut acknowledged, mut highest, mut unknown) = (Acknowledged::new(), 0i64, 0usize);
    for cycle in 0..cycles {
        let server = plan.start().await?;
        let (revision, kept) = check(&plan, &acknowledged, highest).await?;
        unknown = unknown.max(kept - acknowledged.len());
        highest = revision;
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..WRITERS {
            writers.spawn(write(plan.url(), format!("c{cycle}/w{writer}")));
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(30..400))).await;
        server.kill()?;
        while let Some(written) = writers.join_next().await {
            acknowledged.extend(written?);
        }
    }
    let server = plan.start().await?;
    let (revision, kept) = check(&plan, &acknowledged, highest).await?;
    unknown = unknown.max(kept - acknowledged.len());
    server.stop()?;
    Ok(format!(
        "crash: seed {seed}, {cycles} kills, {} writes acknowledged and all there, {unknown} of unknown outcome there, revision {revision}",
        acknowledged.len(),
    ))
}

/// Writes keys of its own until the server is gone; gives what was acknowledged.
async fn write(url: String, name: String) -> Acknowledged {
    let mut acknowledged = Acknowledged::new();
    let Ok(mut kv) = KvClient::connect(url).await else { return acknowledged };
    for count in 0.. {
        let key = format!("{name}/{count:06}");
        let request = PutRequest { key: key.clone().into(), value: vec![b'x'; 100].into(), ..Default::default() };
        let Ok(response) = kv.put(request).await else { break };
        let Some(header) = response.into_inner().header else { break };
        acknowledged.insert(key, header.revision);
    }
    acknowledged
}

/// Errs where an acknowledged write is not there as acknowledged; gives the revision and the number of keys.
async fn check(plan: &Plan, acknowledged: &Acknowledged, highest: i64) -> Result<(i64, usize), Failure> {
    let mut kv = KvClient::connect(plan.url()).await?.max_decoding_message_size(usize::MAX);
    let (mut next, mut found, mut revision) = (b"c".to_vec(), BTreeMap::new(), 0);
    loop {
        let page = page(&mut kv, &next).await?;
        revision = page.header.map_or(revision, |header| header.revision);
        for pair in &page.kvs {
            let key = String::from_utf8(pair.key.to_vec())?;
            if pair.version != 1 {
                return Err(format!("{key} was written {} times", pair.version).into());
            }
            found.insert(key, pair.mod_revision);
        }
        match page.kvs.last() {
            Some(last) if page.more => next = [&last.key[..], b"\0"].concat(),
            _ => break,
        }
    }
    if revision < highest {
        return Err(format!("the revision went back from {highest} to {revision}").into());
    }
    for (key, revision) in acknowledged {
        match found.get(key) {
            Some(at) if at == revision => {}
            other => return Err(format!("{key} was acknowledged at {revision} and is at {other:?}").into()),
        }
    }
    Ok((revision, found.len()))
}

async fn page(kv: &mut KvClient<Channel>, from: &[u8]) -> Result<proto::etcdserverpb::RangeResponse, Failure> {
    let request =
        RangeRequest { key: from.to_vec().into(), range_end: "d".into(), limit: PAGE_KEYS, ..Default::default() };
    Ok(kv.range(request).await?.into_inner())
}
