//! `etcdctl` and `etcdutl`: one table of commands for each, shared parser, printers and log lines.
//!
//! `etcdctl` speaks to a cluster through the `client` room; `etcdutl`, and what is left of it in `etcdctl`, works on files
//! through the offline tools of `node`. Texts and exit codes are etcd's.

pub mod cli;
mod etcdctl;
mod etcdutl;
pub mod exit;
mod go;
mod log;
mod offline;
mod print;

pub use etcdctl::ETCDCTL;
pub use etcdutl::ETCDUTL;

/// The release that both programs speak for.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// `3.7` of `3.7.1`.
pub fn api_version() -> &'static str {
    VERSION.rsplit_once('.').map_or(VERSION, |(minor, _)| minor)
}
