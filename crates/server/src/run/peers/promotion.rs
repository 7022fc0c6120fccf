//! Promotions: the leader's to judge, since it knows how far the learner is (facts: peer-protocol, 4).

use super::leader;
use crate::doors::cluster;
use crate::run::front::{Failure, Front};
use ::peer::{PromoteError, Refusal};
use proto::errors::ClientError;
use proto::etcdserverpb::Member;
use proto::raftpb::ConfChangeType;
use state::members::{self, ChangeContext};

/// Makes a voter of a learner; all members afterwards.
pub async fn promote(front: &Front, id: u64) -> Result<Vec<Member>, Failure> {
    let deadline = leader::deadline(front);
    loop {
        match promote_here(front, id).await {
            Err(Failure::Client(ClientError::NotLeader)) => {}
            outcome => return outcome,
        }
        for url in leader::find(front, deadline).await?.urls {
            let refused = match front.fetcher().promote(&url, id, None, leader::time_until(deadline)).await {
                Ok(members) => return Ok(members),
                Err(Refusal::Refused(refused)) => refused,
                Err(failure) => {
                    leader::tell_failure("failed to promote a learner at the leader", &url, &failure);
                    continue;
                }
            };
            match refused {
                PromoteError::NotFound => return Err(ClientError::MemberNotFound.into()),
                PromoteError::NotLearner => return Err(ClientError::MemberNotLearner.into()),
                PromoteError::NotReady => return Err(ClientError::LearnerNotReady.into()),
                other => leader::tell_failure("failed to promote a learner at the leader", &url, &other),
            }
        }
        leader::pause(deadline, ClientError::Timeout).await?;
    }
}

/// The same where this member leads; errs with `NotLeader` where it does not.
pub async fn promote_here(front: &Front, id: u64) -> Result<Vec<Member>, Failure> {
    let member = members::Member { id, ..Default::default() };
    let context = ChangeContext { member, is_promote: true };
    let promoted = cluster::change(front, ConfChangeType::ConfChangeAddNode, id, Some(context)).await;
    let metrics = &front.shared.metrics;
    match &promoted {
        Ok(_) => metrics.learner_promotions.inc(),
        Err(Failure::Client(ClientError::NotLeader)) => {}
        Err(failure) => metrics.peers.promotion_failed(&failure.to_string()),
    }
    Ok(promoted?.members)
}
