//! A lease kept alive in the background for as long as its owner lives.

use proto::etcdserverpb::{LeaseGrantRequest, LeaseRevokeRequest};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::client::Client;
use crate::error::Error;
use crate::method::methods;

/// A session. Dropping it stops the renewals; [`Session::close`] also revokes the lease.
pub struct Session {
    client: Client,
    lease: i64,
    lost: watch::Receiver<bool>,
    renewals: JoinHandle<()>,
}

impl Session {
    /// Grants a lease of `ttl` seconds and keeps it alive.
    pub async fn open(client: &Client, ttl: i64) -> Result<Session, Error> {
        let granted = client.call(&methods::LEASE_GRANT, LeaseGrantRequest { ttl, id: 0 }).await?;
        let (tell, lost) = watch::channel(false);
        let mut keep_alive = client.keep_alive(granted.id);
        let renewals = tokio::spawn(async move {
            while let Ok(Some(_)) = keep_alive.next().await {}
            tell.send_replace(true);
        });
        Ok(Session { client: client.clone(), lease: granted.id, lost, renewals })
    }

    /// The lease of this session.
    pub fn lease(&self) -> i64 {
        self.lease
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Returns when the lease is lost.
    pub async fn lost(&self) {
        // An error means that the renewals ended without a word, which is the same loss.
        let mut lost = self.lost.clone();
        let _ended = lost.wait_for(|lost| *lost).await;
    }

    /// Ends the session: its keys go with the lease.
    pub async fn close(self) -> Result<(), Error> {
        self.renewals.abort();
        self.client.call(&methods::LEASE_REVOKE, LeaseRevokeRequest { id: self.lease }).await.map(drop)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.renewals.abort();
    }
}
