//! `ETCDCTL_*` variables: one for each global flag (facts: flags, 6).

use super::globals;
use crate::cli::Values;
use crate::exit::Exit;
use crate::log;

const PREFIX: &str = "ETCDCTL_";
/// Known to `watch` alone.
pub const WATCH_KEY: &str = "ETCDCTL_WATCH_KEY";
pub const WATCH_RANGE_END: &str = "ETCDCTL_WATCH_RANGE_END";

/// The variable of a flag.
pub fn variable(flag: &str) -> String {
    format!("{PREFIX}{}", flag.to_uppercase().replace('-', "_"))
}

/// Adds the variables to the flags. Both at once is an error; a wrong value counts as none, as in etcd; what is not known
/// (an empty value makes a variable unknown) is warned of.
pub fn apply(flags: &Values, watching: bool) -> Result<Values, Exit> {
    let mut values = flags.clone();
    let mut left: Vec<(String, String)> = std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .filter(|(name, _)| name.starts_with(PREFIX))
        .collect();
    left.sort();
    for flag in globals::FLAGS {
        let variable = variable(flag.name);
        let Some(at) = left.iter().position(|(name, value)| *name == variable && !value.is_empty()) else { continue };
        let (_, value) = left.remove(at);
        if flags.changed(flag.name) {
            let message = "conflicting environment variable is shadowed by corresponding command-line flag (either unset \
                           environment variable or disable flag))";
            log::json("fatal", "", "etcdctl/env.rs", message, &[("environment-variable", variable.into())]);
            return Err(Exit::silent(1));
        }
        // A wrong value leaves the default standing, without a word: scripts of etcd's users rely on it.
        let _ignored = values.set(flag, &value);
    }
    for (name, value) in left {
        if !(watching && (name == WATCH_KEY || name == WATCH_RANGE_END)) {
            let fields = [("environment-variable", format!("{name}={value}").into())];
            log::json("warn", "", "etcdctl/env.rs", "unrecognized environment variable", &fields);
        }
    }
    Ok(values)
}
