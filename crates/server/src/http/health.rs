//! `/health`: alarms, leader, a read.

use axum::body::Body;
use axum::http::{Response, StatusCode, Uri};

use super::{Read, Site, TEXT, parameters, plain_text, with_type};
use crate::logging;

/// Answers `/health`.
pub(super) async fn health(site: &Site, uri: &Uri) -> Response<Body> {
    let excluded = parameters(uri, "exclude");
    let serializable = parameters(uri, "serializable").first().is_some_and(|value| value == "true");
    match reason(site, &excluded, serializable).await {
        None => {
            site.metrics.health_success.inc();
            logging::debug("/health OK", &[("status-code", 200u32.into())]);
            with_type(StatusCode::OK, TEXT, body(true, ""))
        }
        Some(reason) => {
            site.metrics.health_failures.inc();
            let body = body(false, &reason);
            logging::warn("/health error", &[("output", (&body).into()), ("status-code", 503u32.into())]);
            plain_text(StatusCode::SERVICE_UNAVAILABLE, &body)
        }
    }
}

/// Why the member is not healthy.
async fn reason(site: &Site, excluded: &[String], serializable: bool) -> Option<String> {
    let status = &site.status;
    if let Some(alarm) = status.alarms().into_iter().find(|alarm| !excluded.iter().any(|name| name == alarm.name())) {
        logging::warn("serving /health false due to an alarm", &[("alarm", alarm.name().into())]);
        return Some(format!("ALARM {}", alarm.name()));
    }
    if !serializable && !status.has_leader() {
        logging::warn("serving /health false; no leader", &[]);
        return Some("RAFT NO LEADER".into());
    }
    let read = if serializable { Read::Serializable } else { Read::Linearizable };
    status.probe(read).await.err().map(|why| format!("RANGE ERROR:{why}"))
}

fn body(healthy: bool, reason: &str) -> String {
    let reason = reason.replace('\\', "\\\\").replace('"', "\\\"");
    format!("{{\"health\":\"{healthy}\",\"reason\":\"{reason}\"}}")
}
