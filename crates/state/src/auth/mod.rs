//! Users, roles and permissions: the replicated auth store.
//!
//! [`AuthStore`] is the published form, cheap to clone. Requests that change it go through `commands`, which says what
//! to write to the buckets. Tokens are not part of the replicated state; the door keeps them, told by effects.

mod apply;
mod check;
pub(crate) mod commands;
pub mod password;
mod permissions;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use proto::authpb;

pub use check::TxnDepth;
pub use permissions::{Access, Permissions, is_valid_range};

/// The user and role that may do everything.
pub const ROOT: &str = "root";

/// A user with the merged permissions of its roles, worked out when first asked for.
#[derive(Clone, Debug)]
pub struct User {
    pub stored: authpb::User,
    permissions: Arc<OnceLock<Permissions>>,
}

impl User {
    pub(crate) fn new(stored: authpb::User) -> User {
        User { stored, permissions: Arc::default() }
    }

    /// Whether a role was granted to the user.
    pub fn has_role(&self, role: &str) -> bool {
        self.stored.roles.iter().any(|r| r == role)
    }

    /// Whether the user logs in by certificate only.
    pub fn has_no_password(&self) -> bool {
        self.stored.options.is_some_and(|o| o.no_password)
    }
}

impl PartialEq for User {
    /// The permissions follow from the rest.
    fn eq(&self, other: &User) -> bool {
        self.stored == other.stored
    }
}

/// Everything about users and roles at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AuthStore {
    enabled: bool,
    /// Moves with every change of users, roles, permissions, and with a disable; 1 in a fresh store.
    revision: u64,
    users: BTreeMap<String, User>,
    roles: BTreeMap<String, authpb::Role>,
}

impl AuthStore {
    /// Whether authentication is on.
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Credentials checked at an older one are void.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// A user by name.
    pub fn user(&self, name: &str) -> Option<&User> {
        self.users.get(name)
    }

    /// A role by name.
    pub fn role(&self, name: &str) -> Option<&authpb::Role> {
        self.roles.get(name)
    }

    /// A store that never had a revision starts at 1; says whether it did.
    pub(crate) fn start(&mut self) -> bool {
        let fresh = self.revision == 0;
        self.revision = self.revision.max(1);
        fresh
    }

    /// The store as read from the buckets.
    pub(crate) fn load(
        enabled: bool,
        revision: u64,
        users: impl IntoIterator<Item = authpb::User>,
        roles: impl IntoIterator<Item = authpb::Role>,
    ) -> AuthStore {
        let name = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        AuthStore {
            enabled,
            revision,
            users: users.into_iter().map(|u| (name(&u.name), User::new(u))).collect(),
            roles: roles.into_iter().map(|r| (name(&r.name), r)).collect(),
        }
    }

    fn permissions<'a>(&self, user: &'a User) -> &'a Permissions {
        user.permissions.get_or_init(|| {
            let roles = user.stored.roles.iter().filter_map(|name| self.roles.get(name));
            Permissions::merge(roles.flat_map(|role| &role.key_permission))
        })
    }

    /// Forgets all merged permissions; after a change of roles.
    fn forget_permissions(&mut self) {
        for user in self.users.values_mut() {
            user.permissions = Arc::default();
        }
    }
}
