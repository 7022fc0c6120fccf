//! What this release does not serve yet and must not serve wrongly.

use node::Status;
use state::StateView;

/// Why the member does not serve.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unserved {
    #[error(
        "authentication is enabled in this data directory, and this release does not check credentials yet: \
         it refuses to serve the data to everybody"
    )]
    Authentication,
    #[error(
        "the data directory belongs to a cluster of {members} members, and this release serves a member alone: \
         --force-new-cluster makes it a cluster of its own"
    )]
    OtherMembers { members: usize },
}

/// Errs where clients would be served without the protection that the data ask for.
pub fn check_auth(view: &StateView) -> Result<(), Unserved> {
    if view.auth().is_enabled() { Err(Unserved::Authentication) } else { Ok(()) }
}

/// Errs where the member waits in vain for others: everything committed is applied, there is no leader, and its vote alone
/// does not make it one.
pub fn check_alone(view: &StateView, status: &Status) -> Result<(), Unserved> {
    let voters = view.members().iter().filter(|member| !member.is_learner).count();
    let settled = status.leader == 0 && status.applied >= status.committed;
    if settled && voters > 1 { Err(Unserved::OtherMembers { members: view.members().iter().count() }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Machine;
    use super::*;
    use proto::etcdserverpb::*;

    #[test]
    fn authentication_is_not_passed_over() {
        let mut machine = Machine::new();
        assert_eq!(check_auth(&machine.state.reader().view()), Ok(()));
        let options = Some(proto::authpb::UserAddOptions { no_password: true });
        let user = AuthUserAddRequest { name: "root".into(), options, ..Default::default() };
        machine.apply(InternalRaftRequest { auth_user_add: Some(user), ..Default::default() });
        let grant = AuthUserGrantRoleRequest { user: "root".into(), role: "root".into() };
        machine.apply(InternalRaftRequest { auth_user_grant_role: Some(grant), ..Default::default() });
        assert_eq!(check_auth(&machine.state.reader().view()), Ok(()));
        let enable = Some(AuthEnableRequest::default());
        machine.apply(InternalRaftRequest { auth_enable: enable, ..Default::default() });
        assert_eq!(check_auth(&machine.state.reader().view()), Err(Unserved::Authentication));
    }
}
