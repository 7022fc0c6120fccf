//! `interchange --ours DIR --reference VERSION=DIR... [--bbolt BINARY] [--port N]`: one data directory under etcd and under us
//! in turn, both ways, and snapshots of each restored by the other. A DIR holds `etcd`, `etcdctl` and perhaps `etcdutl`. VERSION
//! is the release for `--compat-version`, such as 3.5.

use e2e::process::{Plan, Scratch, Server};
use e2e::workload::{self, Picture};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

type Failure = Box<dyn std::error::Error>;

const STEPS: usize = 600;

/// One family of binaries.
struct Side {
    name: String,
    folder: PathBuf,
    /// Flags for every start.
    flags: Vec<String>,
}

struct Arguments {
    ours: PathBuf,
    references: Vec<(String, PathBuf)>,
    bbolt: Option<PathBuf>,
    port: u16,
}

fn arguments() -> Result<Arguments, Failure> {
    let mut parsed = Arguments { ours: PathBuf::new(), references: vec![], bbolt: None, port: 22_500 };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        match word.as_str() {
            "--ours" => parsed.ours = value.into(),
            "--reference" => {
                let (version, folder) = value.split_once('=').ok_or("--reference wants VERSION=DIR")?;
                parsed.references.push((version.to_owned(), folder.into()));
            }
            "--bbolt" => parsed.bbolt = Some(value.into()),
            "--port" => parsed.port = value.parse()?,
            _ => return Err(format!("unknown argument {word}").into()),
        }
    }
    Ok(parsed)
}

/// Runs all turns for one reference.
struct Turns<'a> {
    scratch: &'a Path,
    ours: Side,
    reference: Side,
    bbolt: Option<&'a Path>,
    port: u16,
    seed: u64,
    passed: usize,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Failure> {
    let arguments = arguments()?;
    let scratch = Scratch::new("interchange")?;
    let mut passed = 0;
    for (version, folder) in &arguments.references {
        let mut turns = Turns {
            scratch: scratch.path(),
            ours: Side {
                name: "ours".into(),
                folder: arguments.ours.clone(),
                flags: vec!["--compat-version".into(), version.clone(), "--snapshot-count".into(), "200".into()],
            },
            reference: Side {
                name: version.clone(),
                folder: folder.clone(),
                flags: vec!["--enable-v2=true".into(), "--snapshot-count".into(), "200".into()],
            },
            bbolt: arguments.bbolt.as_deref(),
            port: arguments.port,
            seed: 1,
            passed: 0,
        };
        turns.all().await?;
        passed += turns.passed;
    }
    println!("interchange: {passed} passed, 0 failed");
    Ok(ExitCode::SUCCESS)
}

