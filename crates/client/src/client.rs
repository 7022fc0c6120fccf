//! The client itself: unary calls with retries, and streams.

use std::sync::Arc;
use std::time::Duration;

use prost::Message;
use tokio::time::Instant;
use tokio_stream::Stream;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue};
use tonic::transport::Channel;
use tonic::{Code, Request, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::config::{Config, Refusal};
use crate::error::{Error, Failure, classify};
use crate::method::Method;
use crate::pool::{Connection, Pool};

const ATTEMPTS_MAX: u32 = 100;
const RETRY_PAUSE: Duration = Duration::from_millis(25);

/// A client of one cluster. Clones share the connections.
#[derive(Clone)]
pub struct Client {
    config: Arc<Config>,
    pool: Arc<Pool>,
    deadline: Option<Instant>,
    metadata: Vec<(AsciiMetadataKey, AsciiMetadataValue)>,
}

impl Client {
    /// Checks the endpoints. Connections are made when first needed, on the runtime of the first call.
    pub fn new(config: Config) -> Result<Client, Error> {
        let pool = Arc::new(Pool::new(&config)?);
        Ok(Client { config: Arc::new(config), pool, deadline: None, metadata: Vec::new() })
    }

    /// The same client whose unary calls all end at `deadline`; streams have none.
    pub fn until(&self, deadline: Option<Instant>) -> Client {
        Client { deadline, ..self.clone() }
    }

    /// The same client that sends one more pair of metadata with every call, as `hasleader` `true`.
    pub fn with_metadata(&self, key: &'static str, value: &'static str) -> Client {
        let mut client = self.clone();
        client.metadata.push((AsciiMetadataKey::from_static(key), AsciiMetadataValue::from_static(value)));
        client
    }

    /// The endpoints as they were given.
    pub fn endpoints(&self) -> &[String] {
        &self.config.endpoints
    }

    /// How this client was set up.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// One unary call. Reads are repeated while the service is unavailable; writes only when they were never sent.
    pub async fn call<Q, A>(&self, method: &Method<Q, A>, request: Q) -> Result<A, Error>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        let mut attempt = 0;
        loop {
            let (failure, endpoint, error) = match self.attempt(method, request.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            self.observe(method.path, &endpoint, attempt, &error);
            let again = match failure {
                Failure::NotSent => error.code() == Code::Unavailable,
                Failure::Refused | Failure::Broken => method.read && error.code() == Code::Unavailable,
            };
            attempt += 1;
            if !again || attempt >= ATTEMPTS_MAX {
                return Err(error);
            }
            if (attempt as usize).is_multiple_of(self.pool.len()) {
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        }
    }

    async fn attempt<Q, A>(&self, method: &Method<Q, A>, request: Q) -> Result<A, (Failure, String, Error)>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        if let Err(error) = self.check_size(&request) {
            return Err((Failure::Refused, self.pool.first_name().to_owned(), error));
        }
        let picked = self.bounded(self.pool.pick()).await;
        let connection = picked.map_err(|error| (Failure::Refused, self.pool.first_name().to_owned(), error))?;
        let endpoint = self.pool.name(&connection).to_owned();
        let mut grpc = self.grpc(connection.channel.clone());
        let answer = self.bounded(async {
            grpc.ready().await.map_err(|error| Status::from_error(Box::new(error)))?;
            grpc.unary(self.request(request), PathAndQuery::from_static(method.path), ProstCodec::default()).await
        });
        match answer.await {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) => {
                let (failure, error) = self.judge(&connection, &status);
                Err((failure, endpoint, error))
            }
            Err(deadline) => Err((Failure::Refused, endpoint, deadline)),
        }
    }

    /// Opens a stream in both directions. `outbound` must begin with a message: servers answer only then.
    pub async fn open<Q, A>(
        &self,
        stream: &'static str,
        outbound: impl Stream<Item = Q> + Send + 'static,
    ) -> Result<Streaming<A>, Error>
    where
        Q: Message + Send + Sync + 'static,
        A: Message + Default + Send + Sync + 'static,
    {
        let connection = self.pool.pick().await;
        let mut grpc = self.grpc(connection.channel.clone());
        let opened = async {
            grpc.ready().await.map_err(|error| Status::from_error(Box::new(error)))?;
            grpc.streaming(self.request(outbound), PathAndQuery::from_static(stream), ProstCodec::default()).await
        };
        match opened.await {
            Ok(answer) => Ok(answer.into_inner()),
            Err(status) => Err(self.judge(&connection, &status).1),
        }
    }

    /// Opens a stream of answers to one request, within the deadline.
    pub async fn open_answers<Q, A>(&self, stream: &'static str, request: Q) -> Result<Streaming<A>, Error>
    where
        Q: Message + Send + Sync + 'static,
        A: Message + Default + Send + Sync + 'static,
    {
        let connection = self.bounded(self.pool.pick()).await?;
        let mut grpc = self.grpc(connection.channel.clone());
        let opened = self.bounded(async {
            grpc.ready().await.map_err(|error| Status::from_error(Box::new(error)))?;
            grpc.server_streaming(self.request(request), PathAndQuery::from_static(stream), ProstCodec::default()).await
        });
        match opened.await? {
            Ok(answer) => Ok(answer.into_inner()),
            Err(status) => Err(self.judge(&connection, &status).1),
        }
    }

    /// Waits for the next part of an open stream, within the deadline.
    pub async fn within<T>(&self, part: impl Future<Output = Result<T, Status>>) -> Result<T, Error> {
        self.bounded(part).await?.map_err(|status| self.stream_error(&status))
    }

    /// The error of a stream that was open.
    pub(crate) fn stream_error(&self, status: &Status) -> Error {
        classify(status).1
    }

    fn judge(&self, connection: &Connection, status: &Status) -> (Failure, Error) {
        let (failure, error) = classify(status);
        if failure != Failure::Refused {
            self.pool.report_broken(connection);
        }
        (failure, error)
    }

    fn grpc(&self, channel: Channel) -> Grpc<Channel> {
        Grpc::new(channel).max_decoding_message_size(self.config.max_recv_bytes).max_encoding_message_size(usize::MAX)
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        for (key, value) in &self.metadata {
            request.metadata_mut().insert(key.clone(), value.clone());
        }
        if let Some(deadline) = self.deadline {
            // The header tells the server; the bound that counts here is our own, which is never later.
            request.set_timeout(deadline.saturating_duration_since(Instant::now()) + Duration::from_millis(500));
        }
        request
    }

    fn check_size(&self, request: &impl Message) -> Result<(), Error> {
        let (size, limit) = (request.encoded_len(), self.config.max_send_bytes);
        if size > limit {
            let text = format!("trying to send message larger than max ({size} vs. {limit})");
            return Err(Error::Status { code: Code::ResourceExhausted, text });
        }
        Ok(())
    }

    async fn bounded<T>(&self, work: impl Future<Output = T>) -> Result<T, Error> {
        let exceeded = || Error::DeadlineExceeded { cause: self.pool.last_failure() };
        match self.deadline {
            None => Ok(work.await),
            // The timer counts whole milliseconds, within which a quick server would still answer.
            Some(deadline) if deadline <= Instant::now() => Err(exceeded()),
            Some(deadline) => tokio::time::timeout_at(deadline, work).await.map_err(|_elapsed| exceeded()),
        }
    }

    fn observe(&self, method: &str, endpoint: &str, attempt: u32, error: &Error) {
        if let Some(observer) = &self.config.observer {
            observer(&Refusal { method, endpoint, attempt, code: error.code(), text: error.rpc_text() });
        }
    }
}
