//! Connections: addresses, sockets with a deadline, HTTP/1.1 calls over them.

mod call;
pub(crate) mod json;
mod link;
mod url;

pub(crate) use call::{Call, CallError, Caller, Outgoing, read_body};
pub use link::Socket;
pub(crate) use link::{Link, connect};
pub(crate) use url::{PeerUrl, UrlError};
