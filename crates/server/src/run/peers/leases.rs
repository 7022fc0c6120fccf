//! Calls about one lease: answered here by the leader, handed on to it by everyone else (facts: errors, 9; peer-protocol, 4).

use super::host::time_left;
use super::leader;
use crate::run::front::{Failure, Front};
use crate::run::waiters::Reply;
use ::peer::{LeaseError, Refusal};
use node::{Event, Outcome, Ticket};
use proto::errors::ClientError;
use proto::etcdserverpb::{LeaseTimeToLiveRequest, LeaseTimeToLiveResponse};

/// Renews a lease: the seconds it has again; `None` where there is no such lease.
pub async fn renew(front: &Front, id: i64) -> Result<Option<i64>, Failure> {
    let deadline = leader::deadline(front);
    loop {
        match ask(front, |ticket| Event::LeaseKeepAlive { ticket, lease: id }).await? {
            Outcome::LeaseRenewed { ttl_secs } => {
                if ttl_secs.is_some() {
                    front.shared.metrics.leases_renewed.inc();
                }
                return Ok(ttl_secs);
            }
            Outcome::AskLeader { .. } => {}
            _ => return Err(Failure::wrong_reply()),
        }
        for url in leader::urls(front, deadline).await? {
            match front.fetcher().lease_renew(&url, id, leader::time_until(deadline)).await {
                Ok(ttl) => return Ok(Some(ttl)),
                Err(Refusal::Refused(LeaseError::NotFound)) => return Ok(None),
                Err(failure) => leader::tell_failure("failed to renew a lease at the leader", &url, &failure),
            }
        }
        leader::pause(deadline, ClientError::Timeout).await?;
    }
}

/// The time a lease has left; `None` where there is no such lease.
pub async fn time_to_live(front: &Front, id: i64, keys: bool) -> Result<Option<LeaseTimeToLiveResponse>, Failure> {
    let deadline = leader::deadline(front);
    loop {
        match ask(front, |ticket| Event::LeaseTimeToLive { ticket, lease: id }).await? {
            Outcome::LeaseTimeLeft(time) => return Ok(time.map(|time| time_left(front, id, time, keys))),
            Outcome::AskLeader { .. } => {}
            _ => return Err(Failure::wrong_reply()),
        }
        let request = LeaseTimeToLiveRequest { id, keys };
        for url in leader::urls(front, deadline).await? {
            match front.fetcher().lease_time_to_live(&url, request, leader::time_until(deadline)).await {
                Ok(mut answer) => {
                    front.sign(&mut answer.header);
                    return Ok(Some(answer));
                }
                Err(Refusal::Refused(LeaseError::NotFound)) => return Ok(None),
                Err(failure) => leader::tell_failure("failed to ask the leader for a lease", &url, &failure),
            }
        }
        leader::pause(deadline, ClientError::Timeout).await?;
    }
}

async fn ask(front: &Front, event: impl FnOnce(Ticket) -> Event) -> Result<Outcome, Failure> {
    let ticket = front.shared.ids.next();
    match front.ask(ticket, event(ticket)).await? {
        Reply::Node(outcome) => Ok(outcome),
        _ => Err(Failure::wrong_reply()),
    }
}
