//! Names that flags had in etcd 3.4 to 3.6.
//!
//! A member that stands in for such a release (`--compat-version`) takes them, so that a unit file need not change with the
//! program; 3.7 knows them no more, and neither do we when we report it (facts: flags, "Experimental flags").

use super::gates::Gate;
use super::load::{Failure, Notice, Severity};
use super::settings::{Settings, Value};
use super::table;

/// What a name stands for now.
#[derive(Clone, Copy)]
enum Now {
    Flag(&'static str),
    Gate(Gate),
}

#[rustfmt::skip]
const NAMES: [(&str, Now); 23] = [
    ("experimental-initial-corrupt-check", Now::Gate(Gate::InitialCorruptCheck)),
    ("experimental-corrupt-check-time", Now::Flag("corrupt-check-time")),
    ("experimental-compact-hash-check-enabled", Now::Gate(Gate::CompactHashCheck)),
    ("experimental-compact-hash-check-time", Now::Flag("compact-hash-check-time")),
    ("experimental-backend-bbolt-freelist-type", Now::Flag("backend-bbolt-freelist-type")),
    ("experimental-enable-lease-checkpoint", Now::Gate(Gate::LeaseCheckpoint)),
    ("experimental-enable-lease-checkpoint-persist", Now::Gate(Gate::LeaseCheckpointPersist)),
    ("experimental-compaction-batch-limit", Now::Flag("compaction-batch-limit")),
    ("experimental-compaction-sleep-interval", Now::Flag("compaction-sleep-interval")),
    ("experimental-watch-progress-notify-interval", Now::Flag("watch-progress-notify-interval")),
    ("experimental-warning-apply-duration", Now::Flag("warning-apply-duration")),
    ("experimental-warning-unary-request-duration", Now::Flag("warning-unary-request-duration")),
    ("experimental-memory-mlock", Now::Flag("memory-mlock")),
    ("experimental-txn-mode-write-with-shared-buffer", Now::Gate(Gate::TxnModeWriteWithSharedBuffer)),
    ("experimental-bootstrap-defrag-threshold-megabytes", Now::Flag("bootstrap-defrag-threshold-megabytes")),
    ("experimental-stop-grpc-service-on-defrag", Now::Gate(Gate::StopGRPCServiceOnDefrag)),
    ("experimental-snapshot-catchup-entries", Now::Flag("snapshot-catchup-entries")),
    ("experimental-downgrade-check-time", Now::Flag("downgrade-check-time")),
    ("experimental-peer-skip-client-san-verification", Now::Flag("peer-skip-client-san-verification")),
    ("experimental-enable-distributed-tracing", Now::Flag("enable-distributed-tracing")),
    ("experimental-distributed-tracing-address", Now::Flag("distributed-tracing-address")),
    ("experimental-distributed-tracing-service-name", Now::Flag("distributed-tracing-service-name")),
    ("experimental-distributed-tracing-instance-id", Now::Flag("distributed-tracing-instance-id")),
];

/// The release that knows these names no more.
const WITHOUT: &str = "3.7";

/// Whether `name` is unknown to a member that reports `compat`.
pub fn is_unknown(name: &str, compat: &str) -> bool {
    compat == WITHOUT && NAMES.iter().any(|(former, _)| *former == name)
}

/// Turns what was given under former names into what it is called now. In a file, unknown keys don't count; on the command
/// line they end the program.
pub fn apply(settings: &mut Settings, from_file: bool, notices: &mut Vec<Notice>) -> Result<(), Failure> {
    let given: Vec<_> = NAMES.iter().filter(|(name, _)| settings.is_given(name)).collect();
    if settings.text("compat-version") == WITHOUT {
        return match given.first() {
            Some((name, _)) if !from_file => Err(Failure::Usage(format!("flag provided but not defined: -{name}"))),
            _ => Ok(()),
        };
    }
    for (name, now) in given {
        let instead = match now {
            Now::Flag(flag) => move_flag(settings, name, flag)?,
            Now::Gate(gate) => move_gate(settings, name, *gate)?,
        };
        let text =
            format!("--{name} is deprecated in v3.6 and will be decommissioned in v3.7. Use '--{instead}' instead.");
        notices.push(Notice::new(Severity::Warn, text));
    }
    Ok(())
}

fn move_flag(settings: &mut Settings, name: &str, flag: &str) -> Result<String, Failure> {
    if settings.is_given(flag) {
        let text = format!("cannot set --{name} and --{flag} at the same time, please use --{flag} only");
        return Err(Failure::verify(text));
    }
    let value = settings.value(name).clone();
    put(settings, flag, value);
    Ok(flag.to_owned())
}

fn move_gate(settings: &mut Settings, name: &str, gate: Gate) -> Result<String, Failure> {
    let on = settings.bool(name);
    let mut gates = settings.gates().clone();
    let (word, named) = gates.word(gate);
    if named {
        let both = format!("--feature-gates={word}={}", gates.enabled(gate));
        return Err(Failure::verify(format!(
            "cannot specify both flags: --{name}={on} and {both} at the same time, please just use {both}"
        )));
    }
    gates.switch(gate, on);
    put(settings, "feature-gates", Value::Gates(gates));
    Ok(format!("feature-gates={word}=true"))
}

fn put(settings: &mut Settings, flag: &str, value: Value) {
    if let Some((place, _)) = table::find(flag) {
        settings.put(place, value);
    }
}
