//! Requests through the routers, without a socket.

use super::*;
use crate::config::{Loaded, LogConfig, Source};
use http_body_util::BodyExt;
use std::sync::Mutex;
use tower::ServiceExt;

struct Fake {
    leader: bool,
    learner: bool,
    alarms: Vec<Alarm>,
    read: Result<(), String>,
    reads: Mutex<Vec<Read>>,
}

impl Default for Fake {
    fn default() -> Self {
        Fake { leader: true, learner: false, alarms: Vec::new(), read: Ok(()), reads: Mutex::default() }
    }
}

impl Status for Fake {
    fn has_leader(&self) -> bool {
        self.leader
    }

    fn alarms(&self) -> Vec<Alarm> {
        self.alarms.clone()
    }

    fn is_learner(&self) -> bool {
        self.learner
    }

    fn probe(&self, read: Read) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + '_>> {
        self.reads.lock().unwrap().push(read);
        Box::pin(async { self.read.clone() })
    }

    fn versions(&self) -> Versions {
        Versions { server: "3.7.1".into(), cluster: Some("3.7.0".into()), storage: None, shows_storage: true }
    }

    fn metrics_page(&self) -> String {
        "page\n".into()
    }
}

struct Nowhere;

impl Source for Nowhere {
    fn read(&mut self, _: &str) -> std::io::Result<String> {
        Err(std::io::ErrorKind::NotFound.into())
    }

    fn open_log(&mut self, _: &LogConfig) -> Result<(), String> {
        Ok(())
    }
}

fn config(words: &[&str]) -> Config {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    match crate::config::load(&words, &[], &mut Nowhere).1 {
        Ok(Loaded::Run(config, _)) => *config,
        other => panic!("{other:?}"),
    }
}

/// Status, headers and body of one request to a router.
fn ask(router: Router, method: &str, path: &str, headers: &[(&str, &str)]) -> (u16, HeaderValues, String) {
    let mut request = axum::http::Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::empty()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let response = router.oneshot(request).await.unwrap();
        let headers = HeaderValues(response.headers().clone());
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, headers, String::from_utf8(body.to_vec()).unwrap())
    })
}

struct HeaderValues(axum::http::HeaderMap);

impl HeaderValues {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.to_str().unwrap())
    }
}

fn client(fake: Fake) -> Router {
    client_router(Arc::new(fake), Arc::new(Metrics::new(false)), &config(&[]))
}

fn get(fake: Fake, path: &str) -> (u16, String) {
    let (status, _, body) = ask(client(fake), "GET", path, &[]);
    (status, body)
}

