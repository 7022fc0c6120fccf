//! The auth requests at apply: what they change, what they write, what they answer.

use std::sync::Arc;

use bytes::Bytes;
use proto::authpb::{self, permission::Type};
use proto::errors::ClientError;
use proto::etcdserverpb as pb;

use super::{AuthStore, ROOT, User, is_valid_range, password};
use crate::applied::{Effect, Outcome};
use crate::command::AuthCommand;
use crate::versions::Version;

/// The longest key of the database file.
const NAME_BYTES_MAX: usize = 32768;

/// A change of the auth buckets.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Write {
    Enabled(bool),
    Revision(u64),
    PutUser(authpb::User),
    DeleteUser(String),
    PutRole(authpb::Role),
    DeleteRole(String),
}

/// What surrounds a request.
pub(crate) struct Context<'a> {
    pub index: u64,
    pub header: pb::ResponseHeader,
    pub cluster_version: Option<Version>,
    /// The bcrypt text for a password that came in the clear.
    pub hash: &'a mut dyn FnMut() -> String,
    pub effects: &'a mut Vec<Effect>,
    pub writes: &'a mut Vec<Write>,
}

type Answer = Result<Outcome, ClientError>;

/// Executes an auth request whose right has been checked. Readers share the store: only a change copies it, since
/// authentications are many.
pub(crate) fn execute(store: &mut Arc<AuthStore>, command: AuthCommand, cx: &mut Context<'_>) -> Answer {
    let header = Some(cx.header);
    Ok(match command {
        AuthCommand::Enable => {
            Arc::make_mut(store).enable(cx)?;
            Outcome::AuthEnable(pb::AuthEnableResponse { header })
        }
        AuthCommand::Disable => {
            Arc::make_mut(store).disable(cx);
            Outcome::AuthDisable(pb::AuthDisableResponse { header })
        }
        AuthCommand::Status => {
            let (enabled, auth_revision) = (store.enabled, store.revision);
            Outcome::AuthStatus(pb::AuthStatusResponse { header, enabled, auth_revision })
        }
        AuthCommand::Authenticate(r) => {
            let token = store.authenticate(r, cx)?;
            Outcome::Authenticate(pb::AuthenticateResponse { header, token })
        }
        AuthCommand::UserAdd(r) => {
            Arc::make_mut(store).user_add(r, cx)?;
            Outcome::AuthUserAdd(pb::AuthUserAddResponse { header })
        }
        AuthCommand::UserDelete(r) => {
            Arc::make_mut(store).user_delete(r, cx)?;
            Outcome::AuthUserDelete(pb::AuthUserDeleteResponse { header })
        }
        AuthCommand::UserGet(r) => {
            let user = store.user(&r.name).ok_or(ClientError::UserNotFound)?;
            Outcome::AuthUserGet(pb::AuthUserGetResponse { header, roles: user.stored.roles.clone() })
        }
        AuthCommand::UserList => {
            Outcome::AuthUserList(pb::AuthUserListResponse { header, users: store.users.keys().cloned().collect() })
        }
        AuthCommand::UserChangePassword(r) => {
            Arc::make_mut(store).user_change_password(r, cx)?;
            Outcome::AuthUserChangePassword(pb::AuthUserChangePasswordResponse { header })
        }
        AuthCommand::UserGrantRole(r) => {
            Arc::make_mut(store).user_grant_role(r, cx)?;
            Outcome::AuthUserGrantRole(pb::AuthUserGrantRoleResponse { header })
        }
        AuthCommand::UserRevokeRole(r) => {
            Arc::make_mut(store).user_revoke_role(r, cx)?;
            Outcome::AuthUserRevokeRole(pb::AuthUserRevokeRoleResponse { header })
        }
        AuthCommand::RoleAdd(r) => {
            Arc::make_mut(store).role_add(r, cx)?;
            Outcome::AuthRoleAdd(pb::AuthRoleAddResponse { header })
        }
        AuthCommand::RoleDelete(r) => {
            Arc::make_mut(store).role_delete(r, cx)?;
            Outcome::AuthRoleDelete(pb::AuthRoleDeleteResponse { header })
        }
        AuthCommand::RoleGet(r) => {
            Outcome::AuthRoleGet(pb::AuthRoleGetResponse { header, perm: store.role_permissions(&r.role)? })
        }
        AuthCommand::RoleList => {
            Outcome::AuthRoleList(pb::AuthRoleListResponse { header, roles: store.roles.keys().cloned().collect() })
        }
        AuthCommand::RoleGrantPermission(r) => {
            Arc::make_mut(store).role_grant_permission(r, cx)?;
            Outcome::AuthRoleGrantPermission(pb::AuthRoleGrantPermissionResponse { header })
        }
        AuthCommand::RoleRevokePermission(r) => {
            Arc::make_mut(store).role_revoke_permission(r, cx)?;
            Outcome::AuthRoleRevokePermission(pb::AuthRoleRevokePermissionResponse { header })
        }
    })
}

