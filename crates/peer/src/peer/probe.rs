//! Probes of a peer: round trip and clock, once over each way that etcd names.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use serde::Deserialize;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::Peer;
use crate::wire::{Call, time};

const INTERVAL: Duration = Duration::from_secs(4);
/// A first sample is taken after this time, and while the peer does not answer one each.
const SAMPLE_FIRST: Duration = Duration::from_secs(5);
/// Samples of a peer that answers.
const SAMPLE_EACH: Duration = Duration::from_secs(30);
const DRIFT_MAX: Duration = Duration::from_secs(1);
const ANSWER_BYTES_MAX: usize = 4096;

/// Which of the two.
#[derive(Clone, Copy, Debug)]
pub(super) enum Prober {
    RaftMessage,
    Snapshot,
}

impl Prober {
    pub const BOTH: [Prober; 2] = [Prober::RaftMessage, Prober::Snapshot];

    fn name(self) -> &'static str {
        match self {
            Prober::RaftMessage => "ROUND_TRIPPER_RAFT_MESSAGE",
            Prober::Snapshot => "ROUND_TRIPPER_SNAPSHOT",
        }
    }
}

#[derive(Deserialize)]
struct Health {
    #[serde(rename = "OK")]
    ok: bool,
    #[serde(rename = "Now")]
    now: String,
}

/// What the probes have found.
#[derive(Debug, Default)]
struct Found {
    smoothed: Duration,
    drift: Duration,
    error: Option<String>,
}

impl Found {
    fn good(&mut self, round_trip: Duration, asked: SystemTime, told: Option<SystemTime>) {
        let first = self.smoothed.is_zero();
        self.smoothed = if first { round_trip } else { (self.smoothed * 7 + round_trip) / 8 };
        if let Some(told) = told {
            let expected = asked + round_trip / 2;
            let drift = told.duration_since(expected).or_else(|_| expected.duration_since(told));
            self.drift = drift.unwrap_or_default();
        }
        self.error = None;
    }
}

/// Probes for as long as the peer is a peer.
pub(super) async fn probe(peer: Arc<Peer>, prober: Prober) {
    let mut found = Found::default();
    let mut sample_at = Instant::now() + SAMPLE_FIRST;
    let mut beat = interval(INTERVAL);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        let (asked, began) = (SystemTime::now(), Instant::now());
        match ask(&peer).await {
            Ok(told) => found.good(began.elapsed(), asked, told),
            Err(error) => found.error = Some(error),
        }
        if Instant::now() >= sample_at {
            sample(&peer, prober, &found);
            sample_at = Instant::now() + if found.error.is_none() { SAMPLE_EACH } else { SAMPLE_FIRST };
        }
    }
}

/// What the peer says its time is.
async fn ask(peer: &Peer) -> Result<Option<SystemTime>, String> {
    let url = peer.urls().pick().ok_or("the peer has no usable URL")?;
    let call =
        Call { method: Method::GET, path: "/raft/probing".to_owned(), headers: HeaderMap::new(), body: Bytes::new() };
    let answer = peer.shared.caller.ask(&url, call, ANSWER_BYTES_MAX, INTERVAL).await;
    let answer = answer.map_err(|error| error.to_string())?;
    if answer.status() != StatusCode::OK {
        return Err(format!("the peer answered {}", answer.status()));
    }
    let health: Health = serde_json::from_slice(answer.body()).map_err(|error| error.to_string())?;
    if !health.ok {
        return Err("the peer says that it is not well".to_owned());
    }
    Ok(time::read(&health.now))
}

fn sample(peer: &Peer, prober: Prober, found: &Found) {
    let remote_peer_id = format!("{:x}", peer.id);
    let (round_tripper_name, rtt) = (prober.name(), go_duration(found.smoothed));
    if let Some(error) = &found.error {
        tracing::warn!(
            "round-tripper-name" = round_tripper_name,
            "remote-peer-id" = %remote_peer_id,
            %rtt,
            %error,
            "prober detected unhealthy status"
        );
    }
    if found.drift > DRIFT_MAX {
        let clock_drift = go_duration(found.drift);
        tracing::warn!(
            "round-tripper-name" = round_tripper_name,
            "remote-peer-id" = %remote_peer_id,
            "clock-drift" = %clock_drift,
            %rtt,
            "prober found high clock drift"
        );
    }
    peer.shared.observer.round_trip(peer.id, found.smoothed);
}

/// Close to the form of Go's durations, which log readers know.
fn go_duration(duration: Duration) -> String {
    if duration.is_zero() { "0s".to_owned() } else { format!("{duration:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_are_smoothed_and_drift_is_without_sign() {
        let mut found = Found::default();
        let at = SystemTime::now();
        found.good(Duration::from_millis(8), at, Some(at + Duration::from_millis(2004)));
        assert_eq!((found.smoothed, found.drift), (Duration::from_millis(8), Duration::from_secs(2)));
        found.good(Duration::from_millis(16), at, Some(at - Duration::from_millis(1992)));
        assert_eq!((found.smoothed, found.drift), (Duration::from_millis(9), Duration::from_secs(2)));
    }
}
