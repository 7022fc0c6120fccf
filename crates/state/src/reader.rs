//! Views of the state from any thread: everything as of one published moment.

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use mvcc::{EntryId, HashRule, View};
use proto::etcdserverpb as pb;

use crate::alarm::Alarms;
use crate::auth::AuthStore;
use crate::error::Result;
use crate::kv::{self, Checked};
use crate::lease::Leases;
use crate::members::Membership;
use crate::versions::{Version, Versions};

/// Everything that replicates apart from the keys.
#[derive(Clone, Debug)]
pub(crate) struct Tables {
    pub leases: Leases,
    pub auth: Arc<AuthStore>,
    pub alarms: Arc<Alarms>,
    pub members: Arc<Membership>,
    pub versions: Versions,
    pub applied: EntryId,
}

/// One published moment.
pub(crate) struct Published {
    pub kv: View,
    pub tables: Tables,
    pub release: Version,
}

/// Hands out views; cheap to clone, usable from every thread.
#[derive(Clone)]
pub struct StateReader {
    published: Arc<Mutex<Arc<Published>>>,
}

impl StateReader {
    pub(crate) fn new(published: Published) -> StateReader {
        StateReader { published: Arc::new(Mutex::new(Arc::new(published))) }
    }

    pub(crate) fn set(&self, published: Published) {
        let next = Arc::new(published);
        let mut place = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        let last = std::mem::replace(&mut *place, next);
        // What the last moment held is let go outside the lock.
        drop(place);
        drop(last);
    }

    /// The newest published moment, in O(1).
    pub fn view(&self) -> StateView {
        StateView(self.published.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

/// The state at one published moment. Reads of keys come by [`Deref`] from the `mvcc` view. Holding it pins the
/// backend's pages of that moment: not for long.
#[derive(Clone)]
pub struct StateView(Arc<Published>);

impl Deref for StateView {
    type Target = View;

    fn deref(&self) -> &View {
        &self.0.kv
    }
}

impl StateView {
    /// The keys alone.
    pub fn kv(&self) -> &View {
        &self.0.kv
    }

    /// All leases with their keys.
    pub fn leases(&self) -> &Leases {
        &self.0.tables.leases
    }

    /// Users, roles and rights.
    pub fn auth(&self) -> &Arc<AuthStore> {
        &self.0.tables.auth
    }

    /// The alarms that are on.
    pub fn alarms(&self) -> &Alarms {
        &self.0.tables.alarms
    }

    /// The members of the cluster.
    pub fn members(&self) -> &Arc<Membership> {
        &self.0.tables.members
    }

    /// Cluster and storage version, downgrade job.
    pub fn versions(&self) -> Versions {
        self.0.tables.versions
    }

    /// The last entry in this view. At start-up it can be older than the entry that the keys stand at.
    pub fn applied_entry(&self) -> EntryId {
        self.0.tables.applied
    }

    /// The rule by which this member hashes, that of the release it passes itself off as.
    pub fn hash_rule(&self) -> HashRule {
        match self.0.release {
            release if release >= Version::V3_6 => HashRule::V3_7,
            Version::V3_5 => HashRule::V3_5,
            _ => HashRule::V3_4,
        }
    }

    /// The header of an answer at this moment; cluster and member id are the door's to fill in.
    pub fn header(&self) -> pb::ResponseHeader {
        pb::ResponseHeader { revision: self.revision(), raft_term: self.applied_entry().term, ..Default::default() }
    }

    /// Answers a range whole, for small ones and tests; large ones are read through [`View::range`].
    pub fn answer_range(&self, r: &pb::RangeRequest) -> Result<Checked<pb::RangeResponse>> {
        let mut answer = kv::range(self, r, self.0.release)?;
        self.complete(answer.as_mut().ok().map(|x| &mut x.header));
        Ok(answer)
    }

    /// Answers a transaction that only reads ([`crate::checks::is_read_only`]).
    pub fn answer_txn(&self, r: &pb::TxnRequest) -> Result<Checked<pb::TxnResponse>> {
        let mut answer = kv::read_txn(self, r, self.0.release)?;
        self.complete(answer.as_mut().ok().map(|x| &mut x.header));
        Ok(answer)
    }

    fn complete(&self, header: Option<&mut Option<pb::ResponseHeader>>) {
        if let Some(Some(header)) = header {
            header.raft_term = self.applied_entry().term;
        }
    }
}
