//! A watch that outlives its stream.
//!
//! Invariant: the events handed out are complete and in order. `next_revision` is the first revision not handed out yet;
//! after a broken stream the watch is created anew from there.

use std::time::Duration;

use proto::etcdserverpb::watch_request::RequestUnion;
use proto::etcdserverpb::{WatchCreateRequest, WatchProgressRequest, WatchRequest, WatchResponse};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Streaming};

use crate::client::Client;
use crate::error::Error;
use crate::method::streams;

const RESUME_PAUSE: Duration = Duration::from_millis(100);

struct Open {
    requests: mpsc::Sender<WatchRequest>,
    answers: Streaming<WatchResponse>,
}

/// One watch on a stream of its own.
pub struct Watch {
    client: Client,
    create: WatchCreateRequest,
    /// 0 while the server has not said yet where the watch began.
    next_revision: i64,
    open: Option<Open>,
    /// Parts of an answer that the server sends in pieces.
    pieces: Option<WatchResponse>,
    ended: bool,
}

impl Client {
    /// A watch. Nothing is sent before the first [`Watch::next`].
    pub fn watch(&self, create: WatchCreateRequest) -> Watch {
        let next_revision = create.start_revision;
        Watch { client: self.clone(), create, next_revision, open: None, pieces: None, ended: false }
    }
}

impl Watch {
    /// The next answer with events, progress, or the end. An answer with `canceled` is the last one; see [`end_reason`].
    /// Errs when the stream broke in a way that cannot be resumed. `None` after the end. Safe to cancel.
    pub async fn next(&mut self) -> Option<Result<WatchResponse, Error>> {
        while !self.ended {
            let Some(open) = &mut self.open else {
                match self.connect().await {
                    Ok(open) => self.open = Some(open),
                    Err(error) if resumable(&error) => tokio::time::sleep(RESUME_PAUSE).await,
                    Err(error) => {
                        self.ended = true;
                        return Some(Err(error));
                    }
                }
                continue;
            };
            match open.answers.message().await {
                Ok(Some(answer)) => {
                    if let Some(answer) = self.take(answer) {
                        return Some(Ok(answer));
                    }
                }
                Ok(None) => self.resume(),
                Err(status) => {
                    let error = self.client.stream_error(&status);
                    self.resume();
                    if !resumable(&error) {
                        self.ended = true;
                        return Some(Err(error));
                    }
                    tokio::time::sleep(RESUME_PAUSE).await;
                }
            }
        }
        None
    }

    /// Asks for a progress notification; it arrives as an answer without events. Lost if the stream is being made anew.
    pub async fn request_progress(&self) {
        if let Some(open) = &self.open {
            let union = RequestUnion::ProgressRequest(WatchProgressRequest {});
            // A closed channel means a broken stream, which `next` deals with.
            let _closed = open.requests.send(WatchRequest { request_union: Some(union) }).await;
        }
    }

    async fn connect(&self) -> Result<Open, Error> {
        let (requests, outbound) = mpsc::channel(4);
        let create = WatchCreateRequest { start_revision: self.next_revision, ..self.create.clone() };
        let union = RequestUnion::CreateRequest(create);
        if requests.try_send(WatchRequest { request_union: Some(union) }).is_err() {
            return Err(Error::Status { code: Code::Internal, text: "watch request queue closed".into() });
        }
        let answers = self.client.open(streams::WATCH, ReceiverStream::new(outbound)).await?;
        Ok(Open { requests, answers })
    }

    fn resume(&mut self) {
        self.open = None;
        self.pieces = None;
    }

    /// Keeps account of an answer; `None` if it is not for the user.
    fn take(&mut self, answer: WatchResponse) -> Option<WatchResponse> {
        let revision = answer.header.as_ref().map_or(0, |header| header.revision);
        if answer.created && !answer.canceled {
            if self.next_revision == 0 {
                self.next_revision = revision + 1;
            }
            return None;
        }
        if answer.canceled {
            self.ended = true;
            return Some(answer);
        }
        let answer = self.assemble(answer)?;
        let after_events = answer.events.iter().filter_map(|event| event.kv.as_ref()).map(|kv| kv.mod_revision + 1);
        let next = if answer.events.is_empty() { revision + 1 } else { after_events.max().unwrap_or(0) };
        self.next_revision = self.next_revision.max(next);
        Some(answer)
    }

