//! Feature gates: features of a release that can be switched by name.

use std::fmt;

use super::number;

/// How far a feature has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Alpha,
    Beta,
}

/// A feature that can be switched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    CompactHashCheck,
    FastLeaseKeepAlive,
    InitialCorruptCheck,
    LeaseCheckpoint,
    LeaseCheckpointPersist,
    PriorityRequest,
    SetMemberLocalAddr,
    StopGRPCServiceOnDefrag,
    TxnModeWriteWithSharedBuffer,
}

/// One row of the table of gates.
struct Row {
    gate: Gate,
    name: &'static str,
    stage: Stage,
    default: bool,
    /// Why this build cannot take the other value, if it can't.
    fixed: Option<&'static str>,
}

const fn row(gate: Gate, name: &'static str, stage: Stage, default: bool, fixed: Option<&'static str>) -> Row {
    Row { gate, name, stage, default, fixed }
}

/// Sorted by name.
const ROWS: [Row; 9] = [
    row(Gate::CompactHashCheck, "CompactHashCheck", Stage::Alpha, false, None),
    row(Gate::FastLeaseKeepAlive, "FastLeaseKeepAlive", Stage::Beta, true, Some("the slow path of lease renewals")),
    row(Gate::InitialCorruptCheck, "InitialCorruptCheck", Stage::Alpha, false, None),
    row(Gate::LeaseCheckpoint, "LeaseCheckpoint", Stage::Alpha, false, None),
    row(Gate::LeaseCheckpointPersist, "LeaseCheckpointPersist", Stage::Alpha, false, None),
    row(Gate::PriorityRequest, "PriorityRequest", Stage::Alpha, false, Some("priorities of requests")),
    row(Gate::SetMemberLocalAddr, "SetMemberLocalAddr", Stage::Alpha, false, None),
    row(
        Gate::StopGRPCServiceOnDefrag,
        "StopGRPCServiceOnDefrag",
        Stage::Alpha,
        false,
        Some("closing for a defragmentation"),
    ),
    row(
        Gate::TxnModeWriteWithSharedBuffer,
        "TxnModeWriteWithSharedBuffer",
        Stage::Beta,
        true,
        Some("private buffers of transactions"),
    ),
];

/// The state of all gates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gates {
    on: [bool; ROWS.len()],
    /// Those that were given by their own name.
    named: [bool; ROWS.len()],
    all_alpha: bool,
    all_beta: bool,
}

impl Default for Gates {
    fn default() -> Self {
        Self { on: ROWS.map_defaults(), named: [false; ROWS.len()], all_alpha: false, all_beta: false }
    }
}

trait Defaults {
    fn map_defaults(&self) -> [bool; ROWS.len()];
}

impl Defaults for [Row; ROWS.len()] {
    fn map_defaults(&self) -> [bool; ROWS.len()] {
        std::array::from_fn(|i| self[i].default)
    }
}

