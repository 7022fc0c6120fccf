//! One scenario: its steps in order, and what each of them shows.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use regex::{Captures, Regex};
use serde_json::{Map, Value, json};

use super::normalise::{Normaliser, Wishes, decode};
use super::process::{End, Process, signal};
use super::server::{Server, is_free, words};
use super::{Programs, logs, text, wire};

const STEP: Duration = Duration::from_secs(30);
static VARIABLE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\$\{(\w+)\}").expect("invariant: the pattern is valid"));
static SCRATCH: AtomicUsize = AtomicUsize::new(0);

/// A scenario under way.
pub struct Runner {
    programs: Programs,
    dir: PathBuf,
    ports: (u16, u16),
    variables: BTreeMap<String, String>,
    normaliser: Normaliser,
    server: Option<Server>,
    /// Commands that run on while others come, with the step that began them.
    background: BTreeMap<String, (Process, Map<String, Value>)>,
    /// What the steps showed, in the form of the transcripts.
    pub steps: Vec<Value>,
}

impl Runner {
    /// With six ports from `port` on.
    pub fn new(programs: &Programs, port: u16) -> Result<Runner, String> {
        if let Some(taken) = (port..port + 4).find(|port| !is_free(*port)) {
            return Err(format!("port {taken} is taken"));
        }
        let number = SCRATCH.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("transcript-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&dir).map_err(text)?;
        let shown = |path: &Path| path.display().to_string();
        let address = |offset: u16| format!("127.0.0.1:{}", port + offset);
        let names = ["EP", "PEER", "EP2", "PEER2", "DEAD", "DEAD2"];
        let mut variables: BTreeMap<String, String> =
            names.iter().zip(0..).map(|(name, offset)| ((*name).to_owned(), address(offset))).collect();
        let placeholder = |(name, value): (&String, &String)| (value.clone(), format!("<{name}>"));
        let mut literals: Vec<(String, String)> = variables.iter().map(placeholder).collect();
        literals.push((shown(&dir), "<DIR>".into()));
        literals.push((shown(&programs.etcd), "<ETCD>".into()));
        literals.push((shown(&programs.etcdctl), "<ETCDCTL>".into()));
        literals.push((shown(&programs.etcdutl), "<ETCDUTL>".into()));
        variables.insert("DIR".into(), shown(&dir));
        variables.insert("PORT".into(), port.to_string());
        variables.insert("PEERPORT".into(), (port + 1).to_string());
        Ok(Runner {
            programs: programs.clone(),
            dir,
            ports: (port, port + 1),
            variables,
            normaliser: Normaliser::new(literals),
            server: None,
            background: BTreeMap::new(),
            steps: Vec::new(),
        })
    }

    /// Does all steps. What was shown until an error stays in `steps`.
    pub fn run(&mut self, scenario: &Value) -> Result<(), String> {
        let server = scenario.get("server").cloned().unwrap_or(json!({}));
        if let Some(spec) = server.as_object() {
            self.start_server(spec)?;
        }
        for (number, step) in scenario["steps"].as_array().into_iter().flatten().enumerate() {
            let step = step.as_object().ok_or("a step is an object")?;
            self.step(number + 1, step)?;
        }
        Ok(())
    }

    fn step(&mut self, number: usize, step: &Map<String, Value>) -> Result<(), String> {
        let id = word(step, "id").map_or_else(|| format!("{number:03}"), str::to_owned);
        if step.contains_key("note") && step.len() == 1 {
            return Ok(());
        }
        if let Some(pause) = seconds(step, "sleep") {
            std::thread::sleep(pause);
        } else if let Some(name) = word(step, "file") {
            self.write_file(name, step)?;
        } else if let (Some(from), Some(to)) = (word(step, "copy"), word(step, "to")) {
            std::fs::copy(self.dir.join(from), self.dir.join(to)).map_err(text)?;
        } else if let Some(what) = word(step, "server") {
            match what {
                "stop" | "restart" => self.server.take().into_iter().for_each(Server::stop),
                // Dropped is killed.
                "kill" => self.server = None,
                _ => {}
            }
            if matches!(what, "start" | "restart") {
                self.start_server(step)?;
            }
        } else if let (Some(name), Some(fed)) = (word(step, "feed"), word(step, "text")) {
            let fed = self.expanded(fed);
            let (process, _) = self.background.get_mut(name).ok_or("the step to feed runs")?;
            process.feed(&fed);
            std::thread::sleep(seconds(step, "delay").unwrap_or(Duration::from_millis(300)));
        } else if step.contains_key("finish") {
            self.finish(&id, step)?;
        } else {
            self.command(&id, step)?;
        }
        Ok(())
    }

    fn write_file(&self, name: &str, step: &Map<String, Value>) -> Result<(), String> {
        use std::os::unix::fs::PermissionsExt;
        let path = self.dir.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(text)?;
        }
        let times = step.get("repeat").and_then(Value::as_u64).unwrap_or(1) as usize;
        let content = word(step, "content").unwrap_or_default().repeat(times);
        std::fs::write(&path, self.expanded(&content)).map_err(text)?;
        let mode = step.get("mode").and_then(Value::as_u64).unwrap_or(0o600) as u32;
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).map_err(text)
    }

    fn start_server(&mut self, spec: &Map<String, Value>) -> Result<(), String> {
        let data = self.dir.join(word(spec, "data").unwrap_or("data-main"));
        let extra: Vec<String> = list(spec, "args").iter().map(|word| self.expanded(word)).collect();
        let name = word(spec, "member").unwrap_or("m1");
        let mut command = Command::new(&self.programs.etcd);
        command.args(words(name, &data, self.ports.0, self.ports.1, &extra)).current_dir(&self.dir);
        self.environment(&mut command, spec);
        self.server = Some(Server::start(&mut command, &self.dir.join("server-main.log"), self.ports.0)?);
        Ok(())
    }

    fn environment(&self, command: &mut Command, step: &Map<String, Value>) {
        command.env_clear().env("PATH", std::env::var("PATH").unwrap_or_else(|_| "/usr/bin:/bin".into()));
        command.env("HOME", &self.dir).env("TZ", "UTC").env("LC_ALL", "C.UTF-8").env("TERM", "dumb");
        for (name, value) in step.get("env").and_then(Value::as_object).into_iter().flatten() {
            command.env(name, self.expanded(value.as_str().unwrap_or_default()));
        }
    }

    fn expanded(&self, text: &str) -> String {
        let value = |found: &Captures<'_>| match self.variables.get(&found[1]) {
            Some(value) => value.clone(),
            None => format!("<UNSET {}>", &found[1]),
        };
        VARIABLE.replace_all(text, value).into_owned()
    }

    fn command(&mut self, id: &str, step: &Map<String, Value>) -> Result<(), String> {
        let (kind, program) =
            [("ctl", &self.programs.etcdctl), ("utl", &self.programs.etcdutl), ("etcd", &self.programs.etcd)]
                .into_iter()
                .find(|(kind, _)| step.contains_key(*kind))
                .ok_or_else(|| format!("step {id} is of no known kind"))?;
        let mut command = Command::new(program);
        if kind == "ctl" && !step.contains_key("bare") {
            command.args(["--endpoints", &self.variables["EP"]]);
        }
        command.args(list(step, kind).iter().map(|word| self.expanded(word)));
        command.current_dir(word(step, "cwd").map_or(self.dir.clone(), |dir| self.dir.join(dir)));
        self.environment(&mut command, step);
        let input = match word(step, "stdin_file") {
            Some(name) => Some(std::fs::read_to_string(self.dir.join(name)).map_err(text)?),
            None => word(step, "stdin").map(|input| self.expanded(input)),
        };
        let begun = Instant::now();
        let mut process = Process::start(&mut command, input.as_deref(), step.contains_key("open"))?;
        if let Some(name) = word(step, "start") {
            if let Some(pattern) = word(step, "until") {
                process.wait_text(&in_lines(pattern)?, seconds(step, "timeout").unwrap_or(Duration::from_secs(10)));
            }
            std::thread::sleep(seconds(step, "delay").unwrap_or(Duration::from_millis(600)));
            self.background.insert(name.to_owned(), (process, step.clone()));
            return Ok(());
        }
        let end = match seconds(step, "bound") {
            Some(bound) if process.wait(bound)?.is_none() => {
                process.signal(signal(word(step, "signal").unwrap_or("INT"))?);
                process.finish(Duration::from_secs(5))?
            }
            Some(_) => process.finish(Duration::ZERO)?,
            None => process.finish(seconds(step, "timeout").unwrap_or(STEP))?,
        };
        self.record(id, step, &process, end, begun.elapsed())
    }

    fn finish(&mut self, id: &str, step: &Map<String, Value>) -> Result<(), String> {
        let name = word(step, "finish").unwrap_or_default();
        let (mut process, begun_by) = self.background.remove(name).ok_or("the step to finish runs")?;
        let patience = seconds(step, "timeout").unwrap_or(Duration::from_secs(10));
        if let Some(pattern) = word(step, "until") {
            process.wait_text(&in_lines(pattern)?, patience);
            std::thread::sleep(seconds(step, "settle").unwrap_or(Duration::from_millis(200)));
        }
        if step.contains_key("eof") {
            process.close();
        }
        if let Some(name) = word(step, "signal") {
            std::thread::sleep(seconds(step, "before").unwrap_or_default());
            process.signal(signal(name)?);
        }
        let end = process.finish(patience)?;
        let mut wishes = begun_by;
        wishes.extend(step.iter().map(|(key, value)| (key.clone(), value.clone())));
        self.record(id, &wishes, &process, end, Duration::ZERO)
    }

    /// What a step showed, in the form of the transcripts.
    fn record(
        &mut self,
        id: &str,
        step: &Map<String, Value>,
        process: &Process,
        end: End,
        took: Duration,
    ) -> Result<(), String> {
        let (out, err) = process.output();
        let wishes = Wishes { keep: list(step, "keep"), extra: replacements(step)? };
        let both = decode(&out) + &decode(&err);
        for (name, pattern) in step.get("capture").and_then(Value::as_object).into_iter().flatten() {
            let pattern = Regex::new(pattern.as_str().unwrap_or_default()).map_err(text)?;
            let found = pattern.captures(&both).map(|found| found[1].to_owned());
            self.variables.insert(name.clone(), found.unwrap_or_else(|| format!("not-captured-{name}")));
        }
        let mut shown = self.stream(&out, word(step, "stdout").unwrap_or("exact"), &wishes)?;
        let mut lines: Vec<String> = decode(&err).split('\n').map(str::to_owned).collect();
        let whole = lines.last().is_some_and(String::is_empty);
        if whole {
            lines.pop();
        }
        let (rest, mut log) = logs::split(lines, &mut self.normaliser, &wishes);
        filter_log(step, &mut log)?;
        let end_of_text = if whole && !rest.is_empty() { "\n" } else { "" };
        let rest = rest.join("\n") + end_of_text;
        let mut said = self.stream(rest.as_bytes(), word(step, "stderr").unwrap_or("exact"), &wishes)?;
        if step.contains_key("sort") {
            shown.sort();
            said.sort();
        }
        let exit = match (word(step, "exit"), end.name()) {
            (Some("any"), _) => "any".into(),
            (Some("nonzero"), exit) if exit != 0 => "nonzero".into(),
            (_, exit) => exit,
        };
        let mut entry = json!({"id": id, "exit": exit, "stdout": shown, "stderr": said, "log": log});
        if let Some(least) = step.get("min_s") {
            entry[format!("took_at_least_{least}s")] = (took.as_secs_f64() >= least.as_f64().unwrap_or(0.0)).into();
        }
        if step.contains_key("exists") {
            let there =
                list(step, "exists").into_iter().map(|path| (path.clone(), self.dir.join(path).exists().into()));
            entry["exists"] = Value::Object(there.collect());
        }
        self.steps.push(entry);
        Ok(())
    }

    /// What a stream shows, in the way that the step asks for.
    fn stream(&mut self, raw: &[u8], mode: &str, wishes: &Wishes) -> Result<Vec<String>, String> {
        let all = |pattern: &str| -> Vec<String> {
            let pattern = Regex::new(pattern).expect("invariant: the pattern is valid");
            let mut names: Vec<String> = pattern.captures_iter(&decode(raw)).map(|found| found[1].to_owned()).collect();
            names.sort();
            names.dedup();
            names
        };
        Ok(match mode.split_once(':').unwrap_or((mode, "")) {
            ("exact", _) => self.normaliser.text(raw, wishes, true),
            ("ignore", _) if raw.is_empty() => Vec::new(),
            ("ignore", _) => vec!["<NOT COMPARED>".into()],
            ("nonempty", _) if raw.trim_ascii().is_empty() => vec!["<EMPTY>".into()],
            ("nonempty", _) => vec!["<SOMETHING>".into()],
            ("protobuf", _) => wire::dump(raw, &mut self.normaliser, true),
            ("protobuf-header", _) => wire::without_term(wire::dump(raw, &mut self.normaliser, false)),
            ("flags", _) => all(r"(?m)^\s+(?:-\w, )?(--[a-z][a-z0-9-]*)"),
            ("commands", _) => {
                let mut names = all(r"(?m)^  ([a-z][a-z-]+) +\S");
                names.retain(|name| !matches!(name.as_str(), "etcd" | "etcdctl" | "etcdutl"));
                names
            }
            ("lines", count) => {
                let mut lines = self.normaliser.text(raw, wishes, true);
                lines.truncate(count.parse().map_err(text)?);
                lines
            }
            ("match", pattern) => {
                let pattern = Regex::new(pattern).map_err(text)?;
                let mut lines = self.normaliser.text(raw, wishes, false);
                lines.retain(|line| pattern.is_match(line));
                lines
            }
            _ => return Err(format!("unknown way to show a stream: {mode}")),
        })
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.background.clear();
        self.server.take().into_iter().for_each(Server::stop);
        // What is left in the temporary folder harms nobody.
        let _gone = std::fs::remove_dir_all(&self.dir);
    }
}

