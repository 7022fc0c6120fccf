//! Truncated and bit-flipped files of a data directory.

use super::{Failure, Score, count_keys, no_panic, put_keys};
use crate::process::Plan;
use crate::workload;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::path::{Path, PathBuf};

const KEYS: usize = 400;
/// How much of a log is looked at: it is preallocated and mostly empty.
const LOG_BYTES: u64 = 120_000;

/// What is done to a file.
#[derive(Clone, Copy, Debug)]
enum Harm {
    Flip(u64),
    Truncate(u64),
}

/// All cases of this kind: `rounds` for each file.
pub async fn all(plan: &Plan, score: &mut Score, rounds: usize) -> Result<(), Failure> {
    let whole = plan.clone().with(["--snapshot-count", "100"]);
    let server = whole.start().await?;
    put_keys(&workload::connect(whole.url()).await?, KEYS).await?;
    server.stop()?;
    let mut random = StdRng::seed_from_u64(11);
    for kind in ["wal", "snap", "db"] {
        let (mut served, mut refused) = (0, 0);
        for round in 0..rounds {
            let copy = plan.data.with_extension(format!("{kind}-{round}"));
            copy_dir(&plan.data, &copy)?;
            let file = newest(&copy, kind)?;
            let length = std::fs::metadata(&file)?.len().min(LOG_BYTES);
            let place = random.random_range(0..length);
            let harm = if random.random_ratio(1, 3) { Harm::Truncate(place) } else { Harm::Flip(place) };
            harm.inflict(&file)?;
            let case = Plan { data: copy.clone(), ..whole.clone() };
            match start_damaged(&case, kind, harm, &file).await? {
                true => served += 1,
                false => refused += 1,
            }
            std::fs::remove_dir_all(&copy)?;
        }
        score.pass(&format!("damaged {kind}: {served} times served, {refused} times refused"));
    }
    Ok(())
}

/// Whether the server serves; errs where it panics, loses data that is still on the disk, or ends without saying why.
async fn start_damaged(plan: &Plan, kind: &str, harm: Harm, file: &Path) -> Result<bool, Failure> {
    let what = format!("{harm:?} in {}", file.display());
    match plan.start().await {
        Ok(server) => {
            let found = count_keys(&workload::connect(plan.url()).await?).await?;
            server.kill()?;
            no_panic(&plan.log(), &what)?;
            // What a cut file no longer holds cannot be there. A flipped bit of the log is found or does no harm; the format of
            // the database has no checksum over its pages, so one inside of a key or value cannot be seen.
            if kind != "db" && matches!(harm, Harm::Flip(_)) && found != KEYS as i64 {
                return Err(format!("{what}: {found} of {KEYS} keys, without a word").into());
            }
            Ok(true)
        }
        Err(refusal) => {
            no_panic(&plan.log(), &what)?;
            let text = refusal.to_string();
            if text.contains("\"level\":\"fatal\"") || text.contains("\"level\":\"error\"") {
                return Ok(false);
            }
            Err(format!("{what}: ended without a clear error:\n{text}").into())
        }
    }
}

impl Harm {
    fn inflict(self, file: &Path) -> Result<(), Failure> {
        match self {
            Harm::Truncate(length) => std::fs::File::options().write(true).open(file)?.set_len(length)?,
            Harm::Flip(place) => {
                let mut bytes = std::fs::read(file)?;
                let place = usize::try_from(place)?;
                bytes[place] ^= 1 << (place % 8);
                std::fs::write(file, bytes)?;
            }
        }
        Ok(())
    }
}

/// The file of this kind that a start reads.
fn newest(data: &Path, kind: &str) -> Result<PathBuf, Failure> {
    let folder = data.join("member").join(if kind == "wal" { "wal" } else { "snap" });
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)?.map(|e| Ok(e?.path())).collect::<Result<_, Failure>>()?;
    let fits = |path: &PathBuf| match kind {
        "db" => path.ends_with("db"),
        other => path.extension().is_some_and(|extension| extension == other),
    };
    files.retain(fits);
    files.sort();
    files.pop().ok_or_else(|| format!("no {kind} file").into())
}

/// Copies files with their holes.
fn copy_dir(from: &Path, to: &Path) -> Result<(), Failure> {
    let status = std::process::Command::new("cp").args(["-r", "--sparse=always"]).arg(from).arg(to).status()?;
    if status.success() { Ok(()) } else { Err("cp failed".into()) }
}
