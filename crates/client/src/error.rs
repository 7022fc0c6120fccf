//! What a call can end with. The gRPC code and the text are kept, because users match on both.

use std::error::Error as StdError;

use proto::errors::ClientError;
use tonic::{Code, ConnectError, Status};

/// Why a call, a stream or the making of a client failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The server's answer, or gRPC's own. Displayed as Go's client does: a text of etcd's table alone, any other with
    /// its code.
    Status { code: Code, text: String },
    /// The deadline of the caller passed; `cause` says what stood in the way, for logs.
    DeadlineExceeded { cause: Option<String> },
    /// The list of endpoints is empty.
    NoEndpoints,
    /// An endpoint that cannot be used.
    BadEndpoint(String),
    /// A watch ended by the server, with the text of its reason.
    WatchCanceled { reason: String },
    /// The lease of a session is gone.
    SessionExpired,
    /// An observer or a candidate found its key gone.
    ElectionLost,
}

impl Error {
    /// The gRPC code that goes with it.
    pub fn code(&self) -> Code {
        match self {
            Error::Status { code, .. } => *code,
            Error::DeadlineExceeded { .. } => Code::DeadlineExceeded,
            Error::NoEndpoints => Code::Unavailable,
            Error::BadEndpoint(_) => Code::InvalidArgument,
            Error::WatchCanceled { .. } => Code::Cancelled,
            Error::SessionExpired | Error::ElectionLost => Code::Unknown,
        }
    }

    /// The entry of the table of errors with this text, whatever code it came with.
    pub fn known(&self) -> Option<ClientError> {
        match self {
            Error::Status { text, .. } => known(text),
            _ => None,
        }
    }

    /// The form of gRPC's own errors: `rpc error: code = X desc = ...`.
    pub fn rpc_text(&self) -> String {
        let text = match self {
            Error::Status { text, .. } => text.clone(),
            Error::DeadlineExceeded { cause: Some(cause) } => format!("latest balancer error: {cause}"),
            other => other.to_string(),
        };
        format!("rpc error: code = {} desc = {text}", code_name(self.code()))
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Error::Status { text, .. } if known(text).is_some() => f.write_str(text),
            Error::Status { .. } => f.write_str(&self.rpc_text()),
            Error::DeadlineExceeded { .. } => f.write_str("context deadline exceeded"),
            Error::NoEndpoints => f.write_str("etcdclient: no available endpoints"),
            Error::BadEndpoint(what) => f.write_str(what),
            Error::WatchCanceled { reason } => f.write_str(reason),
            Error::SessionExpired => f.write_str("session expired"),
            Error::ElectionLost => f.write_str("election: session expired"),
        }
    }
}

impl StdError for Error {}

/// The texts that Go's client turns into values of its own (facts: errors, 1.1, below the table).
fn known(text: &str) -> Option<ClientError> {
    use ClientError as E;
    let error = ClientError::ALL.iter().copied().find(|error| error.text() == text)?;
    let passed_through = matches!(
        error,
        E::InvalidClientAPIVersion
            | E::WatchCanceled
            | E::PermissionNotGiven
            | E::TimeoutWaitAppliedIndex
            | E::Canceled
            | E::DeadlineExceeded
            | E::TimeoutLeaderTransfer
            | E::UnknownMethod
    );
    (text.starts_with("etcdserver: ") && !passed_through).then_some(error)
}

/// Go's name of a code.
pub fn code_name(code: Code) -> String {
    match code {
        Code::Ok => "OK".into(),
        Code::Cancelled => "Canceled".into(),
        other => format!("{other:?}"),
    }
}

/// How a single attempt failed, which decides whether there is another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The server answered.
    Refused,
    /// No connection was made: the request cannot have been seen.
    NotSent,
    /// The connection broke under the request: its outcome is unknown.
    Broken,
}

/// Tells the server's answers from those that gRPC makes up here, and puts the latter into Go's words.
pub(crate) fn classify(status: &Status) -> (Failure, Error) {
    let text = status.message().to_owned();
    let chain = || std::iter::successors(status.source(), |error: &&(dyn StdError + 'static)| (*error).source());
    if status.source().is_none() {
        return (Failure::Refused, translate_limits(status.code(), text));
    }
    if chain().any(|error| error.is::<ConnectError>()) {
        let text = format!("connection error: desc = \"{}\"", dial_text("", status));
        return (Failure::NotSent, Error::Status { code: Code::Unavailable, text });
    }
    let last = chain().last().map_or(text, ToString::to_string);
    let text = format!("error reading from server: {last}");
    (Failure::Broken, Error::Status { code: Code::Unavailable, text })
}

/// `transport: Error while dialing: ...` for a failed connection to `address`.
pub(crate) fn dial_text(address: &str, error: &(dyn StdError + 'static)) -> String {
    let mut io = None;
    let mut last = error.to_string();
    let mut next = Some(error);
    while let Some(error) = next {
        io = error.downcast_ref::<std::io::Error>().or(io);
        last = error.to_string();
        next = error.source();
    }
    let reason = match io.map(std::io::Error::kind) {
        Some(std::io::ErrorKind::ConnectionRefused) => "connect: connection refused".to_owned(),
        Some(std::io::ErrorKind::TimedOut) => "i/o timeout".to_owned(),
        Some(std::io::ErrorKind::NotFound) => "connect: no such file or directory".to_owned(),
        _ => last,
    };
    format!("transport: Error while dialing: dial tcp {address}: {reason}")
}

/// Size limits of the message decoder, in Go's words.
fn translate_limits(code: Code, text: String) -> Error {
    let numbers: Vec<&str> = text.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty()).collect();
    match numbers.as_slice() {
        [found, limit] if code == Code::OutOfRange && text.starts_with("Error, decoded message length too large") => {
            let text = format!("grpc: received message larger than max ({found} vs. {limit})");
            Error::Status { code: Code::ResourceExhausted, text }
        }
        _ => Error::Status { code, text },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(code: Code, text: &str) -> String {
        Error::Status { code, text: text.into() }.to_string()
    }

    #[test]
    fn a_text_of_the_table_stands_alone_and_others_carry_their_code() {
        assert_eq!(shown(Code::InvalidArgument, "etcdserver: key is not provided"), "etcdserver: key is not provided");
        assert_eq!(shown(Code::Unknown, "etcdserver: user name is empty"), "etcdserver: user name is empty");
        assert_eq!(
            shown(Code::Cancelled, "etcdserver: request canceled"),
            "rpc error: code = Canceled desc = etcdserver: request canceled"
        );
        assert_eq!(shown(Code::Unknown, "raft: stopped"), "rpc error: code = Unknown desc = raft: stopped");
    }

    #[test]
    fn a_deadline_hides_its_cause_from_users_and_shows_it_to_logs() {
        let error = Error::DeadlineExceeded { cause: Some("connection error: x".into()) };
        assert_eq!(error.to_string(), "context deadline exceeded");
        assert_eq!(
            error.rpc_text(),
            "rpc error: code = DeadlineExceeded desc = latest balancer error: connection error: x"
        );
    }

    #[test]
    fn limits_of_the_decoder_speak_as_go_does() {
        let status =
            Status::out_of_range("Error, decoded message length too large: found 40 bytes, the limit is: 10 bytes");
        let (failure, error) = classify(&status);
        assert_eq!(failure, Failure::Refused);
        assert_eq!(
            error.to_string(),
            "rpc error: code = ResourceExhausted desc = grpc: received message larger than max (40 vs. 10)"
        );
    }
}
