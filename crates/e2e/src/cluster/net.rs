//! A network of the tests' own: one namespace for each member, joined by veth pairs to a bridge on which the tests sit.
//! Packets between two members are cut or lost by nftables in the receiver's namespace, so the tests reach every member
//! whatever its fellows can. Needs root. All names begin with the process id, so that what a killed run left behind is
//! known and swept by the next.

use super::Failure;
use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

/// Namespaces are `quorate-PID-NUMBER`, bridges `qb-PID`, the bridge's ends of the pairs `qv-PID-NUMBER`.
const NAMESPACE: &str = "quorate-";
const BRIDGE: &str = "qb-";

/// What happens to packets from one member to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    All,
    /// Of a hundred.
    Some(u8),
}

/// Removed when dropped.
#[derive(Debug)]
pub struct Network {
    pid: u32,
    size: usize,
    /// What is lost at each receiver: sender to how much.
    lost: Vec<BTreeMap<usize, Loss>>,
}

impl Network {
    /// Namespaces for members 0 to `size - 1`.
    pub fn new(size: usize) -> Result<Network, Failure> {
        sweep()?;
        let mut network = Network { pid: std::process::id(), size: 0, lost: vec![BTreeMap::new(); size] };
        let bridge = network.bridge();
        ip(&["link", "add", &bridge, "type", "bridge"])?;
        ip(&["address", "add", &format!("{}/24", network.tests()), "dev", &bridge])?;
        ip(&["link", "set", &bridge, "up"])?;
        for member in 0..size {
            network.add(member)?;
        }
        Ok(network)
    }

    fn add(&mut self, member: usize) -> Result<(), Failure> {
        let (space, end) = (self.namespace(member), self.end(member));
        ip(&["netns", "add", &space])?;
        self.size = member + 1;
        ip(&["link", "add", &end, "type", "veth", "peer", "name", "eth0", "netns", &space])?;
        ip(&["link", "set", &end, "master", &self.bridge(), "up"])?;
        ip(&["-n", &space, "address", "add", &format!("{}/24", self.address(member)), "dev", "eth0"])?;
        ip(&["-n", &space, "link", "set", "eth0", "up"])?;
        ip(&["-n", &space, "link", "set", "lo", "up"])
    }

    fn bridge(&self) -> String {
        format!("{BRIDGE}{}", self.pid)
    }

    /// The bridge's end of a member's pair.
    fn end(&self, member: usize) -> String {
        format!("qv-{}-{member}", self.pid)
    }

    pub fn namespace(&self, member: usize) -> String {
        format!("{NAMESPACE}{}-{member}", self.pid)
    }

    /// The address of a member.
    pub fn address(&self, member: usize) -> String {
        format!("{}.{}", self.subnet(), member + 1)
    }

    /// The address of the tests on the bridge.
    fn tests(&self) -> String {
        format!("{}.254", self.subnet())
    }

    fn subnet(&self) -> String {
        format!("10.{}.{}", 100 + self.pid / 250 % 100, self.pid % 250)
    }

    /// Loses packets from one member to another from now on; the change is made by [`Network::apply`].
    pub fn lose(&mut self, from: usize, to: usize, loss: Loss) {
        if from != to {
            self.lost[to].insert(from, loss);
        }
    }

    /// Cuts every connection between a member of `side` and one outside of it.
    pub fn split(&mut self, side: &[usize]) {
        for inside in side {
            for outside in (0..self.size).filter(|member| !side.contains(member)) {
                self.lose(*inside, outside, Loss::All);
                self.lose(outside, *inside, Loss::All);
            }
        }
    }

    /// Ends all loss.
    pub fn heal(&mut self) -> Result<(), Failure> {
        self.lost.iter_mut().for_each(BTreeMap::clear);
        self.apply()
    }

    /// Makes the kernel do what was asked for.
    pub fn apply(&self) -> Result<(), Failure> {
        for (member, lost) in self.lost.iter().enumerate() {
            let mut rules = String::from("table ip quorate\ndelete table ip quorate\ntable ip quorate {\nchain in {\n");
            rules.push_str("type filter hook input priority 0; policy accept;\n");
            for (from, loss) in lost {
                let random = match loss {
                    Loss::All => String::new(),
                    Loss::Some(percent) => format!("numgen random mod 100 < {percent} "),
                };
                rules.push_str(&format!("ip saddr {} {random}drop\n", self.address(*from)));
            }
            rules.push_str("}\n}\n");
            nft(&self.namespace(member), &rules)?;
        }
        Ok(())
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for member in 0..self.size {
            // With the namespace alone the pair would go as well, but only some time later.
            report(ip(&["link", "delete", &self.end(member)]));
            report(ip(&["netns", "delete", &self.namespace(member)]));
        }
        report(ip(&["link", "delete", &self.bridge()]));
    }
}

fn report(done: Result<(), Failure>) {
    if let Err(failure) = done {
        eprintln!("the network is not wholly removed: {failure}");
    }
}

/// Removes the networks of runs that are no more.
fn sweep() -> Result<(), Failure> {
    let output = Command::new("ip").args(["netns", "list"]).output()?;
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Some(name) = line.split_whitespace().next() else { continue };
        let Some(pid) = name.strip_prefix(NAMESPACE).and_then(|rest| rest.split('-').next()) else { continue };
        if super::alive(pid) {
            continue;
        }
        ip(&["netns", "delete", name])?;
        // Only the first of its namespaces finds the bridge.
        let _gone = Command::new("ip").args(["link", "delete", &format!("{BRIDGE}{pid}")]).output()?;
    }
    Ok(())
}

fn ip(words: &[&str]) -> Result<(), Failure> {
    let output = Command::new("ip").args(words).stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("ip {}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr).trim()).into())
}

fn nft(namespace: &str, rules: &str) -> Result<(), Failure> {
    let mut child = Command::new("nsenter")
        .args([&format!("--net=/run/netns/{namespace}"), "nft", "-f", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(rules.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("nft: {}", String::from_utf8_lossy(&output.stderr).trim()).into())
}
