//! Families with labels whose series appear on first use.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Page;
use super::buckets::{Buckets, E1, E6};
use super::cells::{Counter, Histogram, Slab};
use super::text::{self, Kind, label};

/// Makes the enumeration of operations and their label values from one list.
macro_rules! ops {
    ($($name:ident)*) => {
        /// What a request or an applied entry does; the value of label `type` or `op`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Op { $($name,)* }

        impl Op {
            /// All of them, in the order of the enumeration.
            const ALL: &[(Op, &'static str)] = &[$((Op::$name, stringify!($name)),)*];
        }
    };
}

ops! {
    Range ReadonlyTxn Put DeleteRange Txn Compaction LeaseGrant LeaseRevoke LeaseCheckpoint Alarm Authenticate
    AuthEnable AuthDisable AuthStatus AuthUserAdd AuthUserDelete AuthUserChangePassword AuthUserGrantRole AuthUserGet
    AuthUserRevokeRole AuthUserList AuthRoleAdd AuthRoleDelete AuthRoleGrantPermission AuthRoleRevokePermission
    AuthRoleGet AuthRoleList ClusterVersionSet ClusterMemberAttrSet DowngradeInfoSet Unknown
}

/// Durations by operation and success.
#[derive(Debug)]
pub struct Outcomes {
    name: &'static str,
    help: &'static str,
    /// The label of the operation and labels that are the same for all; `None` where there is no operation.
    op_label: Option<&'static str>,
    fixed: &'static str,
    /// Per operation: failure, success.
    series: Vec<[Histogram; 2]>,
}

impl Outcomes {
    fn new(
        slab: &Arc<Slab>,
        buckets: &'static Buckets,
        name: &'static str,
        op_label: Option<&'static str>,
    ) -> Outcomes {
        let count = if op_label.is_some() { Op::ALL.len() } else { 1 };
        let series = (0..count).map(|_| [Histogram::new(slab, buckets), Histogram::new(slab, buckets)]).collect();
        Outcomes { name, help: "", op_label, fixed: "", series }
    }

    pub(super) fn requests(slab: &Arc<Slab>) -> Outcomes {
        let new = Outcomes::new(slab, &E1, "etcd_server_request_duration_seconds", Some("type"));
        Outcomes { help: "Requests from their arrival to the answer.", ..new }
    }

    pub(super) fn applies(slab: &Arc<Slab>) -> Outcomes {
        let new = Outcomes::new(slab, &E6, "etcd_server_apply_duration_seconds", Some("op"));
        Outcomes { help: "Applying one entry.", fixed: ",version=\"v3\"", ..new }
    }

    pub(super) fn ranges(slab: &Arc<Slab>) -> Outcomes {
        let new = Outcomes::new(slab, &E6, "etcd_server_range_duration_seconds", None);
        Outcomes { help: "Ranges in the store, without the wait for a read index.", ..new }
    }

    /// One operation took so long. Families without operations take any.
    pub fn observe(&self, op: Op, success: bool, took: Duration) {
        let place = if self.op_label.is_some() { op as usize } else { 0 };
        self.series[place][usize::from(success)].observe(took);
    }

    pub(super) fn render(&self, page: &mut Page) {
        page.family(self.name, self.help, Kind::Histogram, |out| {
            let mut rows = Vec::new();
            for (pair, (_, op)) in self.series.iter().zip(Op::ALL) {
                for (success, histogram) in ["false", "true"].into_iter().zip(pair) {
                    let success = label("success", success);
                    let labels = match self.op_label {
                        Some("op") => format!("{},{success}{}", label("op", op), self.fixed),
                        Some(name) => format!("{success},{}", label(name, op)),
                        None => success,
                    };
                    rows.push((labels, histogram));
                }
            }
            rows.retain(|(_, histogram)| histogram.counts().iter().any(|count| *count > 0));
            rows.sort_by(|a, b| a.0.cmp(&b.0));
            rows.iter().for_each(|(labels, histogram)| text::histogram(out, self.name, labels, histogram));
        });
    }
}

/// Client versions that have cells of their own.
const KNOWN_VERSIONS: [&str; 9] = ["3.0", "3.1", "3.2", "3.3", "3.4", "3.5", "3.6", "3.7", "unknown"];
/// More versions than these are counted as `unknown`: clients choose the text.
const OTHER_VERSIONS_MAX: usize = 64;

/// Incoming calls by kind and by the version in the client's metadata.
#[derive(Debug)]
pub struct ClientRequests {
    /// Per version: unary, stream.
    known: Vec<[Counter; 2]>,
    other: Mutex<BTreeMap<String, [u64; 2]>>,
}

impl ClientRequests {
    pub(super) fn new(slab: &Arc<Slab>) -> ClientRequests {
        let known = KNOWN_VERSIONS.iter().map(|_| [Counter::new(slab), Counter::new(slab)]).collect();
        ClientRequests { known, other: Mutex::default() }
    }

    /// A call has come in; `version` is its metadata `client-api-version`.
    pub fn count(&self, stream: bool, version: Option<&str>) {
        let version = version.unwrap_or("unknown");
        if let Some(place) = KNOWN_VERSIONS.iter().position(|known| *known == version) {
            return self.known[place][usize::from(stream)].inc();
        }
        let mut other = self.other.lock().unwrap_or_else(PoisonError::into_inner);
        if other.len() >= OTHER_VERSIONS_MAX && !other.contains_key(version) {
            drop(other);
            return self.known[KNOWN_VERSIONS.len() - 1][usize::from(stream)].inc();
        }
        other.entry(version.to_owned()).or_default()[usize::from(stream)] += 1;
    }

    pub(super) fn render(&self, page: &mut Page) {
        let name = "etcd_server_client_requests_total";
        let other = self.other.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let known = KNOWN_VERSIONS
            .iter()
            .zip(&self.known)
            .map(|(version, pair)| (*version, pair.each_ref().map(Counter::value)));
        let mut rows = Vec::new();
        for (version, pair) in known.chain(other.iter().map(|(version, pair)| (version.as_str(), *pair))) {
            for (kind, count) in [("unary", pair[0]), ("stream", pair[1])] {
                if count > 0 {
                    rows.push((format!("{},{}", label("client_api_version", version), label("type", kind)), count));
                }
            }
        }
        rows.sort();
        page.family(name, "Calls from clients, by the version they name.", Kind::Counter, |out| {
            rows.iter().for_each(|(labels, count)| text::sample(out, name, labels, *count as f64));
        });
    }
}

/// Which way a broken stream was going.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Receive,
    Send,
}

/// Which calls have streams that can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamApi {
    LeaseKeepAlive,
    Watch,
}

