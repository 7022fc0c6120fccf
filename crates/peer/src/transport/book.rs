//! Who the peers are, and what goes to whom.

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use proto::etcdserverpb::Member;
use proto::raftpb::{Message, MessageType};
use state::Version;
use tokio::task::JoinSet;

use super::{FAREWELL, PeerStatus, Peers, Shared};
use crate::config::Limits;
use crate::fetch::Fetcher;
use crate::host::SnapshotSource;
use crate::peer::{Peer, Report, Urls};

/// How long a member may take to tell its version.
const VERSION_PATIENCE: Duration = Duration::from_secs(5);

impl Shared {
    fn peers(&self) -> MutexGuard<'_, Peers> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The peer with this id, also one that is in no member list.
    pub fn peer(&self, id: u64) -> Option<Arc<Peer>> {
        self.peers().get(&id).cloned()
    }

    /// The member with this id.
    pub fn member(&self, id: u64) -> Option<Arc<Peer>> {
        self.peer(id).filter(|peer| peer.is_member())
    }

    pub fn status(&self) -> Vec<PeerStatus> {
        let peers = self.peers();
        let members = peers.values().filter(|peer| peer.is_member());
        members.map(|peer| PeerStatus { id: peer.id, active_since: peer.active_since() }).collect()
    }

    pub fn set_members(self: &Arc<Shared>, members: &[Member]) {
        let (listed, gone) = {
            let mut peers = self.peers();
            let stays = |id: &u64, peer: &Peer| {
                let listed = members.iter().any(|member| member.id == *id);
                // A remote stays: the list that names it may not have come yet.
                listed || !(peer.is_member() || self.host.is_removed(peer.id))
            };
            let gone: Vec<_> = peers.extract_if(.., |id, peer| !stays(id, peer)).map(|(_, peer)| peer).collect();
            let others = members.iter().filter(|member| member.id != self.config.identity.member);
            let listed: Vec<_> = others.map(|member| self.list(&mut peers, member)).collect();
            (listed, gone)
        };
        // Without the lock, because the host hears of changes and may ask about peers.
        for peer in gone {
            tracing::info!("removed-remote-peer-id" = %format!("{:x}", peer.id), "stopped remote peer");
            // What was sent to it last, its own removal most often, is on its way once its streams have had a turn.
            tokio::spawn(async move {
                tokio::time::sleep(FAREWELL).await;
                peer.stop();
            });
        }
        listed.iter().for_each(Peer::become_member);
    }

    /// The peer for a member, under the URLs that the member has now.
    fn list(self: &Arc<Shared>, peers: &mut Peers, member: &Member) -> Arc<Peer> {
        let urls = Urls::new(member.id, &member.peer_urls);
        if let Some(peer) = peers.get(&member.id) {
            peer.update_urls(urls);
            return peer.clone();
        }
        let peer = Peer::remote(self, member.id, urls);
        peers.insert(member.id, peer.clone());
        tracing::info!("remote-peer-id" = %format!("{:x}", member.id), "started remote peer");
        peer
    }

    /// Makes a sender known who is in no member list yet.
    pub fn add_remote(self: &Arc<Shared>, id: u64, urls: &[String]) {
        if id == self.config.identity.member || self.host.is_removed(id) {
            return;
        }
        let urls = Urls::new(id, urls);
        let gave_way = {
            let mut peers = self.peers();
            if peers.contains_key(&id) || urls.pick().is_none() {
                return;
            }
            let Ok(gave_way) = make_room(&mut peers, &self.config.limits) else { return };
            peers.insert(id, Peer::remote(self, id, urls));
            gave_way
        };
        if let Some(peer) = gave_way {
            peer.stop();
        }
        tracing::info!("remote-peer-id" = %format!("{id:x}"), "added remote peer");
    }

    /// Gives each message to its peer.
    pub fn dispatch(self: &Arc<Shared>, messages: Vec<Message>) {
        let superseded = superseded(&messages);
        // Told once for all of them: the host has to deal with each report.
        let mut dropped: BTreeMap<u64, (Arc<Peer>, i32, usize)> = BTreeMap::new();
        for (place, message) in messages.into_iter().enumerate() {
            let to = message.to;
            if to == 0 || to == self.config.identity.member || superseded.binary_search(&place).is_ok() {
                continue;
            }
            if message.msg_type == MessageType::MsgSnap as i32 {
                tracing::error!(to = %format!("{to:x}"), "a snapshot without its database is not sent");
                self.host.snapshot_report(to, true);
                continue;
            }
            match self.peer(to) {
                Some(peer) => {
                    let kind = message.msg_type;
                    if peer.send(message).is_err() {
                        let (_, _, messages) = dropped.entry(to).or_insert((peer, kind, 0));
                        *messages += 1;
                    }
                }
                None => tracing::debug!(
                    "unknown-target-peer-id" = %format!("{to:x}"),
                    "ignored message send request; unknown remote peer target"
                ),
            }
        }
        for (peer, kind, messages) in dropped.into_values() {
            peer.dropped(kind, messages);
        }
    }

