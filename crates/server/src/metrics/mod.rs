//! Metrics under etcd's names, in the text format 0.0.4 of Prometheus (facts: observability, 1).
//!
//! Three kinds of sources: [`Handles`] that the server moves while it works, [`Scrape`] that it fills in when somebody
//! asks, and the system ([`process`]). A gauge of [`Scrape`] that is left at `None` doesn't appear; a handle appears from
//! the start, so whoever adds one moves it: a test looks for its name in the sources.

mod buckets;
mod cells;
mod grpc;
mod handles;
mod labelled;
mod methods;
mod peers;
mod process;
mod scrape;
mod text;

use std::fmt::Write as _;

pub use cells::{Counter, Histogram};
pub use grpc::Grpc;
pub use handles::Handles;
pub use labelled::{ClientRequests, Direction, HealthChecks, Op, Outcomes, StreamApi, StreamFailures};
pub use methods::{CODES, Flow, Known, Method};
pub use peers::{Counting, Peers};
pub use scrape::{MemberAlarm, Scrape};

/// The content type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";

/// The metrics of one server. Cheap to share behind an `Arc`; everything takes `&self`.
#[derive(Debug)]
pub struct Metrics {
    /// Counters and histograms without labels.
    pub handles: Handles,
    /// Calls by method and code.
    pub grpc: Grpc,
    /// `etcd_server_request_duration_seconds`.
    pub requests: Outcomes,
    /// `etcd_server_apply_duration_seconds`.
    pub applies: Outcomes,
    /// `etcd_server_range_duration_seconds`.
    pub ranges: Outcomes,
    /// `etcd_server_client_requests_total`.
    pub client_requests: ClientRequests,
    /// `etcd_network_server_stream_failures_total`.
    pub stream_failures: StreamFailures,
    /// `etcd_server_healthcheck` and `etcd_server_healthchecks_total`.
    pub health_checks: HealthChecks,
    /// Series by peer.
    pub peers: Peers,
    seen: scrape::Seen,
}

impl std::ops::Deref for Metrics {
    type Target = Handles;

    fn deref(&self) -> &Handles {
        &self.handles
    }
}

impl Metrics {
    /// `extensive` adds the histogram of every gRPC method (`--metrics=extensive`).
    pub fn new(extensive: bool) -> Metrics {
        let slab = cells::Slab::new();
        Metrics {
            handles: Handles::new(&slab),
            grpc: Grpc::new(&slab, extensive),
            requests: Outcomes::requests(&slab),
            applies: Outcomes::applies(&slab),
            ranges: Outcomes::ranges(&slab),
            client_requests: ClientRequests::new(&slab),
            stream_failures: StreamFailures::new(&slab),
            health_checks: HealthChecks::default(),
            peers: Peers::default(),
            seen: scrape::Seen::default(),
        }
    }

    /// The whole page: families by name, each with its help and type.
    pub fn render(&self, scrape: &Scrape) -> String {
        let mut page = Page::default();
        self.handles.render(&mut page);
        self.grpc.render(&mut page);
        self.requests.render(&mut page);
        self.applies.render(&mut page);
        self.ranges.render(&mut page);
        self.client_requests.render(&mut page);
        self.stream_failures.render(&mut page);
        self.health_checks.render(&mut page);
        self.peers.render(&mut page);
        scrape.render(&mut page, &self.seen);
        for (name, help, kind, value) in process::samples() {
            page.family(name, help, kind, |out| text::sample(out, name, "", value));
        }
        page.finish()
    }
}

/// Families in the making.
#[derive(Default)]
pub(crate) struct Page(Vec<(&'static str, String)>);

impl Page {
    /// Adds a family; without any series it is left out.
    fn family(&mut self, name: &'static str, help: &str, kind: text::Kind, series: impl FnOnce(&mut String)) {
        let mut body = String::new();
        series(&mut body);
        if !body.is_empty() {
            let mut text = String::with_capacity(body.len() + 128);
            text::header(&mut text, name, help, kind);
            text.push_str(&body);
            self.0.push((name, text));
        }
    }

    fn finish(mut self) -> String {
        self.0.sort_by_key(|(name, _)| *name);
        let mut out = String::with_capacity(self.0.iter().map(|(_, text)| text.len()).sum());
        for (_, text) in &self.0 {
            // Writing to a String does not fail.
            out.write_str(text).unwrap_or_default();
        }
        out
    }
}

#[cfg(test)]
mod tests;
