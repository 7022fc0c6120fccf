//! A stub resolver: the hosts file, then the name servers of `resolv.conf`, for addresses and services.
//!
//! Order and patience are ours, as `resolv.conf(5)` has them: full name by full name, round by round, server by server. That a
//! name does not exist is an answer and ends the rounds for it; silence and failures move on to the next server. A server
//! that kept silent is asked last from then on, so that a dead one costs its timeout once. The exchange itself (UDP, TCP where
//! an answer is too long, messages) is `hickory-resolver`'s.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use hickory_resolver::{Hosts, Resolver};

use super::conf::ResolvConf;
use super::connected::Connected;

/// The port of name servers.
const DNS_PORT: u16 = 53;
const RESOLV_CONF: &str = "/etc/resolv.conf";
const HOSTS: &str = "/etc/hosts";
/// How long a name that cannot be resolved is tried again, where all members must agree on it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Looks up names. To be used on one runtime.
pub struct Names {
    hosts: Hosts,
    conf: ResolvConf,
    servers: Vec<Server>,
    /// Questions so far, for `rotate`.
    asked: AtomicUsize,
    patience: Duration,
}

struct Server {
    address: SocketAddr,
    resolver: Resolver<Connected>,
    silent: AtomicBool,
}

/// One record of a service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Service {
    pub priority: u16,
    pub port: u16,
    /// The full name, with the dot at its end.
    pub target: String,
}

/// Why a name led nowhere, in Go's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookupError {
    /// There is no such name, or it has no record of the kind.
    NoSuchHost { name: String },
    /// No server gave an answer; the last one that was asked.
    Failed { name: String, server: String, why: String },
    /// The name or the port cannot be one.
    Invalid(String),
}

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LookupError::NoSuchHost { name } => write!(f, "lookup {name}: no such host"),
            LookupError::Failed { name, server, why } => write!(f, "lookup {name} on {server}: {why}"),
            LookupError::Invalid(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for LookupError {}

/// What the servers said of one full name.
enum Answer {
    Records(Vec<Record>),
    Nothing,
    Failed { server: String, why: String },
}

impl Names {
    /// As this machine is set up. Files that cannot be read count as empty.
    pub fn system() -> Result<Names, LookupError> {
        let read = |path: &str| std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let host = read("/proc/sys/kernel/hostname").unwrap_or_default();
        let conf = ResolvConf::parse(&read(RESOLV_CONF).unwrap_or_default(), host.trim());
        Names::new(conf, &read(HOSTS).unwrap_or_default(), DNS_PORT)
    }

    /// From the contents of the two files; all servers are asked on `port`.
    pub fn new(conf: ResolvConf, hosts_text: &str, port: u16) -> Result<Names, LookupError> {
        let mut hosts = Hosts::default();
        let read = hosts.read_hosts_conf(hosts_text.as_bytes());
        read.map_err(|e| LookupError::Invalid(format!("cannot read the hosts file: {e}")))?;
        let servers = conf.servers.iter().map(|ip| Server::new(*ip, port, conf.timeout)).collect::<Result<_, _>>()?;
        Ok(Names { hosts, conf, servers, asked: AtomicUsize::new(0), patience: PATIENCE })
    }

    /// The same with another patience than the half minute of etcd.
    #[doc(hidden)]
    pub fn with_patience(self, patience: Duration) -> Names {
        Names { patience, ..self }
    }

    /// How long a name that cannot be resolved is tried again before URLs are compared.
    pub fn patience(&self) -> Duration {
        self.patience
    }

    /// The addresses of a host, in a fixed order, IPv4 first; never empty.
    pub async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, LookupError> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![address]);
        }
        if let Some(known) = self.hosts_entry(host) {
            return Ok(known);
        }
        self.search(host, &[RecordType::A, RecordType::AAAA], |records| {
            let found: BTreeSet<IpAddr> = records.iter().filter_map(|record| record.data.ip_addr()).collect();
            found.into_iter().collect()
        })
        .await
    }

    /// The records of a service such as `_etcd-server._tcp.example.com`, in a fixed order, by priority; never empty.
    pub async fn services(&self, name: &str) -> Result<Vec<Service>, LookupError> {
        self.search(name, &[RecordType::SRV], |records| {
            let found: BTreeSet<Service> = records.iter().filter_map(service).collect();
            found.into_iter().collect()
        })
        .await
    }

    /// What the hosts file says of a name; with it, no server is asked.
    fn hosts_entry(&self, host: &str) -> Option<Vec<IpAddr>> {
        let name = Name::from_ascii(host.to_ascii_lowercase()).ok()?;
        let kinds = [RecordType::A, RecordType::AAAA];
        let lookups =
            kinds.into_iter().filter_map(|kind| self.hosts.lookup_static_host(&Query::query(name.clone(), kind)));
        let found: Vec<IpAddr> = lookups
            .flat_map(|lookup| lookup.answers().iter().filter_map(|r| r.data.ip_addr()).collect::<Vec<_>>())
            .collect();
        (!found.is_empty()).then_some(found)
    }

    /// Tries the full names of `name` until one has what is sought.
    async fn search<T>(
        &self,
        name: &str,
        kinds: &[RecordType],
        pick: impl Fn(&[Record]) -> Vec<T>,
    ) -> Result<Vec<T>, LookupError> {
        let mut failed = None;
        for candidate in self.conf.candidates(name) {
            let invalid = |e| LookupError::Invalid(format!("lookup {name}: {e}"));
            let full = Name::from_ascii(format!("{candidate}.")).map_err(invalid)?;
            let answers = futures_util::future::join_all(kinds.iter().map(|kind| self.ask(&full, *kind))).await;
            let mut records = Vec::new();
            for answer in answers {
                match answer {
                    Answer::Records(mut some) => records.append(&mut some),
                    Answer::Nothing => {}
                    Answer::Failed { server, why } => {
                        failed = failed.or(Some(LookupError::Failed { name: name.to_owned(), server, why }));
                    }
                }
            }
            let found = pick(&records);
            if !found.is_empty() {
                return Ok(found);
            }
        }
        Err(failed.unwrap_or_else(|| LookupError::NoSuchHost { name: name.to_owned() }))
    }

    async fn ask(&self, name: &Name, kind: RecordType) -> Answer {
        let mut failed = Answer::Nothing;
        for _round in 0..self.conf.attempts {
            for server in self.order() {
                match server.resolver.lookup(name.clone(), kind).await {
                    Ok(lookup) => {
                        server.silent.store(false, Ordering::Relaxed);
                        return Answer::Records(lookup.answers().to_vec());
                    }
                    Err(NetError::Dns(DnsError::NoRecordsFound(_))) => {
                        server.silent.store(false, Ordering::Relaxed);
                        return Answer::Nothing;
                    }
                    Err(error) => {
                        server.silent.store(!matches!(error, NetError::Dns(_)), Ordering::Relaxed);
                        failed = Answer::Failed { server: server.address.to_string(), why: reason(&error) };
                    }
                }
            }
        }
        failed
    }

    /// The servers in the order in which the next question goes to them.
    fn order(&self) -> Vec<&Server> {
        let first = if self.conf.rotate { self.asked.fetch_add(1, Ordering::Relaxed) % self.servers.len() } else { 0 };
        let mut servers: Vec<&Server> = self.servers[first..].iter().chain(&self.servers[..first]).collect();
        servers.sort_by_key(|server| server.silent.load(Ordering::Relaxed));
        servers
    }
}