    fn assemble(&mut self, mut answer: WatchResponse) -> Option<WatchResponse> {
        if let Some(mut pieces) = self.pieces.take() {
            pieces.events.append(&mut answer.events);
            answer.events = pieces.events;
        }
        if answer.fragment {
            self.pieces = Some(answer);
            return None;
        }
        Some(answer)
    }
}

/// Why the server ended a watch: compaction first, then its own words, else a revision from the future.
pub fn end_reason(answer: &WatchResponse) -> Error {
    let text = |text: &str| Error::WatchCanceled { reason: text.to_owned() };
    if answer.compact_revision != 0 {
        text("etcdserver: mvcc: required revision has been compacted")
    } else if !answer.cancel_reason.is_empty() {
        text(&answer.cancel_reason)
    } else {
        text("etcdserver: mvcc: required revision is a future revision")
    }
}

/// Go's client resumes on Unavailable and Internal only, and not without a leader (facts: errors, 1.3).
fn resumable(error: &Error) -> bool {
    let no_leader = error.known() == Some(proto::errors::ClientError::NoLeader);
    matches!(error.code(), Code::Unavailable | Code::Internal) && !no_leader
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use proto::etcdserverpb::ResponseHeader;
    use proto::mvccpb::{Event, KeyValue};

    fn answer(revision: i64, mod_revisions: &[i64]) -> WatchResponse {
        let event =
            |at: &i64| Event { kv: Some(KeyValue { mod_revision: *at, ..KeyValue::default() }), ..Event::default() };
        WatchResponse {
            header: Some(ResponseHeader { revision, ..ResponseHeader::default() }),
            events: mod_revisions.iter().map(event).collect(),
            ..WatchResponse::default()
        }
    }

    fn watch(start_revision: i64) -> Watch {
        let client = Client::new(Config::default()).unwrap();
        client.watch(WatchCreateRequest { start_revision, ..WatchCreateRequest::default() })
    }

    #[test]
    fn the_place_to_resume_follows_what_was_handed_out() {
        let mut watch = watch(0);
        assert!(watch.take(WatchResponse { created: true, ..answer(7, &[]) }).is_none());
        assert_eq!(watch.next_revision, 8);
        assert!(watch.take(answer(12, &[9, 10])).is_some());
        assert_eq!(watch.next_revision, 11);
        assert!(watch.take(answer(15, &[])).is_some(), "progress is handed out");
        assert_eq!(watch.next_revision, 16);
    }

    #[test]
    fn a_chosen_start_is_kept_until_events_come() {
        let mut watch = watch(3);
        watch.take(WatchResponse { created: true, ..answer(7, &[]) });
        assert_eq!(watch.next_revision, 3);
    }

    #[test]
    fn pieces_are_joined_and_dropped_with_their_stream() {
        let mut watch = watch(1);
        assert!(watch.take(WatchResponse { fragment: true, ..answer(9, &[5]) }).is_none());
        assert_eq!(watch.next_revision, 1, "a piece alone counts for nothing");
        let whole = watch.take(answer(9, &[6])).unwrap();
        assert_eq!(whole.events.len(), 2);
        assert_eq!(watch.next_revision, 7);
        assert!(watch.take(WatchResponse { fragment: true, ..answer(9, &[7]) }).is_none());
        watch.resume();
        assert_eq!(watch.take(answer(9, &[7])).unwrap().events.len(), 1);
    }

    #[test]
    fn reasons_of_an_end_in_their_order() {
        let mut end = WatchResponse { canceled: true, ..WatchResponse::default() };
        assert!(end_reason(&end).to_string().ends_with("is a future revision"));
        end.cancel_reason = "mvcc: watcher range is empty".into();
        assert_eq!(end_reason(&end).to_string(), "mvcc: watcher range is empty");
        end.compact_revision = 5;
        assert!(end_reason(&end).to_string().ends_with("has been compacted"));
    }
}
