//! What to watch and what to run, from arguments and environment.

use proto::etcdserverpb::WatchCreateRequest;

use crate::cli::Values;
use crate::etcdctl::{env, keys};
use crate::exit::Exit;
use crate::go::quote_bytes;

/// One watch.
#[derive(Debug, PartialEq)]
pub struct Plan {
    pub create: WatchCreateRequest,
    /// The command to run for each event; empty for none.
    pub command: Vec<Vec<u8>>,
}

/// Key and range end from the environment; empty is absent.
#[derive(Default)]
pub struct FromEnv {
    pub key: Vec<u8>,
    pub range_end: Vec<u8>,
}

impl FromEnv {
    pub fn read() -> FromEnv {
        use std::os::unix::ffi::OsStringExt;
        let read = |name| std::env::var_os(name).map(OsStringExt::into_vec).unwrap_or_default();
        FromEnv { key: read(env::WATCH_KEY), range_end: read(env::WATCH_RANGE_END) }
    }
}

/// Puts arguments (`before_dash` of them before `--`) and environment together.
pub fn plan(values: &Values, args: &[Vec<u8>], before_dash: Option<usize>, env: &FromEnv) -> Result<Plan, Exit> {
    if env.key.is_empty() && !env.range_end.is_empty() {
        let range_end = quote_bytes(&env.range_end);
        return Err(Exit::bad_args(format!("ETCDCTL_WATCH_KEY is empty but got ETCDCTL_WATCH_RANGE_END={range_end}")));
    }
    let (named, command) = args.split_at(before_dash.unwrap_or(args.len()));
    if !env.key.is_empty() && !named.is_empty() {
        return Err(Exit::bad_args("bad number of arguments (found conflicting environment key)"));
    }
    if before_dash.is_some() && command.is_empty() {
        return Err(Exit::bad_args("bad number of arguments (found separator --, but no commands)"));
    }
    let (key, range_end) = match named {
        [] if env.key.is_empty() => return Err(Exit::bad_args("bad number of arguments")),
        [] => (&env.key, Some(&env.range_end).filter(|end| !end.is_empty())),
        [key] => (key, None),
        [key, range_end] => (key, Some(range_end)),
        [_, _, ..] if before_dash.is_some() => return Err(Exit::bad_args("bad number of arguments")),
        // Without a separator etcd takes these words for a command and forgets it.
        [key, ..] => (key, None),
    };
    let prefix = values.bool("prefix");
    let (key, range_end) = match range_end {
        Some(_) if prefix => {
            return Err(Exit::bad_args("`range_end` and `--prefix` are mutually exclusive"));
        }
        Some(end) => (key.clone().into(), end.clone().into()),
        None if prefix => keys::with_prefix(key.clone().into()),
        None => (key.clone().into(), bytes::Bytes::new()),
    };
    let create = WatchCreateRequest {
        key,
        range_end,
        start_revision: values.int("rev"),
        prev_kv: values.bool("prev-kv"),
        progress_notify: values.bool("progress-notify"),
        ..WatchCreateRequest::default()
    };
    Ok(Plan { create, command: command.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::super::FLAGS;
    use super::*;
    use crate::cli::parse_flags;
    use crate::etcdctl::words::words;

    fn planned(line: &str, key: &str, range_end: &str) -> Result<Plan, String> {
        let parsed = parse_flags(FLAGS.iter(), words(line)).ok().unwrap();
        let env = FromEnv { key: key.into(), range_end: range_end.into() };
        plan(&parsed.values, &parsed.args, parsed.before_dash, &env).map_err(|exit| exit.message.unwrap_or_default())
    }

    fn range(line: &str, key: &str, range_end: &str) -> (String, String, usize) {
        let plan = planned(line, key, range_end).unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (text(&plan.create.key), text(&plan.create.range_end), plan.command.len())
    }

    #[test]
    fn keys_ranges_and_commands() {
        let of = |key: &str, end: &str, command| (key.to_owned(), end.to_owned(), command);
        assert_eq!(range("k", "", ""), of("k", "", 0));
        assert_eq!(range("k l", "", ""), of("k", "l", 0));
        assert_eq!(range("k --prefix", "", ""), of("k", "l", 0));
        assert_eq!(range("'' --prefix", "", ""), of("\0", "\0", 0));
        assert_eq!(range("k --rev=1 -- ./x a", "", ""), of("k", "", 2));
        assert_eq!(range("k echo x", "", ""), of("k", "", 0));
        assert_eq!(range("", "k", "z"), of("k", "z", 0));
        assert_eq!(range("-- ./x", "k", ""), of("k", "", 1));
    }

    #[test]
    fn refusals() {
        let refused = |line, key, end| planned(line, key, end).unwrap_err();
        assert_eq!(refused("", "", ""), "bad number of arguments");
        assert_eq!(refused("k", "k", ""), "bad number of arguments (found conflicting environment key)");
        assert_eq!(refused("k --", "", ""), "bad number of arguments (found separator --, but no commands)");
        assert_eq!(refused("k", "", "z"), "ETCDCTL_WATCH_KEY is empty but got ETCDCTL_WATCH_RANGE_END=\"z\"");
        assert_eq!(refused("a b --prefix", "", ""), "`range_end` and `--prefix` are mutually exclusive");
    }
}
