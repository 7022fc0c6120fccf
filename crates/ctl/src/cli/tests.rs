//! Command lines against a small table, with the texts of cobra and pflag.

use super::parse::{Refused, parse};
use super::table::{COMMAND, Command, Flag, Kind, Program};
use super::{find, help, suggestions};

static ROOT: Command = Command {
    name: "tool",
    persistent: &[
        Flag::text("write-out", "simple", "output format").short('w'),
        Flag::new("endpoints", Kind::List, "a:1", "where"),
        Flag::new("timeout", Kind::Duration, "5s", "how long"),
    ],
    subs: &[
        Command {
            name: "get",
            flags: &[Flag::bool("prefix", ""), Flag::int("limit", "0", "at most")],
            run: RUN,
            ..COMMAND
        },
        Command { name: "put", run: RUN, ..COMMAND },
        Command { name: "del", run: RUN, ..COMMAND },
        Command { name: "defrag", short: "defragments", run: RUN, ..COMMAND },
        Command {
            name: "endpoint",
            persistent: &[Flag::bool("cluster", "all of them")],
            subs: &[Command { name: "health", run: RUN, ..COMMAND }, Command { name: "hashkv", run: RUN, ..COMMAND }],
            ..COMMAND
        },
        Command::later("auth"),
    ],
    ..COMMAND
};

const RUN: Option<super::Run> = Some(|_| Ok(()));
static PROGRAM: Program = Program { root: &ROOT, options_command: true, errors_twice: false, describes: false };

fn bytes(line: &str) -> Vec<Vec<u8>> {
    line.split(' ').filter(|word| !word.is_empty()).map(|word| word.trim_matches('\'').as_bytes().to_vec()).collect()
}

fn found(line: &str) -> Result<String, String> {
    find::find(&ROOT, bytes(line)).map(|(path, _)| help::path_text(&path))
}

fn parsed(line: &str) -> Result<super::parse::Parsed, Refused> {
    let (path, rest) = find::find(&ROOT, bytes(line)).unwrap();
    parse(&path, rest)
}

fn wrong(line: &str) -> String {
    match parsed(line) {
        Err(Refused::Wrong(text)) => text,
        Err(Refused::Help) => "help".into(),
        Ok(_) => "fine".into(),
    }
}

#[test]
fn commands_are_found_by_beginnings_and_around_flags() {
    assert_eq!(found("end hea").unwrap(), "tool endpoint health");
    assert_eq!(found("endpoint --cluster health").unwrap(), "tool endpoint health");
    assert_eq!(found("-w json get k").unwrap(), "tool get");
    assert_eq!(found("-w=json get k").unwrap(), "tool get");
    assert_eq!(found("endpoint h").unwrap(), "tool endpoint", "two begin so");
    assert_eq!(found("-h get").unwrap(), "tool", "an unknown flag swallows a word");
    assert_eq!(found("-- get").unwrap(), "tool");
}

#[test]
fn unknown_commands_come_with_suggestions() {
    assert_eq!(found("--nope get k").unwrap_err(), "unknown command \"k\" for \"tool\"");
    assert_eq!(
        found("de x").unwrap_err(),
        "unknown command \"de\" for \"tool\"\n\nDid you mean this?\n\tget\n\tdel\n\tdefrag\n"
    );
    assert_eq!(suggestions(&ROOT, "atuh"), Vec::<&str>::new(), "what is not there is not suggested");
}

#[test]
fn flags_in_every_form() {
    let line = parsed("get k --limit 5 -wjson --prefix --endpoints b:1,c:1 --endpoints=d:1 --timeout=-1s").unwrap();
    assert_eq!((line.values.int("limit"), line.values.text("write-out")), (5, "json"));
    assert!(line.values.bool("prefix"));
    assert_eq!(line.values.list("endpoints"), ["b:1", "c:1", "d:1"]);
    assert_eq!(line.values.duration("timeout"), None);
    assert_eq!(line.args, [b"k"]);
    let line = parsed("get -- -k --limit").unwrap();
    assert_eq!((line.args.len(), line.before_dash), (2, Some(0)));
    assert_eq!(parsed("get - ''").unwrap().args, [&b"-"[..], b""]);
    assert!(!parsed("get --prefix=false").unwrap().values.bool("prefix"));
}

#[test]
fn refusals_of_the_flag_parser() {
    assert_eq!(wrong("get --nope"), "unknown flag: --nope");
    assert_eq!(wrong("get -x"), "unknown shorthand flag: 'x' in -x");
    assert_eq!(wrong("get -limit=1"), "unknown shorthand flag: 'l' in -limit=1");
    assert_eq!(wrong("get --limit"), "flag needs an argument: --limit");
    assert_eq!(wrong("get -w"), "flag needs an argument: 'w' in -w");
    assert_eq!(
        wrong("get --limit=x"),
        "invalid argument \"x\" for \"--limit\" flag: strconv.ParseInt: parsing \"x\": invalid syntax"
    );
    assert_eq!(
        wrong("get --timeout 5"),
        "invalid argument \"5\" for \"--timeout\" flag: time: missing unit in duration \"5\""
    );
    assert_eq!(
        wrong("get --prefix=maybe"),
        "invalid argument \"maybe\" for \"--prefix\" flag: strconv.ParseBool: parsing \"maybe\": invalid syntax"
    );
    assert_eq!(wrong("get ---x"), "bad flag syntax: ---x");
    assert_eq!(wrong("get k -h"), "help");
    assert_eq!(wrong("get --help=false k"), "fine");
}

#[test]
fn the_usage_of_a_command_and_of_a_program() {
    let path = [&ROOT, &ROOT.subs[0]];
    assert_eq!(
        super::usage(&PROGRAM, &path),
        "Usage:\n  tool get [flags]\n\nFlags:\n  -h, --help        show this help\n      --limit int   at most\n      \
         --prefix      \n\nUse \"tool options\" for a list of global command-line options (applies to all commands)."
    );
    let usage = super::usage(&PROGRAM, &[&ROOT]);
    assert!(usage.contains("\n  defrag      defragments\n"), "{usage}");
    assert!(!usage.contains("auth"), "{usage}");
    assert!(super::flag_list(ROOT.persistent).contains("-w, --write-out string    output format (default \"simple\")"));
}
