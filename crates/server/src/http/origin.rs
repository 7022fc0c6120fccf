//! Who may call: origins of browsers (`--cors`) and names in the `Host` header (`--host-whitelist`).

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

use super::plain_text;
use crate::logging;

/// Origins that get CORS headers.
pub(super) struct Origins {
    /// Empty: every origin.
    only: Vec<String>,
}

impl Origins {
    pub(super) fn new(words: &[String]) -> Origins {
        let any = words.is_empty() || words.iter().any(|word| word == "*");
        Origins { only: if any { Vec::new() } else { words.to_vec() } }
    }

    /// Puts the headers on an answer.
    pub(super) fn mark(&self, response: &mut Response<Body>, origin: Option<&HeaderValue>) {
        let headers = response.headers_mut();
        if self.only.is_empty() {
            return allow(headers, HeaderValue::from_static("*"));
        }
        if let Some(origin) =
            origin.filter(|origin| self.only.iter().any(|known| known.as_bytes() == origin.as_bytes()))
        {
            allow(headers, origin.clone());
        }
    }
}

fn allow(headers: &mut HeaderMap, origin: HeaderValue) {
    let fixed: [(HeaderName, &'static str); 2] = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "POST, GET, OPTIONS, PUT, DELETE"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "accept, content-type, authorization"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
}

/// Names that plain HTTP requests may ask for.
pub(super) struct Hosts {
    /// Empty: every name.
    only: Vec<String>,
}

impl Hosts {
    pub(super) fn new(words: &[String]) -> Hosts {
        let any = words.is_empty() || words.iter().any(|word| word == "*");
        Hosts { only: if any { Vec::new() } else { words.to_vec() } }
    }

    /// The answer to a request for another name.
    pub(super) fn refuse(&self, request: &Request) -> Option<Response<Body>> {
        if self.only.is_empty() {
            return None;
        }
        let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
        let host = host.or(request.uri().host()).unwrap_or_default();
        let name = without_port(host);
        if self.only.iter().any(|known| known == name) {
            return None;
        }
        logging::warn("rejecting HTTP request to prevent DNS rebinding attacks", &[("host", name.into())]);
        let text = format!(
            "The server does not answer to the name in the Host header: {name}\n\n\
             Use TLS, or allow the name with --host-whitelist={name}"
        );
        Some(plain_text(StatusCode::MISDIRECTED_REQUEST, &text))
    }
}

/// The host without its port and brackets.
fn without_port(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    match host.rsplit_once(':') {
        Some((name, _)) if !name.contains(':') => name,
        _ => host,
    }
}
