//! Calls about one lease: answered here by the leader, handed on to it by everyone else (facts: errors, 9; peer-protocol, 4).

use super::leader;
use crate::run::front::{Failure, Front};
use crate::run::waiters::Reply;
use ::peer::{LeaseError, Refusal};
use node::{Event, LeaseTime, Outcome, Ticket};
use proto::errors::ClientError;
use proto::etcdserverpb::{LeaseTimeToLiveRequest, LeaseTimeToLiveResponse, ResponseHeader};

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
        let leader = leader::find(front, deadline).await?;
        for url in &leader.urls {
            let call = front.fetcher().lease_renew(url, id, leader::time_until(deadline));
            match leader.answer(front, call).await {
                Some(Ok(ttl)) => return Ok(Some(ttl)),
                Some(Err(Refusal::Refused(LeaseError::NotFound))) => return Ok(None),
                Some(Err(failure)) => leader::tell_failure("failed to renew a lease at the leader", url, &failure),
                None => break,
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
        let leader = leader::find(front, deadline).await?;
        for url in &leader.urls {
            let call = front.fetcher().lease_time_to_live(url, request, leader::time_until(deadline));
            match leader.answer(front, call).await {
                Some(Ok(answer)) => return Ok(Some(LeaseTimeToLiveResponse { header: header(front), ..answer })),
                Some(Err(Refusal::Refused(LeaseError::NotFound))) => return Ok(None),
                Some(Err(failure)) => leader::tell_failure("failed to ask the leader for a lease", url, &failure),
                None => break,
            }
        }
        leader::pause(deadline, ClientError::Timeout).await?;
    }
}

/// What this member, as the leader, says of a lease.
pub fn time_left(front: &Front, id: i64, time: LeaseTime, keys: bool) -> LeaseTimeToLiveResponse {
    let view = front.view();
    let keys = match view.leases().get(id) {
        Some(lease) if keys => lease.keys.iter().cloned().collect(),
        _ => Vec::new(),
    };
    let (ttl, granted_ttl) = (time.left_secs, time.granted_secs);
    LeaseTimeToLiveResponse { header: Some(front.header(&view, view.kv().revision())), id, ttl, granted_ttl, keys }
}

/// The header of an answer that says what another member knows: this one's, as everywhere.
fn header(front: &Front) -> Option<ResponseHeader> {
    let view = front.view();
    Some(front.header(&view, view.kv().revision()))
}

async fn ask(front: &Front, event: impl FnOnce(Ticket) -> Event) -> Result<Outcome, Failure> {
    let ticket = front.shared.ids.next();
    match front.ask(ticket, event(ticket)).await? {
        Reply::Node(outcome) => Ok(outcome),
        _ => Err(Failure::wrong_reply()),
    }
}