    pub fn send_snapshot(self: &Arc<Shared>, message: Message, database: Box<dyn SnapshotSource>) {
        let report = Report::new(self, message.to);
        let Some(peer) = self.peer(message.to) else { return };
        match self.sending.clone().try_acquire_owned() {
            Ok(place) => peer.send_snapshot(message, database, report, place),
            Err(_) => tracing::warn!(to = %format!("{:x}", message.to), "too many snapshots are being sent"),
        }
    }

    /// Ends everything.
    pub fn stop_peers(&self) {
        let peers = std::mem::take(&mut *self.peers());
        peers.values().for_each(|peer| peer.stop());
    }

    /// What the other members say of their versions; all are asked at the same time, each under one URL after the other.
    pub async fn versions_of_members(self: Arc<Shared>) -> Vec<(u64, Option<Version>)> {
        let members: Vec<Arc<Peer>> = self.peers().values().filter(|peer| peer.is_member()).cloned().collect();
        let mut asked = JoinSet::new();
        for peer in members {
            let fetcher = Fetcher::with(self.caller.clone());
            asked.spawn(async move {
                let version = tokio::time::timeout(VERSION_PATIENCE, version_of(&peer, &fetcher)).await;
                (peer.id, version.ok().flatten())
            });
        }
        let mut versions = asked.join_all().await;
        versions.sort_by_key(|(id, _)| *id);
        versions
    }
}

async fn version_of(peer: &Peer, fetcher: &Fetcher) -> Option<Version> {
    let urls = peer.urls().all();
    for url in urls {
        match fetcher.version(&url.to_string(), VERSION_PATIENCE).await {
            Ok(versions) => return Some(versions.server),
            Err(error) => {
                let remote_member_id = format!("{:x}", peer.id);
                tracing::warn!("remote-member-id" = %remote_member_id, %error, "failed to get version");
            }
        }
    }
    None
}

/// There are too many remotes, all of them connected.
struct NoRoom;

/// Makes room for one more remote: one that is not connected gives way.
fn make_room(peers: &mut Peers, limits: &Limits) -> Result<Option<Arc<Peer>>, NoRoom> {
    let remotes: Vec<&Arc<Peer>> = peers.values().filter(|peer| !peer.is_member()).collect();
    if remotes.len() < limits.remotes_max {
        return Ok(None);
    }
    let idle = remotes.iter().find(|peer| peer.active_since().is_none()).map(|peer| peer.id).ok_or(NoRoom)?;
    Ok(peers.remove(&idle))
}

/// The places, ascending, of answers to appends that a later one to the same member makes unnecessary.
fn superseded(messages: &[Message]) -> Vec<usize> {
    let accepts = |message: &Message| message.msg_type == MessageType::MsgAppResp as i32 && !message.reject;
    let mut superseded = Vec::new();
    let mut last: Vec<(u64, u64, usize)> = Vec::new();
    for (place, message) in messages.iter().enumerate().filter(|(_, message)| accepts(message)) {
        match last.iter_mut().find(|(to, term, _)| (*to, *term) == (message.to, message.term)) {
            Some((_, _, before)) => superseded.push(std::mem::replace(before, place)),
            None => last.push((message.to, message.term, place)),
        }
    }
    superseded.sort_unstable();
    superseded
}

/// Gives received messages to the host.
pub(crate) fn deliver(shared: &Shared, from: u64, messages: Vec<Message>, proposals: Vec<Message>) -> usize {
    let mut dropped = 0;
    if !messages.is_empty() {
        dropped += shared.host.receive(messages);
    }
    if !proposals.is_empty() {
        dropped += shared.host.receive_proposals(proposals);
    }
    if dropped > 0 {
        tracing::warn!(
            "local-member-id" = %format!("{:x}", shared.config.identity.member),
            from = %format!("{from:x}"),
            dropped,
            "dropped internal Raft message since receiving buffer is full (overloaded network)"
        );
    }
    dropped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_of_several_acceptances_goes_out() {
        let answer = |to, index, reject| {
            let msg_type = MessageType::MsgAppResp.into();
            Message { msg_type, to, index, reject, ..Message::default() }
        };
        let beat = Message { msg_type: MessageType::MsgHeartbeatResp.into(), to: 1, ..Message::default() };
        let messages = [
            answer(1, 5, false),
            answer(2, 5, false),
            answer(1, 6, true),
            beat,
            answer(1, 7, false),
            answer(1, 8, false),
        ];
        assert_eq!(superseded(&messages), [0, 4]);
        assert_eq!(superseded(&messages[..4]), Vec::<usize>::new());
    }
}