#[test]
fn health_says_why() {
    let (status, headers, body) = ask(client(Fake::default()), "GET", "/health", &[]);
    assert_eq!((status, body.as_str()), (200, "{\"health\":\"true\",\"reason\":\"\"}"));
    assert_eq!(headers.get("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(headers.get("access-control-allow-origin"), Some("*"));
    let unhealthy = |fake: Fake| get(fake, "/health");
    let no_space = || Fake { alarms: vec![Alarm::NoSpace], ..Fake::default() };
    let expected = (503, "{\"health\":\"false\",\"reason\":\"ALARM NOSPACE\"}\n".to_owned());
    assert_eq!(unhealthy(no_space()), expected);
    assert_eq!(get(no_space(), "/health?exclude=nospace"), expected, "names are in upper case");
    assert_eq!(get(no_space(), "/health?exclude=NOSPACE").0, 200);
    let expected = "{\"health\":\"false\",\"reason\":\"RAFT NO LEADER\"}\n".to_owned();
    assert_eq!(unhealthy(Fake { leader: false, ..Fake::default() }), (503, expected));
    assert_eq!(get(Fake { leader: false, ..Fake::default() }, "/health?serializable=true").0, 200);
    let failing = Fake { read: Err("etcdserver: request timed out".into()), ..Fake::default() };
    let expected = "{\"health\":\"false\",\"reason\":\"RANGE ERROR:etcdserver: request timed out\"}\n".to_owned();
    assert_eq!(unhealthy(failing), (503, expected));
}

#[test]
fn health_reads_as_asked() {
    for (path, read) in [
        ("/health", Read::Linearizable),
        ("/health?serializable=true", Read::Serializable),
        ("/health?serializable=1", Read::Linearizable),
    ] {
        let fake = Arc::new(Fake::default());
        ask(client_router(fake.clone(), Arc::new(Metrics::new(false)), &config(&[])), "GET", path, &[]);
        assert_eq!(*fake.reads.lock().unwrap(), [read], "{path}");
    }
}

#[test]
fn health_is_counted() {
    let metrics = Arc::new(Metrics::new(false));
    let router = |fake: Fake| client_router(Arc::new(fake), metrics.clone(), &config(&[]));
    ask(router(Fake::default()), "GET", "/health", &[]);
    ask(router(Fake { leader: false, ..Fake::default() }), "GET", "/health", &[]);
    ask(router(Fake::default()), "GET", "/livez", &[]);
    assert_eq!((metrics.health_success.value(), metrics.health_failures.value()), (1, 1));
}

#[test]
fn checks_together_and_alone() {
    assert_eq!(get(Fake::default(), "/livez"), (200, "ok\n".into()));
    assert_eq!(get(Fake::default(), "/livez?verbose"), (200, "[+]serializable_read ok\nok\n".into()));
    let all = "[+]data_corruption ok\n[+]serializable_read ok\n[+]linearizable_read ok\n[+]non_learner ok\nok\n";
    assert_eq!(get(Fake::default(), "/readyz?verbose=x"), (200, all.into()));
    let bad = || Fake { alarms: vec![Alarm::Corrupt], learner: true, ..Fake::default() };
    let report = "[-]data_corruption failed: alarm activated: CORRUPT\n[+]serializable_read ok\n[+]linearizable_read ok\n\
                  [-]non_learner failed: not supported for learner\n\n";
    assert_eq!(get(bad(), "/readyz"), (503, report.into()));
    assert_eq!(get(bad(), "/readyz?exclude=data_corruption&exclude=non_learner&exclude=nope"), (200, "ok\n".into()));
    assert_eq!(get(bad(), "/livez").0, 200, "an alarm does not stop life");
    assert_eq!(get(bad(), "/readyz/non_learner").1, "[-]non_learner failed: not supported for learner\n\n");
    assert_eq!(get(bad(), "/readyz/serializable_read"), (200, "ok\n".into()));
    assert_eq!(get(bad(), "/livez/non_learner").0, 404);
    assert_eq!(get(bad(), "/readyz/").0, 404);
}

#[test]
fn other_methods_and_paths() {
    for method in ["POST", "HEAD", "PUT", "DELETE"] {
        for path in ["/health", "/livez", "/readyz/non_learner", "/version"] {
            let (status, headers, body) = ask(client(Fake::default()), method, path, &[]);
            let text = if method == "HEAD" { "" } else { "Method Not Allowed\n" };
            assert_eq!((status, body.as_str(), headers.get("allow")), (405, text, Some("GET")));
        }
        assert_eq!(ask(client(Fake::default()), method, "/metrics", &[]).0, 200, "any method");
    }
    for path in ["/nope", "/", "/health/", "/v3/kv/range", "/members"] {
        let (status, headers, body) = ask(client(Fake::default()), "GET", path, &[]);
        assert_eq!((status, body.as_str()), (404, "404 page not found\n"), "{path}");
        assert_eq!(headers.get("x-content-type-options"), Some("nosniff"));
    }
    let (status, _, body) = ask(client(Fake::default()), "OPTIONS", "/anything", &[]);
    assert_eq!((status, body.as_str()), (200, ""));
}

#[test]
fn version_and_metrics() {
    let (status, headers, body) = ask(client(Fake::default()), "GET", "/version", &[]);
    assert_eq!((status, headers.get("content-type")), (200, Some("application/json")));
    assert_eq!(body, "{\"etcdserver\":\"3.7.1\",\"etcdcluster\":\"3.7.0\",\"storage\":\"unknown\"}");
    let (_, headers, body) = ask(client(Fake::default()), "GET", "/metrics", &[]);
    assert_eq!(headers.get("content-type"), Some("text/plain; version=0.0.4; charset=utf-8; escaping=underscores"));
    assert_eq!(body, "page\n");
}

#[test]
fn other_listeners_serve_their_share() {
    let metrics = Arc::new(Metrics::new(false));
    let share = |router: fn(Arc<dyn Status>, Arc<Metrics>) -> Router, method: &str, path: &str| {
        let (status, headers, _) = ask(router(Arc::new(Fake::default()), metrics.clone()), method, path, &[]);
        assert_eq!(headers.get("access-control-allow-origin"), None);
        status
    };
    for (path, on_metrics) in [("/health", 200), ("/livez", 200), ("/metrics", 200), ("/version", 404), ("/x", 404)] {
        assert_eq!(share(metrics_router, "GET", path), on_metrics, "{path}");
    }
    assert_eq!(share(metrics_router, "OPTIONS", "/health"), 405);
}

#[test]
fn origins_and_hosts() {
    let router = || {
        let config = config(&["--cors=http://a.example:80", "--host-whitelist=localhost,10.0.0.1"]);
        client_router(Arc::new(Fake::default()), Arc::new(Metrics::new(false)), &config)
    };
    let origin = |value: &str, host: &str| ask(router(), "GET", "/version", &[("origin", value), ("host", host)]);
    let (status, headers, _) = origin("http://a.example:80", "localhost:2379");
    assert_eq!((status, headers.get("access-control-allow-origin")), (200, Some("http://a.example:80")));
    assert_eq!(headers.get("access-control-allow-methods"), Some("POST, GET, OPTIONS, PUT, DELETE"));
    let (status, headers, _) = origin("http://b.example:80", "10.0.0.1");
    assert_eq!((status, headers.get("access-control-allow-origin")), (200, None));
    let (status, _, body) = origin("http://a.example:80", "evil.example:2379");
    assert_eq!(status, 421);
    assert!(body.contains("--host-whitelist") && body.contains("evil.example"), "{body}");
    assert_eq!(ask(router(), "OPTIONS", "/", &[("host", "evil.example")]).0, 421);
}