type Change = Result<(), ClientError>;

impl AuthStore {
    fn bump(&mut self, cx: &mut Context<'_>) {
        // A damaged file can hold the last number; etcd goes on at 0.
        self.revision = self.revision.wrapping_add(1);
        cx.writes.push(Write::Revision(self.revision));
        cx.effects.push(Effect::AuthChanged);
    }

    fn enable(&mut self, cx: &mut Context<'_>) -> Change {
        if self.enabled {
            return Ok(());
        }
        let root = self.user(ROOT).ok_or(ClientError::RootUserNotExist)?;
        if !root.has_role(ROOT) {
            return Err(ClientError::RootRoleNotExist);
        }
        self.enabled = true;
        cx.writes.push(Write::Enabled(true));
        cx.effects.extend([Effect::AllTokensDropped, Effect::AuthChanged]);
        Ok(())
    }

    fn disable(&mut self, cx: &mut Context<'_>) {
        if !self.enabled {
            return;
        }
        self.enabled = false;
        cx.writes.push(Write::Enabled(false));
        self.bump(cx);
        cx.effects.push(Effect::AllTokensDropped);
    }

    /// The password was checked by the proposer's door.
    fn authenticate(&self, r: pb::InternalAuthenticateRequest, cx: &mut Context<'_>) -> Result<String, ClientError> {
        if !self.enabled {
            return Err(ClientError::AuthNotEnabled);
        }
        let user = self.user(&r.name).ok_or(ClientError::AuthFailed)?;
        if user.has_no_password() {
            return Err(ClientError::NoPasswordUser);
        }
        let token = format!("{}.{}", r.simple_token, cx.index);
        cx.effects.push(Effect::TokenIssued { token: token.clone(), username: r.name });
        Ok(token)
    }

    fn user_add(&mut self, r: pb::AuthUserAddRequest, cx: &mut Context<'_>) -> Change {
        if r.name.is_empty() {
            return Err(ClientError::UserEmpty);
        }
        check_name(&r.name)?;
        if self.users.contains_key(&r.name) {
            return Err(ClientError::UserAlreadyExist);
        }
        let password = match r.options {
            Some(options) if options.no_password => Bytes::new(),
            _ => select_password(&r.password, &r.hashed_password, cx)?,
        };
        // 3.4 and later always store the options, set or not; absent reads the same.
        let options = r.options.or(Some(authpb::UserAddOptions::default()));
        self.put_user(authpb::User { name: r.name.into(), password, roles: Vec::new(), options }, cx);
        Ok(())
    }

    fn put_user(&mut self, user: authpb::User, cx: &mut Context<'_>) {
        let name = String::from_utf8_lossy(&user.name).into_owned();
        cx.writes.push(Write::PutUser(user.clone()));
        self.users.insert(name, User::new(user));
        self.bump(cx);
    }

    fn user_delete(&mut self, r: pb::AuthUserDeleteRequest, cx: &mut Context<'_>) -> Change {
        if self.enabled && r.name == ROOT {
            return Err(ClientError::InvalidAuthMgmt);
        }
        self.users.remove(&r.name).ok_or(ClientError::UserNotFound)?;
        cx.writes.push(Write::DeleteUser(r.name.clone()));
        self.bump(cx);
        cx.effects.push(Effect::UserTokensDropped { username: r.name });
        Ok(())
    }

    fn user_change_password(&mut self, r: pb::AuthUserChangePasswordRequest, cx: &mut Context<'_>) -> Change {
        let mut user = self.stored_user(&r.name)?;
        user.password = select_password(&r.password, &r.hashed_password, cx)?;
        self.put_user(user, cx);
        cx.effects.push(Effect::UserTokensDropped { username: r.name });
        Ok(())
    }

    fn stored_user(&self, name: &str) -> Result<authpb::User, ClientError> {
        self.user(name).map(|user| user.stored.clone()).ok_or(ClientError::UserNotFound)
    }

    fn user_grant_role(&mut self, r: pb::AuthUserGrantRoleRequest, cx: &mut Context<'_>) -> Change {
        let mut user = self.stored_user(&r.user)?;
        if r.role != ROOT && !self.roles.contains_key(&r.role) {
            return Err(ClientError::RoleNotFound);
        }
        if user.roles.contains(&r.role) {
            return Ok(());
        }
        user.roles.push(r.role);
        user.roles.sort();
        self.put_user(user, cx);
        Ok(())
    }

