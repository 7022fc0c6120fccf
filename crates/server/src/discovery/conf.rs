//! `resolv.conf(5)`: which name servers are asked, in which order, for how long, and which suffixes are tried.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// More name servers and suffixes than these are not looked at, as in glibc.
const SERVERS_MAX: usize = 3;
const SEARCH_MAX: usize = 6;
const NDOTS_MAX: u32 = 15;

/// What a stub resolver is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvConf {
    /// In the file's order; the machine itself where the file names none.
    pub servers: Vec<IpAddr>,
    /// Suffixes, without a dot at the end.
    pub search: Vec<String>,
    /// A name with at least as many dots is first tried as it stands.
    pub ndots: usize,
    /// For one question to one server; never zero.
    pub timeout: Duration,
    /// Rounds through the servers; never zero.
    pub attempts: usize,
    /// Whether to begin each question at another server.
    pub rotate: bool,
}

impl ResolvConf {
    /// Reads the text of the file; lines that make no sense don't count. `host` is this machine's own name, whose domain is
    /// the suffix where the file has none.
    pub fn parse(text: &str, host: &str) -> ResolvConf {
        let (parsed, _nonsense) = resolv_conf::Config::parse_with_errors(text.as_bytes());
        let mut servers: Vec<IpAddr> = parsed.nameservers.iter().map(IpAddr::from).collect();
        if servers.is_empty() {
            servers = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        }
        servers.truncate(SERVERS_MAX);
        let given = parsed.get_search().is_some() || parsed.get_domain().is_some();
        let mut search: Vec<String> = parsed.get_last_search_or_domain().cloned().collect();
        if !given {
            search.extend(host.split_once('.').map(|(_, domain)| domain.to_owned()));
        }
        let mut search: Vec<String> =
            search.into_iter().map(|domain| domain.trim_end_matches('.').to_owned()).collect();
        search.retain(|domain| !domain.is_empty());
        search.truncate(SEARCH_MAX);
        ResolvConf {
            servers,
            search,
            ndots: parsed.ndots.min(NDOTS_MAX) as usize,
            timeout: Duration::from_secs(parsed.timeout.max(1).into()),
            attempts: parsed.attempts.max(1) as usize,
            rotate: parsed.rotate,
        }
    }

    /// The full names to try for `name`, in order, each without the dot at its end.
    pub fn candidates(&self, name: &str) -> Vec<String> {
        if let Some(full) = name.strip_suffix('.') {
            return vec![full.to_owned()];
        }
        let suffixed = self.search.iter().map(|domain| format!("{name}.{domain}"));
        let plain = name.to_owned();
        if name.matches('.').count() >= self.ndots {
            std::iter::once(plain).chain(suffixed).collect()
        } else {
            suffixed.chain(std::iter::once(plain)).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_file_of_an_operator() {
        let text = "# made by hand\nsearch 8.8.8.8 corp.example.\nnameserver 172.19.19.124\nnameserver fe80::1%eth0\nbogus\n\
                    options ndots:2 timeout:1 attempts:3 rotate\n";
        let conf = ResolvConf::parse(text, "m1.other.example");
        assert_eq!(conf.servers, ["172.19.19.124".parse::<IpAddr>().unwrap(), "fe80::1".parse().unwrap()]);
        assert_eq!(conf.search, ["8.8.8.8", "corp.example"]);
        assert_eq!((conf.ndots, conf.timeout, conf.attempts), (2, Duration::from_secs(1), 3));
        assert!(conf.rotate);
        assert_eq!(conf.candidates("a"), ["a.8.8.8.8", "a.corp.example", "a"]);
        assert_eq!(conf.candidates("a.b.c"), ["a.b.c", "a.b.c.8.8.8.8", "a.b.c.corp.example"]);
        assert_eq!(conf.candidates("a."), ["a"]);
    }

    #[test]
    fn an_empty_file_means_this_machine() {
        let conf = ResolvConf::parse("", "m1.corp.example");
        assert_eq!(conf.servers, [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()]);
        assert_eq!(conf.search, ["corp.example"]);
        assert_eq!((conf.ndots, conf.timeout, conf.attempts), (1, Duration::from_secs(5), 2));
        assert!(ResolvConf::parse("search .", "m1.corp.example").search.is_empty());
    }
}