fn filter_log(step: &Map<String, Value>, log: &mut Vec<Value>) -> Result<(), String> {
    if step.contains_key("log_levels") {
        let levels = list(step, "log_levels");
        log.retain(|entry| levels.iter().any(|level| entry["level"] == **level));
    }
    if let Some(pattern) = word(step, "log_match") {
        let pattern = Regex::new(pattern).map_err(text)?;
        log.retain(|entry| pattern.is_match(&entry.to_string()));
    }
    if step.contains_key("sort_log") {
        log.sort_by_key(ToString::to_string);
    }
    Ok(())
}

/// The step's own replacements, whose `\1` is our `${1}`.
fn replacements(step: &Map<String, Value>) -> Result<Vec<(Regex, String)>, String> {
    let group = Regex::new(r"\\(\d)").expect("invariant: the pattern is valid");
    let mut out = Vec::new();
    for pair in step.get("norm").and_then(Value::as_array).into_iter().flatten() {
        let (pattern, with) = (pair[0].as_str().unwrap_or_default(), pair[1].as_str().unwrap_or_default());
        let with = group.replace_all(&with.replace('$', "$$"), "$${${1}}").into_owned();
        out.push((Regex::new(pattern).map_err(text)?, with));
    }
    Ok(out)
}

/// A pattern whose `^` and `$` stand for the ends of lines.
fn in_lines(pattern: &str) -> Result<Regex, String> {
    Regex::new(&format!("(?m){pattern}")).map_err(text)
}

fn word<'a>(step: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    step.get(key).and_then(Value::as_str)
}

fn list(step: &Map<String, Value>, key: &str) -> Vec<String> {
    let items = step.get(key).and_then(Value::as_array).into_iter().flatten();
    items.map(|item| item.as_str().unwrap_or_default().to_owned()).collect()
}

fn seconds(step: &Map<String, Value>, key: &str) -> Option<Duration> {
    step.get(key).and_then(Value::as_f64).map(Duration::from_secs_f64)
}
