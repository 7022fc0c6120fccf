//! Connections: addresses, sockets with a deadline, HTTP/1.1 calls over them, headers and forms.

mod call;
pub(crate) mod headers;
pub(crate) mod json;
mod link;
pub(crate) mod time;
mod url;

pub(crate) use call::{Call, CallError, Caller, Outgoing, read_body};
pub use link::Socket;
pub(crate) use link::{Link, connect};
pub(crate) use url::{PeerUrl, UrlError};
