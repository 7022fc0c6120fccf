//! Client of the v3 API: the generated services, and what a user of them needs around them.
//!
//! This room knows the wire and nothing of a server's inside. [`Client`] speaks to a list of endpoints over connections that
//! are kept up in the background; unary calls are named by the table in [`methods`]. [`Watch`] and [`KeepAlive`] outlive
//! broken streams; [`concurrency`] holds the recipes for locks and elections on top of them. Everything runs on the
//! caller's runtime, a current-thread one will do.

mod client;
pub mod concurrency;
mod config;
mod error;
mod lease;
mod method;
mod pool;
mod watch;

pub use client::Client;
pub use config::{Config, MAX_RECV_BYTES, MAX_SEND_BYTES, Observer, Refusal};
pub use error::{Error, code_name};
pub use lease::{KeepAlive, keep_alive_once};
pub use method::{Method, methods, streams};
pub use watch::{Watch, end_reason};

/// The services as generated from `/proto`, one module for each package.
pub mod rpc {
    macro_rules! package {
        ($($name:ident, $file:literal;)*) => {
            $(
                #[allow(clippy::all, missing_docs, reason = "generated code")]
                #[rustfmt::skip]
                pub mod $name {
                    include!(concat!("generated/", $file));
                }
            )*
        };
    }

    package! {
        etcdserverpb, "etcdserverpb.rs";
        health, "grpc.health.v1.rs";
        v3electionpb, "v3electionpb.rs";
        v3lockpb, "v3lockpb.rs";
    }
}
