//! Calls by method: started, finished by code, messages in and out, and with `--metrics=extensive` their durations.

use std::sync::Arc;
use std::time::Duration;

use super::Page;
use super::buckets::GRPC;
use super::cells::{Counter, Histogram, Slab};
use super::methods::{CODES, Known, Method};
use super::text::{self, Kind, label};

/// The families `grpc_server_*`.
#[derive(Debug)]
pub struct Grpc {
    methods: Vec<Calls>,
}

#[derive(Debug)]
struct Calls {
    known: Known,
    started: Counter,
    received: Counter,
    sent: Counter,
    handled: Vec<Counter>,
    handling: Option<Histogram>,
}

impl Grpc {
    pub(super) fn new(slab: &Arc<Slab>, extensive: bool) -> Grpc {
        let calls = |known| Calls {
            known,
            started: Counter::new(slab),
            received: Counter::new(slab),
            sent: Counter::new(slab),
            handled: CODES.iter().map(|_| Counter::new(slab)).collect(),
            handling: extensive.then(|| Histogram::new(slab, &GRPC)),
        };
        Grpc { methods: Method::all().map(calls).collect() }
    }

    fn calls(&self, method: Method) -> &Calls {
        &self.methods[method.place()]
    }

    /// A call has come in.
    pub fn started(&self, method: Method) {
        self.calls(method).started.inc();
    }

    /// A message has come in.
    pub fn received(&self, method: Method) {
        self.calls(method).received.inc();
    }

    /// A message has gone out.
    pub fn sent(&self, method: Method) {
        self.calls(method).sent.inc();
    }

    /// A call has ended with this status code (a number above 16 counts as `Unknown`), so long after its start.
    pub fn handled(&self, method: Method, code: i32, took: Duration) {
        let calls = self.calls(method);
        let code = usize::try_from(code).ok().filter(|code| *code < CODES.len()).unwrap_or(2);
        calls.handled[code].inc();
        if let Some(handling) = &calls.handling {
            handling.observe(took);
        }
    }

    pub(super) fn render(&self, page: &mut Page) {
        let mut shown: Vec<(String, &Calls)> =
            self.methods.iter().filter(|calls| calls.is_shown()).map(|calls| (calls.labels(), calls)).collect();
        shown.sort_by(|a, b| a.0.cmp(&b.0));
        let mut counters = |name: &'static str, help: &str, counter: fn(&Calls) -> &Counter| {
            page.family(name, help, Kind::Counter, |out| {
                for (labels, calls) in &shown {
                    text::sample(out, name, labels, counter(calls).value() as f64);
                }
            });
        };
        counters("grpc_server_started_total", "Calls started on the server.", |calls| &calls.started);
        counters("grpc_server_msg_received_total", "Messages received on the server.", |calls| &calls.received);
        counters("grpc_server_msg_sent_total", "Messages sent by the server.", |calls| &calls.sent);
        let name = "grpc_server_handled_total";
        page.family(name, "Calls ended on the server, by status.", Kind::Counter, |out| {
            let by_code = |code: usize, calls: &Calls| (label("grpc_code", CODES[code]), calls.handled[code].value());
            let mut codes: Vec<usize> = (0..CODES.len()).collect();
            codes.sort_by_key(|code| CODES[*code]);
            for code in codes {
                for (labels, calls) in &shown {
                    let (code, value) = by_code(code, calls);
                    text::sample(out, name, &format!("{code},{labels}"), value as f64);
                }
            }
        });
        let name = "grpc_server_handling_seconds";
        page.family(name, "Duration of calls until their end.", Kind::Histogram, |out| {
            for (labels, calls) in &shown {
                if let Some(handling) = &calls.handling {
                    text::histogram(out, name, labels, handling);
                }
            }
        });
    }
}

impl Calls {
    fn is_shown(&self) -> bool {
        self.known.from_start || self.started.value() > 0
    }

    fn labels(&self) -> String {
        let Known { service, name, flow, .. } = self.known;
        let (method, service) = (label("grpc_method", name), label("grpc_service", service));
        format!("{method},{service},{}", label("grpc_type", flow.label()))
    }
}
