//! `/livez` and `/readyz`: named checks, together or one by one.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, Uri, header};

use super::{Alarm, Read, Site, TEXT, parameters, plain_text, with_type};
use crate::logging;

/// One check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Check {
    DataCorruption,
    SerializableRead,
    LinearizableRead,
    NonLearner,
}

impl Check {
    fn name(self) -> &'static str {
        match self {
            Check::DataCorruption => "data_corruption",
            Check::SerializableRead => "serializable_read",
            Check::LinearizableRead => "linearizable_read",
            Check::NonLearner => "non_learner",
        }
    }
}

/// The endpoints and their checks.
const ENDPOINTS: [(&str, &[Check]); 2] = [
    ("livez", &[Check::SerializableRead]),
    ("readyz", &[Check::DataCorruption, Check::SerializableRead, Check::LinearizableRead, Check::NonLearner]),
];

/// What a path asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    endpoint: &'static str,
    checks: &'static [Check],
    /// Whether the path names one check.
    single: bool,
}

/// Finds `/livez`, `/readyz` and the paths of their checks.
pub(super) fn find(path: &str) -> Option<Wanted> {
    let path = path.strip_prefix('/')?;
    let (endpoint, check) = path.split_once('/').map_or((path, None), |(endpoint, check)| (endpoint, Some(check)));
    let (endpoint, checks) = ENDPOINTS.into_iter().find(|(name, _)| *name == endpoint)?;
    match check {
        None => Some(Wanted { endpoint, checks, single: false }),
        Some(name) => {
            let at = checks.iter().position(|check| check.name() == name)?;
            Some(Wanted { endpoint, checks: &checks[at..=at], single: true })
        }
    }
}

/// Runs the checks and reports.
pub(super) async fn run(site: &Site, wanted: Wanted, uri: &Uri) -> Response<Body> {
    let excluded = if wanted.single { Vec::new() } else { parameters(uri, "exclude") };
    warn_unknown(&excluded, wanted.checks);
    let mut report = String::new();
    let mut failures = Vec::new();
    for check in wanted.checks.iter().filter(|check| !excluded.iter().any(|name| name == check.name())) {
        let outcome = one(site, *check).await;
        site.metrics.health_checks.record(wanted.endpoint, check.name(), outcome.is_ok());
        match outcome {
            Ok(()) => report.push_str(&format!("[+]{} ok\n", check.name())),
            Err(why) => {
                report.push_str(&format!("[-]{} failed: {why}\n", check.name()));
                failures.push(format!("[-]{} failed: {why}", check.name()));
            }
        }
    }
    if failures.is_empty() {
        let verbose = !parameters(uri, "verbose").is_empty();
        let mut response = with_type(StatusCode::OK, TEXT, if verbose { report + "ok\n" } else { "ok\n".into() });
        response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        return response;
    }
    let fields = [("path", uri.path().into()), ("reason", failures.join("\n").into()), ("status-code", 503u32.into())];
    logging::error("Health check error", &fields);
    plain_text(StatusCode::SERVICE_UNAVAILABLE, &report)
}

fn warn_unknown(excluded: &[String], checks: &[Check]) {
    let unknown = |name: &&String| !name.is_empty() && !checks.iter().any(|check| check.name() == name.as_str());
    let missing: Vec<String> = excluded.iter().filter(unknown).cloned().collect();
    if !missing.is_empty() {
        logging::warn("some health checks cannot be excluded", &[("missing-health-checks", missing.join(", ").into())]);
    }
}

async fn one(site: &Site, check: Check) -> Result<(), String> {
    let status = &site.status;
    match check {
        Check::DataCorruption if status.alarms().contains(&Alarm::Corrupt) => Err("alarm activated: CORRUPT".into()),
        Check::DataCorruption => Ok(()),
        Check::SerializableRead => status.probe(Read::Serializable).await,
        Check::LinearizableRead => status.probe(Read::Linearizable).await,
        Check::NonLearner if status.is_learner() => Err("not supported for learner".into()),
        Check::NonLearner => Ok(()),
    }
}
