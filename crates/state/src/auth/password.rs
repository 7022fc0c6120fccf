//! Passwords: bcrypt texts, made by the door before the proposal, or here from an entry that carries plain text.
//!
//! Releases up to 3.4 propose the plain password and every member hashes it with a salt of its own. Here the salt comes
//! from the entry, so that all members of ours hold the same text (contract 5). Hashing takes some 50 ms: the applier
//! runs a [`HashJob`] elsewhere and hands the text to [`crate::State::offer_hash`] before the entry is applied.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proto::errors::ClientError;
use proto::raftpb;

use super::User;
use crate::command::{AuthCommand, Command, decode};

/// The cost at which plain passwords from entries are hashed.
pub const COST_DEFAULT: u32 = 10;
/// bcrypt takes no more bytes than this.
pub const BYTES_MAX: usize = 72;

/// A plain password inside an entry, to be hashed before the entry is applied.
#[derive(Clone, PartialEq, Eq)]
pub struct HashJob {
    pub index: u64,
    id: u64,
    password: String,
}

impl std::fmt::Debug for HashJob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HashJob {{ index: {} }}", self.index)
    }
}

impl HashJob {
    /// The job that an entry needs, if it needs one.
    pub fn of(entry: &raftpb::Entry) -> Option<HashJob> {
        let decoded = decode(entry).ok()?;
        let Command::Auth(command) = decoded.command else {
            return None;
        };
        HashJob::new(entry.index, decoded.id, &command)
    }

    pub(crate) fn new(index: u64, id: u64, command: &AuthCommand) -> Option<HashJob> {
        let password = plain_password(command)?.to_owned();
        Some(HashJob { index, id, password })
    }

    /// Hashes; slow by design. A password that bcrypt does not take gives the empty text, with which nobody can log in.
    pub fn run(&self) -> String {
        hash_with_salt(&self.password, salt(self.id, self.index)).unwrap_or_default()
    }
}

/// The password that an auth request carries in the clear without its hash.
fn plain_password(command: &AuthCommand) -> Option<&str> {
    let (password, hashed) = match command {
        AuthCommand::UserAdd(add) if !add.options.is_some_and(|o| o.no_password) => {
            (&add.password, &add.hashed_password)
        }
        AuthCommand::UserChangePassword(change) => (&change.password, &change.hashed_password),
        _ => return None,
    };
    (!password.is_empty() && hashed.is_empty()).then_some(password)
}

/// 16 bytes that every member finds alike: the request's id and the entry's index.
fn salt(id: u64, index: u64) -> [u8; 16] {
    let mut salt = [0; 16];
    salt[..8].copy_from_slice(&id.to_be_bytes());
    salt[8..].copy_from_slice(&index.to_be_bytes());
    salt
}

fn hash_with_salt(password: &str, salt: [u8; 16]) -> Option<String> {
    if password.len() > BYTES_MAX {
        return None;
    }
    bcrypt::hash_with_salt(password, COST_DEFAULT, salt)
        .ok()
        .map(|parts| parts.format_for_version(bcrypt::Version::TwoA))
}

/// What the door puts into `hashedPassword`: base64 of the bcrypt text. The salt is the caller's randomness.
pub fn hash_for_entry(password: &str, cost: u32, salt: [u8; 16]) -> Result<String, ClientError> {
    if password.len() > BYTES_MAX {
        return Err(ClientError::PasswordTooLong);
    }
    let parts = bcrypt::hash_with_salt(password, cost, salt).map_err(|_| ClientError::AuthFailed)?;
    Ok(STANDARD.encode(parts.format_for_version(bcrypt::Version::TwoA)))
}

/// Reads `hashedPassword`; `None` where it is no base64.
pub(crate) fn from_entry(hashed: &str) -> Option<Vec<u8>> {
    STANDARD.decode(hashed).ok()
}

/// Whether a password is this user's. Slow by design: never on a front-door thread.
pub fn verify(user: &User, password: &str) -> Result<(), ClientError> {
    if user.has_no_password() {
        return Err(ClientError::NoPasswordUser);
    }
    let stored = std::str::from_utf8(&user.stored.password).map_err(|_| ClientError::AuthFailed)?;
    match bcrypt::verify(password, stored) {
        Ok(true) => Ok(()),
        Ok(false) | Err(_) => Err(ClientError::AuthFailed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::{authpb, etcdserverpb as pb};

    fn entry(index: u64, password: &str, hashed: &str) -> raftpb::Entry {
        use prost::Message;
        let add = pb::AuthUserAddRequest {
            name: "u".into(),
            password: password.into(),
            hashed_password: hashed.into(),
            ..Default::default()
        };
        let header = Some(pb::RequestHeader { id: 3, ..Default::default() });
        let r = pb::InternalRaftRequest { header, auth_user_add: Some(add), ..Default::default() };
        raftpb::Entry { index, term: 1, entry_type: 0, data: r.encode_to_vec().into() }
    }

    #[test]
    fn plain_passwords_are_hashed_alike_everywhere() {
        let job = HashJob::of(&entry(5, "secret", "")).unwrap();
        let text = job.run();
        assert_eq!(text, HashJob::of(&entry(5, "secret", "")).unwrap().run());
        assert_ne!(text, HashJob::of(&entry(6, "secret", "")).unwrap().run());
        assert_eq!(HashJob::of(&entry(5, "", "x")), None);
        let user = User::new(authpb::User { password: text.into_bytes().into(), ..Default::default() });
        assert_eq!(verify(&user, "secret"), Ok(()));
        assert_eq!(verify(&user, "other"), Err(ClientError::AuthFailed));
    }

    #[test]
    fn long_passwords_are_refused_at_the_door() {
        assert_eq!(hash_for_entry(&"x".repeat(73), 4, [0; 16]), Err(ClientError::PasswordTooLong));
        assert!(from_entry(&hash_for_entry(&"x".repeat(72), 4, [0; 16]).unwrap()).unwrap().starts_with(b"$2a$04$"));
    }
}
