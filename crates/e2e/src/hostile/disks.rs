//! A disk that runs full and one that cannot be written. Both are small file systems in memory, which only root can mount.

use super::{Failure, Score, count_keys, no_panic, run_to_end};
use crate::process::Plan;
use crate::workload;
use client::rpc::etcdserverpb::kv_client::KvClient;
use proto::etcdserverpb::PutRequest;
use std::path::{Path, PathBuf};
use std::process::Command;

/// All cases of this kind.
pub async fn all(plan: &Plan, score: &mut Score) -> Result<(), Failure> {
    full(plan, score).await?;
    read_only(plan, score)
}

/// A mounted file system, unmounted when dropped.
struct Mount(PathBuf);

impl Mount {
    fn new(path: PathBuf, options: &str) -> Result<Mount, Failure> {
        std::fs::create_dir_all(&path)?;
        mount(&["-t", "tmpfs", "-o", options, "tmpfs"], &path)?;
        Ok(Mount(path))
    }

    fn remount(&self, options: &str) -> Result<(), Failure> {
        mount(&["-o", &format!("remount,{options}")], &self.0)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        match Command::new("umount").arg(&self.0).status() {
            Ok(status) if status.success() => {}
            other => eprintln!("{} stays mounted: {other:?}", self.0.display()),
        }
    }
}

fn mount(words: &[&str], path: &Path) -> Result<(), Failure> {
    let status = Command::new("mount").args(words).arg(path).status()?;
    if status.success() { Ok(()) } else { Err(format!("mount {words:?} failed").into()) }
}

/// Writes until the disk is full; the server says so and ends; with more room every acknowledged write is there.
async fn full(plan: &Plan, score: &mut Score) -> Result<(), Failure> {
    let mount = Mount::new(plan.data.with_extension("full"), "size=72m")?;
    // The log of the server's output lies beside the data directory: on the small disk only the data.
    let case = Plan { data: mount.0.join("data"), ..plan.clone() };
    let server = case.start().await?;
    let channel = workload::connect(case.url()).await?;
    let mut kv = KvClient::new(channel.clone());
    let mut acknowledged = 0;
    loop {
        let key = format!("data/{acknowledged:06}");
        let put = PutRequest { key: key.into(), value: vec![b'x'; 100_000].into(), ..Default::default() };
        match kv.put(put).await {
            Ok(_) => acknowledged += 1,
            Err(_) => break,
        }
        if acknowledged > 3000 {
            return Err("the disk never ran full".into());
        }
    }
    drop(server);
    no_panic(&case.log(), "a full disk")?;
    mount.remount("size=900m")?;
    let server = case.start().await?;
    let found = count_keys(&workload::connect(case.url()).await?).await?;
    server.stop()?;
    no_panic(&case.log(), "after a full disk")?;
    if found < acknowledged {
        return Err(format!("{found} of {acknowledged} acknowledged writes are there").into());
    }
    score.pass(&format!("a full disk: {acknowledged} acknowledged writes, all there with more room"));
    Ok(())
}

fn read_only(plan: &Plan, score: &mut Score) -> Result<(), Failure> {
    let mount = Mount::new(plan.data.with_extension("read-only"), "size=1m")?;
    mount.remount("ro")?;
    let data = mount.0.join("data");
    let url = plan.url();
    let words = ["--data-dir", &data.to_string_lossy(), "--listen-client-urls", &url, "--advertise-client-urls", &url];
    let (status, text) = run_to_end(&plan.binary, &words)?;
    if status.success() || !text.to_lowercase().contains("read-only file system") || text.contains("panicked at") {
        return Err(format!("a read-only directory: {status}\n{text}").into());
    }
    score.pass("a read-only directory");
    Ok(())
}