/// Broken streams.
#[derive(Debug)]
pub struct StreamFailures([[Counter; 2]; 2]);

impl StreamFailures {
    pub(super) fn new(slab: &Arc<Slab>) -> StreamFailures {
        let pair = || [Counter::new(slab), Counter::new(slab)];
        StreamFailures([pair(), pair()])
    }

    pub fn count(&self, api: StreamApi, direction: Direction) {
        self.0[api as usize][direction as usize].inc();
    }

    pub(super) fn render(&self, page: &mut Page) {
        let name = "etcd_network_server_stream_failures_total";
        page.family(name, "Broken streams of clients.", Kind::Counter, |out| {
            for (api, pair) in ["lease-keepalive", "watch"].into_iter().zip(&self.0) {
                for (direction, counter) in ["receive", "send"].into_iter().zip(pair) {
                    if counter.value() > 0 {
                        let labels = format!("{},{}", label("API", api), label("Type", direction));
                        text::sample(out, name, &labels, counter.value() as f64);
                    }
                }
            }
        });
    }
}

/// Results of the checks behind `/livez` and `/readyz`.
#[derive(Debug, Default)]
pub struct HealthChecks(Mutex<BTreeMap<(&'static str, &'static str), CheckResults>>);

#[derive(Clone, Copy, Debug, Default)]
struct CheckResults {
    last_ok: bool,
    /// Errors, successes.
    counts: [u64; 2],
}

impl HealthChecks {
    /// One check of `livez` or `readyz` was run.
    pub fn record(&self, endpoint: &'static str, check: &'static str, ok: bool) {
        let mut checks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let results = checks.entry((endpoint, check)).or_default();
        results.last_ok = ok;
        results.counts[usize::from(ok)] += 1;
    }

    pub(super) fn render(&self, page: &mut Page) {
        let checks = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut last = Vec::new();
        let mut counts = Vec::new();
        for ((endpoint, check), results) in checks {
            let (name, endpoint) = (label("name", check), label("type", endpoint));
            last.push((format!("{name},{endpoint}"), u64::from(results.last_ok)));
            for (status, count) in ["error", "success"].into_iter().zip(results.counts).filter(|(_, count)| *count > 0)
            {
                counts.push((format!("{name},{},{endpoint}", label("status", status)), count));
            }
        }
        let mut family = |name: &'static str, help: &str, kind, mut rows: Vec<(String, u64)>| {
            rows.sort();
            page.family(name, help, kind, |out| {
                rows.iter().for_each(|(labels, value)| text::sample(out, name, labels, *value as f64));
            });
        };
        family("etcd_server_healthcheck", "Last result of a health check.", Kind::Gauge, last);
        family("etcd_server_healthchecks_total", "Health checks run.", Kind::Counter, counts);
    }
}
