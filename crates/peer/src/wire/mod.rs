//! Connections: addresses, sockets with a deadline, HTTP/1.1 calls over them, headers and forms.

mod call;
pub(crate) mod headers;
pub(crate) mod json;
mod link;
pub(crate) mod time;
mod url;

pub(crate) use call::{Call, CallError, Caller, read_body};
pub(crate) use link::Link;
pub use link::Socket;
pub(crate) use url::PeerUrl;