impl Server {
    fn new(ip: IpAddr, port: u16, timeout: Duration) -> Result<Server, LookupError> {
        let mut server = NameServerConfig::udp_and_tcp(ip);
        server.connections.iter_mut().for_each(|connection| connection.port = port);
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
        let mut builder = Resolver::builder_with_config(config, Connected::default());
        let options = builder.options_mut();
        options.timeout = timeout;
        options.attempts = 0;
        // What failed is asked anew a second later.
        options.cache_size = 0;
        options.positive_max_ttl = Some(Duration::ZERO);
        options.negative_max_ttl = Some(Duration::ZERO);
        options.use_hosts_file = ResolveHosts::Never;
        options.num_concurrent_reqs = 1;
        let resolver = builder.build().map_err(|e| LookupError::Invalid(format!("cannot set up a resolver: {e}")))?;
        Ok(Server { address: SocketAddr::new(ip, port), resolver, silent: AtomicBool::new(false) })
    }
}

fn service(record: &Record) -> Option<Service> {
    match &record.data {
        RData::SRV(srv) => Some(Service { priority: srv.priority, port: srv.port, target: srv.target.to_ascii() }),
        _ => None,
    }
}

/// Go's words for what kept a server from answering.
fn reason(error: &NetError) -> String {
    match error {
        NetError::Timeout => "i/o timeout".into(),
        NetError::Dns(_) => "server misbehaving".into(),
        // The library keeps no reason where its one server could not be reached.
        NetError::NoConnections => "server unreachable".into(),
        other => other.to_string(),
    }
}
