//! Who leads, for calls that only the leader can answer.

use super::urls_of;
use crate::run::front::{Failure, Front};
use proto::errors::ClientError;
use std::fmt::Display;
use std::time::Duration;
use tokio::time::Instant;

/// Between two rounds of asking.
const PAUSE: Duration = Duration::from_millis(50);

/// Until when a call that begins now may be handed on.
pub fn deadline(front: &Front) -> Instant {
    Instant::now() + front.shared.limits.request_timeout
}

/// What is left until then.
pub fn time_until(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

/// The leader and its peer URLs.
pub struct Leader {
    id: u64,
    pub urls: Vec<String>,
}

impl Leader {
    /// What becomes of a call to it; `None` once another leads: one that hangs must not hold up what its successor can do.
    pub async fn answer<T>(&self, front: &Front, call: impl Future<Output = T>) -> Option<T> {
        let mut leader = front.shared.leader.clone();
        tokio::select! {
            answer = call => Some(answer),
            Ok(_) = leader.wait_for(|leader| *leader != 0 && *leader != self.id) => None,
        }
    }
}

/// The leader, once there is one; without URLs while it is this member itself. Errs with `NoLeader` where there is none in
/// time.
pub async fn find(front: &Front, deadline: Instant) -> Result<Leader, Failure> {
    let mut leader = front.shared.leader.clone();
    let known = tokio::time::timeout_at(deadline, leader.wait_for(|leader| *leader != 0)).await;
    let id = match known {
        Ok(Ok(id)) => *id,
        // Nobody will say any more.
        Ok(Err(_)) => return Err(ClientError::Stopped.into()),
        Err(_) => return Err(ClientError::NoLeader.into()),
    };
    if id == front.shared.member_id {
        return Ok(Leader { id, urls: Vec::new() });
    }
    Ok(Leader { id, urls: urls_of(&front.view().members().to_proto(), id) })
}

/// Waits a little before the next round; errs with `late` where there is no time for it.
pub async fn pause(deadline: Instant, late: ClientError) -> Result<(), Failure> {
    if Instant::now() + PAUSE >= deadline {
        return Err(late.into());
    }
    tokio::time::sleep(PAUSE).await;
    Ok(())
}

/// A round that failed may be followed by one that does not.
pub fn tell_failure(message: &str, url: &str, failure: &dyn Display) {
    tracing::debug!(url, error = %failure, "{message}");
}
