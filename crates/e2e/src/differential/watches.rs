//! Watch streams beside the requests, and what each watch delivered.

use super::target::Target;
use client::rpc::etcdserverpb::watch_client::WatchClient;
use proto::etcdserverpb::watch_request::RequestUnion;
use proto::etcdserverpb::*;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

/// How long an expected answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

type Opened = Result<tonic::Response<Streaming<WatchResponse>>, tonic::Status>;

/// One watch stream of one server.
pub struct Stream {
    requests: mpsc::Sender<WatchRequest>,
    /// A server may keep its headers back until the first request, so the call is awaited only with the first answer.
    opening: Option<JoinHandle<Opened>>,
    answers: Option<Streaming<WatchResponse>>,
    /// What each watch delivered, by its id.
    pub delivered: BTreeMap<i64, Delivered>,
}

/// What came for one watch.
#[derive(Debug, Default, PartialEq)]
pub struct Delivered {
    pub events: Vec<proto::mvccpb::Event>,
    /// `(compact_revision, cancel_reason)` of a watch that was cancelled.
    pub cancelled: Option<(i64, String)>,
    /// A part of a fragmented answer has come and its end has not.
    open_fragment: bool,
}

impl Stream {
    pub fn open(target: &Target) -> Stream {
        let (requests, receiver) = mpsc::channel(16);
        let mut client = WatchClient::new(target.channel.clone());
        let opening = tokio::spawn(async move { client.watch(ReceiverStream::new(receiver)).await });
        Stream { requests, opening: Some(opening), answers: None, delivered: BTreeMap::new() }
    }

    async fn message(&mut self) -> Result<Option<WatchResponse>, tonic::Status> {
        if let Some(opening) = self.opening.take() {
            let opened = opening.await.map_err(|e| tonic::Status::internal(e.to_string()))??;
            self.answers = Some(opened.into_inner());
        }
        match &mut self.answers {
            Some(answers) => answers.message().await,
            None => Ok(None),
        }
    }

    async fn send(&mut self, union: RequestUnion) -> Result<(), tonic::Status> {
        let text = format!("the watch stream had ended before {union:?}");
        let request = WatchRequest { request_union: Some(union) };
        if self.requests.send(request).await.is_ok() {
            return Ok(());
        }
        while self.next().await.is_ok() {}
        let status = self.next().await.err();
        Err(tonic::Status::aborted(format!("{text}: {status:?}")))
    }

    /// Creates a watch: its id, and the text that describes the answer.
    pub async fn create(&mut self, create: WatchCreateRequest) -> Result<(i64, String), tonic::Status> {
        self.send(RequestUnion::CreateRequest(create)).await?;
        loop {
            let answer = self.next().await?;
            if answer.created {
                let text = format!("id {} cancelled {} {:?}", answer.watch_id, answer.canceled, answer.cancel_reason);
                if !answer.canceled {
                    self.delivered.insert(answer.watch_id, Delivered::default());
                }
                let revision = answer.header.map(|header| header.revision);
                return Ok((answer.watch_id, format!("{text} revision {revision:?}")));
            }
        }
    }

    /// Cancels a watch and waits for the answer.
    pub async fn cancel(&mut self, id: i64) -> Result<(), tonic::Status> {
        self.send(RequestUnion::CancelRequest(WatchCancelRequest { watch_id: id })).await?;
        while self.delivered.get(&id).is_some_and(|d| d.cancelled.is_none()) {
            self.next().await?;
        }
        Ok(())
    }

    /// Reads until watch `id` has delivered `count` events or has been cancelled.
    pub async fn settle(&mut self, id: i64, count: usize) -> Result<(), tonic::Status> {
        while self.delivered.get(&id).is_some_and(|d| d.cancelled.is_none() && d.events.len() < count) {
            self.next().await.map_err(|status| {
                let got = self.delivered.get(&id).map_or(0, |d| d.events.len());
                tonic::Status::aborted(format!("watch {id} delivered {got} of {count} events: {}", status.message()))
            })?;
        }
        Ok(())
    }

    /// Waits for the cancellation of watch `id`.
    pub async fn ended(&mut self, id: i64) -> Result<(), tonic::Status> {
        while self.delivered.get(&id).is_some_and(|d| d.cancelled.is_none()) {
            self.next().await?;
        }
        Ok(())
    }

    async fn next(&mut self) -> Result<WatchResponse, tonic::Status> {
        let answer = tokio::time::timeout(PATIENCE, self.message()).await;
        let answer = answer.map_err(|_| tonic::Status::deadline_exceeded("no answer in time"))??;
        let answer = answer.ok_or_else(|| tonic::Status::aborted("the server ended the watch stream"))?;
        if answer.created {
            return Ok(answer);
        }
        if let Some(delivered) = self.delivered.get_mut(&answer.watch_id) {
            delivered.open_fragment = answer.fragment;
            delivered.events.extend(answer.events.iter().cloned());
            if answer.canceled {
                delivered.cancelled = Some((answer.compact_revision, answer.cancel_reason.clone()));
            }
        }
        Ok(answer)
    }
}

/// Whether `key` lies in the range of `create`.
pub fn covers(create: &WatchCreateRequest, key: &[u8]) -> bool {
    let start: &[u8] = if create.key.is_empty() { b"\0" } else { &create.key };
    match create.range_end.as_ref() {
        b"" => key == start,
        b"\0" => key >= start,
        end => key >= start && key < end,
    }
}

/// Whether `create` lets an event of this kind through.
pub fn passes(create: &WatchCreateRequest, event: &proto::mvccpb::Event) -> bool {
    !create.filters.contains(&event.event_type)
}