    fn user_revoke_role(&mut self, r: pb::AuthUserRevokeRoleRequest, cx: &mut Context<'_>) -> Change {
        if self.enabled && r.name == ROOT && r.role == ROOT {
            return Err(ClientError::InvalidAuthMgmt);
        }
        let mut user = self.stored_user(&r.name)?;
        let before = user.roles.len();
        user.roles.retain(|role| *role != r.role);
        if user.roles.len() == before {
            return Err(ClientError::RoleNotGranted);
        }
        self.put_user(user, cx);
        Ok(())
    }

    fn role_add(&mut self, r: pb::AuthRoleAddRequest, cx: &mut Context<'_>) -> Change {
        if r.name.is_empty() {
            return Err(ClientError::RoleEmpty);
        }
        check_name(&r.name)?;
        if self.roles.contains_key(&r.name) {
            return Err(ClientError::RoleAlreadyExist);
        }
        self.put_role(authpb::Role { name: r.name.into(), key_permission: Vec::new() }, cx);
        Ok(())
    }

    fn put_role(&mut self, role: authpb::Role, cx: &mut Context<'_>) {
        let name = String::from_utf8_lossy(&role.name).into_owned();
        cx.writes.push(Write::PutRole(role.clone()));
        self.roles.insert(name, role);
        self.forget_permissions();
        self.bump(cx);
    }

    fn role_delete(&mut self, r: pb::AuthRoleDeleteRequest, cx: &mut Context<'_>) -> Change {
        if self.enabled && r.role == ROOT {
            return Err(ClientError::InvalidAuthMgmt);
        }
        self.roles.remove(&r.role).ok_or(ClientError::RoleNotFound)?;
        cx.writes.push(Write::DeleteRole(r.role.clone()));
        for user in self.users.values_mut().filter(|user| user.has_role(&r.role)) {
            user.stored.roles.retain(|role| *role != r.role);
            cx.writes.push(Write::PutUser(user.stored.clone()));
        }
        self.forget_permissions();
        self.bump(cx);
        Ok(())
    }

    /// Role root can do everything, whatever was granted to it.
    fn role_permissions(&self, name: &str) -> Result<Vec<authpb::Permission>, ClientError> {
        let role = self.role(name).ok_or(ClientError::RoleNotFound)?;
        if name == ROOT {
            let perm_type = Type::Readwrite as i32;
            return Ok(vec![authpb::Permission { perm_type, key: Bytes::new(), range_end: Bytes::from_static(b"\0") }]);
        }
        Ok(role.key_permission.clone())
    }

    fn role_grant_permission(&mut self, r: pb::AuthRoleGrantPermissionRequest, cx: &mut Context<'_>) -> Change {
        let perm = r.perm.ok_or(ClientError::PermissionNotGiven)?;
        // Early releases of 3.4 and 3.5 take any range (docs/decisions/apply-differences.md).
        let refuses_ranges = cx.cluster_version.is_none_or(|version| version >= Version::V3_6);
        if refuses_ranges && !is_valid_range(&perm.key, &perm.range_end) {
            return Err(ClientError::InvalidAuthMgmt);
        }
        let mut role = self.role(&r.name).ok_or(ClientError::RoleNotFound)?.clone();
        let same = |p: &&mut authpb::Permission| p.key == perm.key && p.range_end == perm.range_end;
        match role.key_permission.iter_mut().find(same) {
            Some(present) => present.perm_type = perm.perm_type,
            None => {
                role.key_permission.push(perm);
                role.key_permission.sort_by(|a, b| a.key.cmp(&b.key));
            }
        }
        self.put_role(role, cx);
        Ok(())
    }

    fn role_revoke_permission(&mut self, r: pb::AuthRoleRevokePermissionRequest, cx: &mut Context<'_>) -> Change {
        let mut role = self.role(&r.role).ok_or(ClientError::RoleNotFound)?.clone();
        let before = role.key_permission.len();
        role.key_permission.retain(|p| p.key != r.key || p.range_end != r.range_end);
        if role.key_permission.len() == before {
            return Err(ClientError::PermissionNotGranted);
        }
        self.put_role(role, cx);
        Ok(())
    }
}

/// A name is a key in the database; one that is too long for it stops etcd.
fn check_name(name: &str) -> Change {
    if name.len() > NAME_BYTES_MAX { Err(ClientError::RequestTooLarge) } else { Ok(()) }
}

/// The bcrypt text to be stored: hashed here where the entry carries plain text only, else as the entry says.
fn select_password(plain: &str, hashed: &str, cx: &mut Context<'_>) -> Result<Bytes, ClientError> {
    if !plain.is_empty() && hashed.is_empty() {
        return Ok((cx.hash)().into_bytes().into());
    }
    password::from_entry(hashed).map(Bytes::from).ok_or(ClientError::AuthFailed)
}
