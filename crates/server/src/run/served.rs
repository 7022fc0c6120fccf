//! What this release does not serve yet and must not serve wrongly.

use state::StateView;

/// Why the member does not serve.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unserved {
    #[error(
        "authentication is enabled in this data directory, and this release does not check credentials yet: \
         it refuses to serve the data to everybody"
    )]
    Authentication,
}

/// Errs where clients would be served without the protection that the data ask for.
pub fn check_auth(view: &StateView) -> Result<(), Unserved> {
    if view.auth().is_enabled() { Err(Unserved::Authentication) } else { Ok(()) }
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
