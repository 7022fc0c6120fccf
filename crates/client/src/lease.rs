//! Keeping leases alive.

use std::time::Duration;

use proto::errors::ClientError;
use proto::etcdserverpb::{LeaseKeepAliveRequest, LeaseKeepAliveResponse};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Streaming};

use crate::client::Client;
use crate::error::Error;
use crate::method::streams;

const RECONNECT_PAUSE: Duration = Duration::from_millis(500);

struct Open {
    requests: mpsc::Sender<LeaseKeepAliveRequest>,
    answers: Streaming<LeaseKeepAliveResponse>,
}

/// Renews one lease every third of its TTL.
pub struct KeepAlive {
    client: Client,
    lease: i64,
    open: Option<Open>,
    send_at: Instant,
    /// Without an answer until then the lease counts as lost.
    lost_at: Instant,
}

impl Client {
    /// Renewals of `lease`, the first at once. Must be called within the runtime.
    pub fn keep_alive(&self, lease: i64) -> KeepAlive {
        let now = Instant::now();
        let patience = self.config().dial_timeout + Duration::from_secs(1);
        KeepAlive { client: self.clone(), lease, open: None, send_at: now, lost_at: now + patience }
    }
}

impl KeepAlive {
    /// Waits for the next renewal and its answer. `None` when the lease expired or was revoked, or when nobody answered
    /// for its whole TTL. Errs on an answer that no repetition mends.
    pub async fn next(&mut self) -> Result<Option<LeaseKeepAliveResponse>, Error> {
        tokio::time::sleep_until(self.send_at).await;
        let answer = loop {
            match tokio::time::timeout_at(self.lost_at, self.renew()).await {
                Err(_elapsed) => return Ok(None),
                Ok(Ok(answer)) => break answer,
                Ok(Err(error)) if halts(&error) => return Err(error),
                Ok(Err(_)) => {
                    self.open = None;
                    tokio::time::sleep(RECONNECT_PAUSE).await;
                }
            }
        };
        if answer.ttl <= 0 {
            return Ok(None);
        }
        let ttl = Duration::from_secs(answer.ttl.unsigned_abs());
        let now = Instant::now();
        self.send_at = now + ttl / 3;
        self.lost_at = now + ttl;
        Ok(Some(answer))
    }

    async fn renew(&mut self) -> Result<LeaseKeepAliveResponse, Error> {
        let request = LeaseKeepAliveRequest { id: self.lease };
        let sent = match &self.open {
            Some(open) => open.requests.send(request).await.is_ok(),
            None => false,
        };
        if !sent {
            self.open = Some(connect(&self.client, request).await?);
        }
        let broken = || Error::Status { code: Code::Unavailable, text: "keep-alive stream ended".into() };
        let open = self.open.as_mut().ok_or_else(broken)?;
        match open.answers.message().await {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err(broken()),
            Err(status) => Err(self.client.stream_error(&status)),
        }
    }
}

/// One renewal. A lease that is gone is an error here.
pub async fn keep_alive_once(client: &Client, lease: i64) -> Result<LeaseKeepAliveResponse, Error> {
    let mut keep_alive = client.keep_alive(lease);
    loop {
        match keep_alive.renew().await {
            Ok(answer) if answer.ttl <= 0 => {
                let error = ClientError::LeaseNotFound;
                return Err(Error::Status { code: Code::NotFound, text: error.text().into() });
            }
            Ok(answer) => return Ok(answer),
            Err(error) if halts(&error) => return Err(error),
            Err(_) => {
                keep_alive.open = None;
                tokio::time::sleep(RECONNECT_PAUSE).await;
            }
        }
    }
}

async fn connect(client: &Client, first: LeaseKeepAliveRequest) -> Result<Open, Error> {
    let (requests, outbound) = mpsc::channel(4);
    if requests.try_send(first).is_err() {
        return Err(Error::Status { code: Code::Internal, text: "keep-alive request queue closed".into() });
    }
    let answers = client.open(streams::LEASE_KEEP_ALIVE, ReceiverStream::new(outbound)).await?;
    Ok(Open { requests, answers })
}

/// Whether trying again is pointless.
fn halts(error: &Error) -> bool {
    let no_leader = error.known() == Some(ClientError::NoLeader);
    no_leader || !matches!(error.code(), Code::Unavailable | Code::Internal)
}
