//! Beside dnsmasq: order and patience of the resolver, members from SRV records.

use std::net::{IpAddr, UdpSocket};
use std::process::{Command, Stdio};
use std::time::Duration;

use server::config::Config;
use server::discovery::{LookupError, Names, ResolvConf, Service, initial_cluster, resolve_urls};

use crate::support::{Running, Scratch, config, free_port, left_out};

/// Three members as the walk-through of the operators has them.
const MEMBERS: &str = "srv-host=_etcd-server._tcp.hi-etcd.com,etcd1.hi-etcd.com,2380,0,100
srv-host=_etcd-server._tcp.hi-etcd.com,etcd2.hi-etcd.com,2380,0,100
srv-host=_etcd-server._tcp.hi-etcd.com,etcd3.hi-etcd.com,2380,0,100
host-record=etcd1.hi-etcd.com,127.0.1.1
host-record=etcd2.hi-etcd.com,127.0.1.2
host-record=etcd3.hi-etcd.com,127.0.1.3
";

/// dnsmasq on 127.0.0.1 with these records.
struct Dns {
    port: u16,
    _running: Running,
    _scratch: Scratch,
}

impl Dns {
    /// `None` where dnsmasq isn't installed.
    fn start(name: &str, records: &str) -> Option<Dns> {
        Dns::start_on(free_port(), name, records)
    }

    fn start_on(port: u16, name: &str, records: &str) -> Option<Dns> {
        let scratch = Scratch::new(name);
        let file = scratch.path().join("dnsmasq.conf");
        let fixed = format!(
            "port={port}\nlisten-address=127.0.0.1\nbind-interfaces\nno-resolv\nno-hosts\nlocal=/com/example/\nno-negcache\n\
             log-facility=-\nuser=root\ngroup=root\npid-file=\n"
        );
        std::fs::write(&file, fixed + records).expect("a file");
        let program =
            ["/usr/sbin/dnsmasq", "/usr/bin/dnsmasq"].into_iter().find(|path| std::fs::exists(path).is_ok_and(|is| is));
        let Some(program) = program else {
            left_out("no dnsmasq for look-ups of names (package dnsmasq-base)");
            return None;
        };
        let log = std::fs::File::create(scratch.path().join("log")).expect("a log");
        let child = Command::new(program)
            .arg("--keep-in-foreground")
            .arg(format!("--conf-file={}", file.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("dnsmasq starts");
        Some(Dns { port, _running: Running(child), _scratch: scratch })
    }

    fn names(&self, resolv_conf: &str, hosts: &str) -> Names {
        Names::new(ResolvConf::parse(resolv_conf, "m1"), hosts, self.port).expect("names")
    }

    /// A server of one address and a short patience, which has already answered once.
    async fn ready(&self) -> Names {
        let names = self.names("nameserver 127.0.0.1\noptions timeout:1", "");
        let up = resolve_urls(&names, ["http://up.example:1"]).await;
        assert_eq!(up.error, None, "dnsmasq answers");
        names
    }
}

/// Every server of these tests knows this name.
fn with_up(records: &str) -> String {
    format!("host-record=up.example,127.0.0.1\n{records}")
}

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().expect("an address")).collect()
}

fn member(name: &str, advertised: &str, more: &[&str]) -> Config {
    let (name, urls) = (format!("--name={name}"), format!("--initial-advertise-peer-urls={advertised}"));
    config(&[&[name.as_str(), urls.as_str(), "--discovery-srv=hi-etcd.com"], more].concat())
}

async fn found(config: &Config, names: &Names) -> Result<String, String> {
    let found = initial_cluster(config, names).await.map_err(|why| why.to_string())?;
    let parts = found.cluster.iter().flat_map(|(name, urls)| urls.iter().map(move |url| format!("{name}={url}")));
    Ok(parts.collect::<Vec<_>>().join(","))
}

