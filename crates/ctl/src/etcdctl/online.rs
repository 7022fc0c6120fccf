//! What a command that speaks to a cluster needs: a client, a printer, the deadline of its calls.

use std::sync::Arc;
use std::time::Duration;

use client::methods;
use client::{Client, Config, MAX_RECV_BYTES, MAX_SEND_BYTES, Observer};
use proto::etcdserverpb::MemberListRequest;
use tokio::time::Instant;

use super::{env, globals};
use crate::cli::{Call, Values};
use crate::exit::{BAD_CONNECTION, Exit};
use crate::log;
use crate::print::{Format, Printer};

/// The connection of one command.
pub struct Online {
    flags: Values,
    config: Config,
    /// All endpoints, no deadline.
    pub patient: Client,
    pub printer: Printer,
}

/// Connects and does the work of a command, on a runtime of its own.
pub fn online(call: &Call, work: impl AsyncFnOnce(&Online) -> Result<(), Exit>) -> Result<(), Exit> {
    let online = Online::open(call)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Exit::error(format!("cannot start: {error}")))?;
    let outcome = runtime.block_on(work(&online));
    runtime.shutdown_background();
    outcome
}

impl Online {
    fn open(call: &Call) -> Result<Online, Exit> {
        let flags = env::apply(&call.flags, call.path[1].name == "watch")?;
        if flags.bool("debug") {
            show_settings(&flags);
        }
        let format = Format::parse(flags.text("write-out"))?;
        globals::refuse_later(&flags)?;
        let config = Config {
            endpoints: flags.list("endpoints").to_vec(),
            dial_timeout: flags.duration("dial-timeout").unwrap_or_default(),
            keepalive_time: flags.duration("keepalive-time").unwrap_or_default(),
            keepalive_timeout: flags.duration("keepalive-timeout").unwrap_or_default(),
            max_send_bytes: bytes(flags.int("max-request-bytes"), MAX_SEND_BYTES),
            max_recv_bytes: bytes(flags.int("max-recv-bytes"), MAX_RECV_BYTES),
            observer: Some(refusals("etcd-client")),
        };
        let patient = Client::new(config.clone()).map_err(|error| Exit::new(BAD_CONNECTION, error))?;
        let printer = Printer { format, hex: flags.bool("hex"), values_only: false };
        Ok(Online { flags, config, patient, printer })
    }

    /// The client whose calls end with the command's time, which begins now.
    pub fn client(&self) -> Client {
        self.patient.until(Some(self.deadline()))
    }

    /// As [`Online::client`], but only if the user gave the time as a flag.
    pub fn client_if_timed(&self, call: &Call) -> Client {
        if call.flags.changed("command-timeout") { self.client() } else { self.patient.clone() }
    }

    /// When a command that begins now has to be done.
    pub fn deadline(&self) -> Instant {
        Instant::now() + self.flags.duration("command-timeout").unwrap_or(Duration::ZERO)
    }

    /// The endpoints as given.
    pub fn endpoints(&self) -> &[String] {
        &self.config.endpoints
    }

    /// The endpoints as given, or with `--cluster` the client URLs of all members.
    pub async fn chosen_endpoints(&self, call: &Call) -> Result<Vec<String>, Exit> {
        if !call.flags.bool("cluster") {
            return Ok(self.endpoints().to_vec());
        }
        let answer = self.client().call(&methods::MEMBER_LIST, MemberListRequest { linearizable: true }).await;
        let answer = answer.map_err(|error| {
            Exit::error(format!("failed to fetch endpoints from etcd cluster member list: {error}"))
        })?;
        let mut endpoints: Vec<String> = Vec::new();
        for url in answer.members.into_iter().flat_map(|member| member.client_urls) {
            if !endpoints.contains(&url) {
                endpoints.push(url);
            }
        }
        Ok(endpoints)
    }

    /// A client of one endpoint alone, with the command's time.
    pub fn client_of(&self, endpoint: &str, logger: &'static str) -> Result<Client, Exit> {
        let config =
            Config { endpoints: vec![endpoint.to_owned()], observer: Some(refusals(logger)), ..self.config.clone() };
        let client = Client::new(config).map_err(|error| Exit::new(BAD_CONNECTION, error))?;
        Ok(client.until(Some(self.deadline())))
    }
}

/// Zero, or nonsense below it, means the default.
fn bytes(flag: i64, default: usize) -> usize {
    usize::try_from(flag).ok().filter(|bytes| *bytes > 0).unwrap_or(default)
}

fn show_settings(flags: &Values) {
    for (name, value) in flags.shown() {
        if globals::FLAGS.iter().any(|flag| flag.name == name) {
            eprintln!("{}={value}", env::variable(name));
        }
    }
}

/// Writes a line for every failed attempt.
fn refusals(logger: &'static str) -> Observer {
    Arc::new(move |refusal| {
        let fields = [
            ("target", format!("etcd-endpoints://{}", refusal.endpoint).into()),
            ("peer", refusal.endpoint.into()),
            ("method", refusal.method.into()),
            ("attempt", i64::from(refusal.attempt).into()),
            ("error", refusal.text.clone().into()),
        ];
        log::json("warn", logger, "client/client.rs", "retrying of unary invoker failed", &fields);
    })
}
