//! Views of the state from any thread: everything as of one published moment.

use std::sync::{Arc, Mutex, PoisonError};

use crate::alarm::Alarms;
use crate::auth::AuthStore;
use crate::lease::Leases;
use crate::members::Membership;
use crate::versions::Versions;

/// Hands out views; cheap to clone, usable from every thread.
#[derive(Clone)]
pub struct StateReader {
    published: Arc<Mutex<Arc<Published>>>,
}

/// Everything that replicates apart from the keys.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tables {
    pub leases: Leases,
    pub auth: Arc<AuthStore>,
    pub alarms: Arc<Alarms>,
    pub members: Arc<Membership>,
    pub versions: Versions,
    pub applied_index: u64,
    pub applied_term: u64,
}

/// One published moment.
pub(crate) struct Published {
    pub tables: Tables,
}

/// The state at one published moment. Holding it pins the backend's pages of that moment: not for long.
#[derive(Clone)]
pub struct StateView {
    published: Arc<Published>,
}

impl StateReader {
    pub(crate) fn new(published: Published) -> StateReader {
        StateReader { published: Arc::new(Mutex::new(Arc::new(published))) }
    }

    pub(crate) fn set(&self, published: Published) {
        let next = Arc::new(published);
        let last = std::mem::replace(&mut *self.published.lock().unwrap_or_else(PoisonError::into_inner), next);
        drop(last);
    }

    /// The newest published moment, in O(1).
    pub fn view(&self) -> StateView {
        StateView { published: self.published.lock().unwrap_or_else(PoisonError::into_inner).clone() }
    }
}

impl StateView {
    pub fn leases(&self) -> &Leases {
        &self.published.tables.leases
    }

    pub fn auth(&self) -> &Arc<AuthStore> {
        &self.published.tables.auth
    }

    pub fn alarms(&self) -> &Alarms {
        &self.published.tables.alarms
    }

    pub fn members(&self) -> &Arc<Membership> {
        &self.published.tables.members
    }

    pub fn versions(&self) -> Versions {
        self.published.tables.versions
    }

    /// Index of the last entry in this view.
    pub fn applied_index(&self) -> u64 {
        self.published.tables.applied_index
    }

    /// Term of the last entry in this view.
    pub fn applied_term(&self) -> u64 {
        self.published.tables.applied_term
    }
}