impl Gates {
    /// Reads `Name=bool,Name=bool`.
    pub fn parse(text: &str) -> Result<Gates, String> {
        let mut gates = Gates::default();
        for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let (name, value) = item.split_once('=').ok_or_else(|| format!("missing bool value for {item}"))?;
            let (name, value) = (name.trim(), value.trim());
            let on = number::parse_bool(value).ok_or_else(|| {
                let quoted = number::quote(value);
                format!("invalid value of {name}={value}, err: strconv.ParseBool: parsing {quoted}: invalid syntax")
            })?;
            match (name, ROWS.iter().position(|row| row.name == name)) {
                ("AllAlpha", _) => gates.all_alpha = on,
                ("AllBeta", _) => gates.all_beta = on,
                (_, Some(at)) => (gates.on[at], gates.named[at]) = (on, true),
                (_, None) => return Err(format!("unrecognized feature gate: {name}")),
            }
        }
        gates.set_unnamed(text);
        Ok(gates)
    }

    /// `AllAlpha` and `AllBeta` set every gate of their stage that was not named.
    fn set_unnamed(&mut self, text: &str) {
        let named = self.named;
        for (at, row) in ROWS.iter().enumerate().filter(|(at, _)| !named[*at]) {
            match row.stage {
                Stage::Alpha if text.contains("AllAlpha=") => self.on[at] = self.all_alpha,
                Stage::Beta if text.contains("AllBeta=") => self.on[at] = self.all_beta,
                _ => {}
            }
        }
    }

    pub fn enabled(&self, gate: Gate) -> bool {
        ROWS.iter().position(|row| row.gate == gate).is_some_and(|at| self.on[at])
    }

    /// The name of a gate, and whether it was given by that.
    pub(super) fn word(&self, gate: Gate) -> (&'static str, bool) {
        let at = ROWS.iter().position(|row| row.gate == gate);
        at.map_or(("", false), |at| (ROWS[at].name, self.named[at]))
    }

    pub(super) fn switch(&mut self, gate: Gate, on: bool) {
        if let Some(at) = ROWS.iter().position(|row| row.gate == gate) {
            self.on[at] = on;
        }
    }

    /// Name, stage and state of every gate and of the two that stand for a stage, sorted by name.
    pub fn all(&self) -> Vec<(&'static str, Stage, bool)> {
        let mut all = vec![("AllAlpha", Stage::Alpha, self.all_alpha), ("AllBeta", Stage::Beta, self.all_beta)];
        all.extend(ROWS.iter().zip(self.on).map(|(row, on)| (row.name, row.stage, on)));
        all
    }

    /// What keeps this build from working with these gates.
    pub fn check(&self) -> Result<(), String> {
        if self.enabled(Gate::LeaseCheckpointPersist) && !self.enabled(Gate::LeaseCheckpoint) {
            return Err(
                "enabling feature gate LeaseCheckpointPersist requires enabling feature gate LeaseCheckpoint".into()
            );
        }
        for (row, on) in ROWS.iter().zip(self.on) {
            if let Some(missing) = row.fixed.filter(|_| on != row.default) {
                return Err(format!("--feature-gates={}={on} is not supported by this build yet: {missing}", row.name));
            }
        }
        Ok(())
    }
}

impl fmt::Display for Gates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let changed = ROWS.iter().zip(self.on).filter(|(row, on)| *on != row.default);
        let words: Vec<_> = changed.map(|(row, on)| format!("{}={on}", row.name)).collect();
        f.write_str(&words.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_and_stages() {
        let gates = Gates::parse("LeaseCheckpoint=true, LeaseCheckpointPersist=1").unwrap();
        assert!(gates.enabled(Gate::LeaseCheckpoint) && gates.enabled(Gate::LeaseCheckpointPersist));
        assert!(gates.enabled(Gate::FastLeaseKeepAlive), "on by default");
        assert_eq!(gates.check(), Ok(()));
        let gates = Gates::parse("AllAlpha=true,PriorityRequest=false,AllBeta=false").unwrap();
        assert!(gates.enabled(Gate::CompactHashCheck) && !gates.enabled(Gate::PriorityRequest));
        assert!(!gates.enabled(Gate::FastLeaseKeepAlive));
        let gates = Gates::parse("AllBeta=false").unwrap();
        assert!(gates.check().unwrap_err().starts_with("--feature-gates=FastLeaseKeepAlive=false is not supported"));
    }

    #[test]
    fn refuses_with_etcds_texts() {
        assert_eq!(Gates::parse("Nope=true").unwrap_err(), "unrecognized feature gate: Nope");
        assert_eq!(Gates::parse("LeaseCheckpoint").unwrap_err(), "missing bool value for LeaseCheckpoint");
        assert_eq!(
            Gates::parse("X=maybe").unwrap_err(),
            "invalid value of X=maybe, err: strconv.ParseBool: parsing \"maybe\": invalid syntax"
        );
        assert_eq!(
            Gates::parse("LeaseCheckpointPersist=true").unwrap().check().unwrap_err(),
            "enabling feature gate LeaseCheckpointPersist requires enabling feature gate LeaseCheckpoint"
        );
    }
}
