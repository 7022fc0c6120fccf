//! Requests of a transaction, in the syntax of the commands `get`, `put` and `del` with their own flags.

use proto::etcdserverpb::RequestOp;
use proto::etcdserverpb::request_op::Request;

use crate::cli::{Command, Refused, Values, parse_flags, usage};
use crate::etcdctl::words::words;
use crate::etcdctl::{ETCDCTL, del, get, put};
use crate::exit::{Exit, INVALID_INPUT};

static COMMANDS: [Command; 3] = [get::COMMAND, put::COMMAND, del::COMMAND];

/// Reads one line. What is wrong inside a request ends with the exit code of its command.
pub fn parse(line: &str) -> Result<RequestOp, Exit> {
    let invalid = || Exit::new(INVALID_INPUT, format!("invalid txn request: {line}"));
    let mut words = words(line);
    if words.len() < 2 {
        return Err(Exit::new(INVALID_INPUT, format!("invalid txn compare request: {line}")));
    }
    let name = String::from_utf8_lossy(&words.remove(0)).into_owned();
    let mut fitting = COMMANDS.iter().filter(|command| command.name.starts_with(&name));
    let command = fitting.next().filter(|_| fitting.next().is_none()).ok_or_else(invalid)?;
    let parsed = parse_flags(command.flags.iter(), words).map_err(|refused| {
        if refused != Refused::Help {
            eprintln!("{}", usage(&ETCDCTL, &[ETCDCTL.root, command]));
        }
        invalid()
    })?;
    let request = request(command.name, &parsed.values, &parsed.args)?;
    Ok(RequestOp { request: Some(request.ok_or_else(invalid)?) })
}

fn request(name: &str, flags: &Values, args: &[Vec<u8>]) -> Result<Option<Request>, Exit> {
    Ok(match name {
        // A part of a transaction cannot come as a stream.
        "get" if flags.bool("stream") => None,
        "get" => Some(Request::RequestRange(get::request(flags, args)?)),
        "put" => Some(Request::RequestPut(put::request(flags, args, false)?)),
        _ => Some(Request::RequestDeleteRange(del::request(flags, args)?)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(line: &str) -> (u8, String) {
        let exit = parse(line).unwrap_err();
        (exit.code, exit.message.unwrap_or_default())
    }

    #[test]
    fn requests_with_flags_and_quotes() {
        let Some(Request::RequestPut(put)) = parse(r#"put --prev-kv q1 "a b\tc""#).unwrap().request else {
            panic!("not a put")
        };
        assert_eq!((&put.key[..], &put.value[..], put.prev_kv), (&b"q1"[..], &b"a b\tc"[..], true));
        let Some(Request::RequestRange(get)) = parse("get k --prefix --limit 1").unwrap().request else {
            panic!("not a get")
        };
        assert_eq!((&get.range_end[..], get.limit), (&b"l"[..], 1));
        let Some(Request::RequestDeleteRange(del)) = parse("d a b").unwrap().request else { panic!("not a del") };
        assert_eq!((&del.key[..], &del.range_end[..]), (&b"a"[..], &b"b"[..]));
    }

    #[test]
    fn refusals() {
        assert_eq!(refused("frob k1"), (3, "invalid txn request: frob k1".into()));
        assert_eq!(refused("get"), (3, "invalid txn compare request: get".into()));
        assert_eq!(refused("get --nope k1"), (3, "invalid txn request: get --nope k1".into()));
        assert_eq!(refused("put onlykey").0, 128);
        assert_eq!(refused("get --order=up k").0, 4);
    }
}