#[tokio::test]
async fn members_come_from_srv_records() {
    let Some(dns) = Dns::start("srv", &with_up(MEMBERS)) else { return };
    let names = dns.ready().await;
    let by_name = member("etcd2", "http://etcd2.hi-etcd.com:2380", &["--initial-cluster-token=etcd-cluster-1"]);
    let cluster = "0=http://etcd1.hi-etcd.com:2380,1=http://etcd3.hi-etcd.com:2380,etcd2=http://etcd2.hi-etcd.com:2380";
    assert_eq!(found(&by_name, &names).await.unwrap(), cluster);
    assert_eq!(initial_cluster(&by_name, &names).await.unwrap().token, "etcd-cluster-1");
    // The address decides, not the name.
    let by_address = member("etcd2", "http://127.0.1.2:2380", &[]);
    assert_eq!(found(&by_address, &names).await.unwrap(), cluster);
    let stranger = member("m9", "http://127.0.1.2:2381", &[]);
    assert_eq!(
        found(&stranger, &names).await.unwrap_err(),
        "error setting up initial cluster: cannot find local etcd member \"m9\" in SRV records"
    );
    // Among them, but with one URL more than the records have.
    let more = member("etcd1", "http://127.0.1.1:2380,http://127.0.1.1:2381", &[]);
    let why = found(&more, &names).await.unwrap_err();
    assert!(why.starts_with("--initial-cluster has etcd1=http://etcd1.hi-etcd.com:2380 but missing from"), "{why}");
}

#[tokio::test]
async fn the_service_may_have_a_suffix_and_tls() {
    let records = "srv-host=_etcd-server-ssl-blue._tcp.hi-etcd.com,a.hi-etcd.com,2380\n\
                   srv-host=_etcd-server-blue._tcp.hi-etcd.com,b.hi-etcd.com,2390\n\
                   host-record=a.hi-etcd.com,127.0.1.1\nhost-record=b.hi-etcd.com,127.0.1.2\n";
    let Some(dns) = Dns::start("suffix", &with_up(records)) else { return };
    let names = dns.ready().await;
    let blue = member("m1", "https://a.hi-etcd.com:2380", &["--discovery-srv-name=blue"]);
    assert_eq!(found(&blue, &names).await.unwrap(), "0=http://b.hi-etcd.com:2390,m1=https://a.hi-etcd.com:2380");
    let plain = member("m1", "http://a.hi-etcd.com:2380", &["--discovery-srv-name=blue"]);
    let why = found(&plain, &names).await.unwrap_err();
    assert_eq!(why, "error setting up initial cluster: cannot find local etcd member \"m1\" in SRV records");
    let none = member("m1", "http://a.hi-etcd.com:2380", &[]);
    assert_eq!(
        found(&none, &names).await.unwrap_err(),
        "error setting up initial cluster: error querying DNS SRV records for _etcd-server-ssl lookup \
         _etcd-server-ssl._tcp.hi-etcd.com: no such host\nerror querying DNS SRV records for _etcd-server lookup \
         _etcd-server._tcp.hi-etcd.com: no such host"
    );
}

#[tokio::test]
async fn a_member_of_the_wrong_scheme_is_named() {
    let records =
        "srv-host=_etcd-server-ssl._tcp.hi-etcd.com,a.hi-etcd.com,2380\nhost-record=a.hi-etcd.com,127.0.1.1\n";
    let Some(dns) = Dns::start("scheme", &with_up(records)) else { return };
    let names = dns.ready().await;
    let why = found(&member("m1", "http://a.hi-etcd.com:2380", &[]), &names).await.unwrap_err();
    let first = why.lines().next().unwrap();
    assert_eq!(
        first,
        "error setting up initial cluster: error querying DNS SRV records for _etcd-server-ssl bootstrap at \
         https://a.hi-etcd.com:2380 from DNS for etcd-server-ssl has scheme mismatch with expected peer \
         http://a.hi-etcd.com:2380"
    );
}

#[tokio::test]
async fn suffixes_are_tried_in_order() {
    let records = "host-record=a.two.example,127.0.1.2\nhost-record=a.one.example,127.0.1.1\nhost-record=a.b,127.0.1.9\n\
                   srv-host=_etcd-server._tcp.hi.two.example,a.two.example,2380\n";
    let Some(dns) = Dns::start("search", &with_up(records)) else { return };
    dns.ready().await;
    // The walk-through of the operators has an address where suffixes belong.
    let names = dns.names("search 8.8.8.8 one.example two.example\nnameserver 127.0.0.1\noptions attempts:1", "");
    assert_eq!(names.addresses("a").await.unwrap(), addresses(&["127.0.1.1"]));
    assert_eq!(names.addresses("a.b").await.unwrap(), addresses(&["127.0.1.9"]), "enough dots");
    let service = Service { priority: 0, port: 2380, target: "a.two.example.".into() };
    assert_eq!(names.services("_etcd-server._tcp.hi").await.unwrap(), [service]);
    let many_dots = dns.names("search two.example\nnameserver 127.0.0.1\noptions ndots:3 attempts:1", "");
    assert_eq!(many_dots.addresses("a").await.unwrap(), addresses(&["127.0.1.2"]));
    let why = many_dots.addresses("nobody.example").await.unwrap_err();
    assert_eq!(why.to_string(), "lookup nobody.example: no such host");
    let why = many_dots.addresses("a.").await.unwrap_err();
    assert!(matches!(why, LookupError::Failed { .. }), "dnsmasq answers for no such domain: {why}");
}

