//! Auth requests at apply: execution on the store, then what it asks to be written.

use proto::errors::ClientError;

use super::commands::{self, Context};
use super::password::HashJob;
use crate::applied::Outcome;
use crate::apply::{Run, store};
use crate::command::AuthCommand;

impl Run<'_, '_> {
    pub(crate) fn auth(&mut self, command: AuthCommand) -> Result<Outcome, ClientError> {
        let mut writes = Vec::new();
        let (index, header) = (self.index, self.header());
        let offered = self.live.hashes.remove(&index);
        let job = HashJob::new(index, self.id, &command);
        let mut hash = || offered.clone().or_else(|| job.as_ref().map(HashJob::run)).unwrap_or_default();
        let mut context = Context {
            index,
            header,
            cluster_version: self.live.versions.cluster,
            hash: &mut hash,
            effects: &mut self.effects,
            writes: &mut writes,
        };
        let outcome = commands::execute(&mut self.live.auth, command, &mut context);
        for write in writes {
            store::write_auth(self.txn, &write);
        }
        outcome
    }
}
