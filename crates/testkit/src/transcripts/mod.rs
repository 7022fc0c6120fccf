//! Recorded command lines, replayed: the Rust twin of `e2e/transcripts/run`, for `cargo test`, where nothing but the
//! machine itself is needed. Scenarios and transcripts are described in `e2e/transcripts/v3/README.md`.

mod logs;
mod normalise;
mod process;
mod scenario;
mod server;
mod show;
mod table;
mod wire;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

/// The programs under test.
#[derive(Clone)]
pub struct Programs {
    pub etcd: PathBuf,
    pub etcdctl: PathBuf,
    pub etcdutl: PathBuf,
}

/// What a replay of all scenarios found.
#[derive(Debug, Default)]
pub struct Report {
    /// Steps that are the same as recorded.
    pub same: usize,
    /// Steps that differ and are listed.
    pub expected: usize,
    /// What is wrong: steps that differ without being listed, or are listed without differing.
    pub wrong: Vec<String>,
}

/// Ports that each scenario has for itself.
const PORTS: u16 = 6;
const WORKERS: usize = 2;

/// Replays all scenarios of `folder` (`e2e/transcripts`) but those of later releases, on ports from `port` on.
pub fn replay(folder: &Path, programs: &Programs, port: u16) -> Result<Report, String> {
    let listed = read(&folder.join("expected-differences.json"))?;
    let later = listed["later_scenarios"].as_object().cloned().unwrap_or_default();
    let expected: BTreeMap<String, String> = serde_json::from_value(listed["steps"].clone()).map_err(text)?;
    let scenarios = folder.join("v3");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&scenarios).map_err(text)? {
        let name = entry.map_err(text)?.file_name().to_string_lossy().into_owned();
        names.extend(name.strip_suffix(".json").filter(|name| !later.contains_key(*name)).map(str::to_owned));
    }
    names.sort();
    let (next, report) = (AtomicUsize::new(0), Mutex::new(Report::default()));
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let at = names.iter().position(|other| other == name).unwrap_or(0) as u16;
                    let found = one(&scenarios, name, programs, port + at * PORTS);
                    let mut report = report.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    judge(name, found, &expected, &mut report);
                }
            });
        }
    });
    Ok(report.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn read(path: &Path) -> Result<Value, String> {
    let json = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_str(&json).map_err(|error| format!("{}: {error}", path.display()))
}

/// The steps of one scenario, each with what differs.
fn one(folder: &Path, name: &str, programs: &Programs, port: u16) -> Result<Vec<(String, Vec<String>)>, String> {
    let scenario = read(&folder.join(format!("{name}.json")))?;
    let recorded = read(&folder.join("recorded").join(format!("{name}.transcript.json")))?;
    let mut runner = scenario::Runner::new(programs, port)?;
    let stopped_by = runner.run(&scenario).err();
    let mut found = Vec::new();
    for (at, want) in recorded["steps"].as_array().into_iter().flatten().enumerate() {
        let id = want["id"].as_str().unwrap_or_default().to_owned();
        let differs = match runner.steps.get(at) {
            Some(got) => show::differences(want, got),
            None => vec![format!("not reached: {}", stopped_by.clone().unwrap_or_default())],
        };
        found.push((id, differs));
    }
    Ok(found)
}

fn judge(
    name: &str,
    found: Result<Vec<(String, Vec<String>)>, String>,
    expected: &BTreeMap<String, String>,
    report: &mut Report,
) {
    let steps = match found {
        Ok(steps) => steps,
        Err(error) => return report.wrong.push(format!("{name}: {error}")),
    };
    for (id, differs) in &steps {
        let key = format!("{name}/{id}");
        match (differs.is_empty(), expected.contains_key(&key)) {
            (true, false) => report.same += 1,
            (false, true) => report.expected += 1,
            (true, true) => report.wrong.push(format!("does not differ any more, strike it off the list: {key}")),
            (false, false) => report.wrong.push(format!("different {key}\n  {}", differs.join("\n  "))),
        }
    }
    for key in expected.keys().filter(|key| key.split('/').next() == Some(name)) {
        if !steps.iter().any(|(id, _)| *key == format!("{name}/{id}")) {
            report.wrong.push(format!("listed, but there is no such step: {key}"));
        }
    }
}