#[tokio::test]
async fn a_dead_server_is_passed_over() {
    let Some(dns) = Dns::start("dead", &with_up(MEMBERS)) else { return };
    dns.ready().await;
    // One that takes questions and never answers, and one where nobody listens.
    let _silent = UdpSocket::bind(("127.0.0.2", dns.port)).unwrap();
    for servers in [["127.0.0.2", "127.0.0.1"], ["127.0.0.1", "127.0.0.2"], ["127.0.0.3", "127.0.0.1"]] {
        let text = format!("nameserver {}\nnameserver {}\noptions timeout:1 attempts:2", servers[0], servers[1]);
        let names = dns.names(&text, "");
        let own = member("etcd1", "http://127.0.1.1:2380", &[]);
        let cluster =
            "0=http://etcd2.hi-etcd.com:2380,1=http://etcd3.hi-etcd.com:2380,etcd1=http://etcd1.hi-etcd.com:2380";
        assert_eq!(found(&own, &names).await.unwrap(), cluster, "{servers:?}");
    }
    let names = dns.names("nameserver 127.0.0.2\nnameserver 127.0.0.3\noptions timeout:1 attempts:1", "");
    let why = names.addresses("etcd1.hi-etcd.com").await.unwrap_err().to_string();
    assert_eq!(why, format!("lookup etcd1.hi-etcd.com on 127.0.0.3:{}: server unreachable", dns.port));
}

#[tokio::test]
async fn the_hosts_file_comes_first() {
    let records = "srv-host=_etcd-server._tcp.hi-etcd.com,a.hi-etcd.com,2380\nhost-record=a.hi-etcd.com,127.0.9.9\n";
    let Some(dns) = Dns::start("hosts", &with_up(records)) else { return };
    dns.ready().await;
    let hosts =
        "# by hand\n127.0.1.1 A.hi-etcd.com a # here\n::1 v6.example\n127.0.1.3 both.example\n::3 both.example\n";
    let names = dns.names("nameserver 127.0.0.1\noptions timeout:1", hosts);
    assert_eq!(names.addresses("a").await.unwrap(), addresses(&["127.0.1.1"]));
    assert_eq!(names.addresses("a.hi-etcd.com.").await.unwrap(), addresses(&["127.0.1.1"]));
    assert_eq!(names.addresses("v6.example").await.unwrap(), addresses(&["::1"]));
    assert_eq!(names.addresses("both.example").await.unwrap(), addresses(&["127.0.1.3", "::3"]));
    let own = member("m1", "http://127.0.1.1:2380", &[]);
    assert_eq!(found(&own, &names).await.unwrap(), "m1=http://a.hi-etcd.com:2380");
}

/// Such an answer does not fit a datagram.
#[tokio::test]
async fn long_answers_come_over_tcp() {
    let of =
        |n| format!("srv-host=_etcd-server._tcp.hi-etcd.com,a-name-of-some-length-for-member-{n}.hi-etcd.com,{n}\n");
    let records: String = (1000..1060).map(of).collect();
    let Some(dns) = Dns::start("tcp", &with_up(&records)) else { return };
    let names = dns.ready().await;
    assert_eq!(names.services("_etcd-server._tcp.hi-etcd.com").await.unwrap().len(), 60);
}

/// Members start before their names are known everywhere: etcd tries for half a minute.
#[tokio::test]
async fn a_name_may_become_known_later() {
    let port = free_port();
    let conf = ResolvConf::parse("nameserver 127.0.0.1\noptions timeout:1 attempts:1", "m1");
    let names = Names::new(conf, "", port).unwrap();
    assert!(names.addresses("up.example").await.is_err(), "no server yet");
    let resolving = resolve_urls(&names, ["http://up.example:1"]);
    let later = async { Dns::start_on(port, "later", &with_up("")) };
    let patience = Duration::from_secs(60);
    let both = tokio::time::timeout(patience, async { tokio::join!(resolving, later) });
    let (resolved, dns) = both.await.expect("within its patience");
    if dns.is_some() {
        assert_eq!(resolved.urls["http://up.example:1"], "http://127.0.0.1:1");
    }
}