impl Turns<'_> {
    async fn all(&mut self) -> Result<(), Failure> {
        let theirs = self.data("from-reference");
        self.alternate(&theirs, [false, true, false, true, true, false], true).await?;
        let own = self.data("from-ours");
        self.alternate(&own, [true, false, true, true, false, false], false).await?;
        self.snapshots().await
    }

    fn data(&self, name: &str) -> PathBuf {
        self.scratch.join(format!("{name}-{}", self.reference.name.replace('.', "-")))
    }

    fn side(&self, ours: bool) -> &Side {
        if ours { &self.ours } else { &self.reference }
    }

    fn plan(&self, ours: bool, data: &Path) -> Plan {
        let side = self.side(ours);
        Plan::new(side.folder.join("etcd"), data, self.port).with(side.flags.clone())
    }

    fn pass(&mut self, what: String) {
        self.passed += 1;
        println!("ok: {what}");
    }

    /// Starts the sides in turn on one directory; each must show what the last one left, and adds to it.
    async fn alternate(&mut self, data: &Path, turns: [bool; 6], v2: bool) -> Result<(), Failure> {
        let mut left: Option<Picture> = None;
        let mut users_added = false;
        for (turn, ours) in turns.into_iter().enumerate() {
            let server = self.plan(ours, data).start().await?;
            let channel = workload::connect(server.plan().url()).await?;
            let name =
                format!("turn {turn} of {}: {} on {}", self.reference.name, self.side(ours).name, data.display());
            if let Some(left) = &left {
                same(left, &workload::picture(&channel).await?, &name)?;
            }
            if !ours && v2 {
                self.v2_keys(turn, &server)?;
            }
            if !ours {
                if !users_added {
                    workload::add_users(&channel).await?;
                    users_added = true;
                }
                let users = workload::users(&channel).await?;
                if !users.contains("reader") || !users.contains("key/") {
                    return Err(format!("{name}: users are {users}").into());
                }
            }
            self.seed += 1;
            workload::work(&channel, self.seed, STEPS).await?;
            left = Some(workload::picture(&channel).await?);
            // Every second end is a crash: the next one starts from the log.
            if turn % 2 == 0 {
                server.stop()?
            } else {
                server.kill()?
            }
            self.check_file(data)?;
            self.pass(name);
        }
        Ok(())
    }

    /// Keys of the v2 API, which must outlive our turns.
    fn v2_keys(&self, turn: usize, server: &Server) -> Result<(), Failure> {
        let url = format!("{}/v2/keys/v2-key", server.plan().url());
        if turn > 0 {
            let got = Command::new("curl").args(["-sS", &url]).output()?;
            let text = String::from_utf8_lossy(&got.stdout).into_owned();
            if !text.contains("\"value\":\"kept\"") {
                return Err(format!("the v2 key is {text}").into());
            }
        }
        let put = Command::new("curl").args(["-sS", "-XPUT", &url, "-dvalue=kept"]).output()?;
        if put.status.success() { Ok(()) } else { Err("no v2 key could be put".into()) }
    }

    fn check_file(&self, data: &Path) -> Result<(), Failure> {
        let Some(bbolt) = self.bbolt else { return Ok(()) };
        let output = Command::new(bbolt).arg("check").arg(data.join("member/snap/db")).output()?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!("bbolt check: {}", String::from_utf8_lossy(&output.stdout)).into())
    }

    /// A snapshot saved from each side is restored by the other and by itself, and started by both.
    async fn snapshots(&mut self) -> Result<(), Failure> {
        for from_ours in [false, true] {
            let data = self.data(if from_ours { "snap-ours" } else { "snap-reference" });
            let server = self.plan(from_ours, &data).start().await?;
            let channel = workload::connect(server.plan().url()).await?;
            self.seed += 1;
            workload::work(&channel, self.seed, STEPS).await?;
            let left = workload::picture(&channel).await?;
            let file = data.with_extension("snapshot");
            workload::save_snapshot(&channel, &file).await?;
            server.stop()?;
            for restored_by_ours in [false, true] {
                let target = data.with_extension(format!("restored-{restored_by_ours}"));
                self.restore(restored_by_ours, &file, &target)?;
                for ours in [restored_by_ours, !restored_by_ours] {
                    let name = format!(
                        "snapshot of {} restored by {} started by {}",
                        self.side(from_ours).name,
                        self.side(restored_by_ours).name,
                        self.side(ours).name
                    );
                    let server = self.plan(ours, &target).start().await?;
                    let channel = workload::connect(server.plan().url()).await?;
                    same(&left, &workload::picture(&channel).await?, &name)?;
                    server.stop()?;
                    self.check_file(&target)?;
                    self.pass(name);
                }
            }
        }
        Ok(())
    }

    fn restore(&self, ours: bool, file: &Path, target: &Path) -> Result<(), Failure> {
        let folder = &self.side(ours).folder;
        let utl = folder.join("etcdutl");
        let tool = if utl.exists() { utl } else { folder.join("etcdctl") };
        let peer = format!("http://127.0.0.1:{}", self.port + 1);
        let output = Command::new(tool)
            .env("ETCDCTL_API", "3")
            .args(["snapshot", "restore"])
            .arg(file)
            .arg("--data-dir")
            .arg(target)
            .args(["--initial-cluster", &format!("default={peer}"), "--initial-advertise-peer-urls", &peer])
            .output()?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!("restore by {}: {}", self.side(ours).name, String::from_utf8_lossy(&output.stderr)).into())
    }
}

fn same(left: &Picture, found: &Picture, name: &str) -> Result<(), Failure> {
    if left == found {
        return Ok(());
    }
    let keys: Vec<_> = left.keys.iter().zip(&found.keys).filter(|(a, b)| a != b).take(3).collect();
    Err(format!(
        "{name}: revision {} and {}, {} and {} keys, {} and {} leases, hash {:?} and {:?}, first differing keys {keys:?}",
        left.revision,
        found.revision,
        left.keys.len(),
        found.keys.len(),
        left.leases.len(),
        found.leases.len(),
        left.hash_kv,
        found.hash_kv
    )
    .into())
}
