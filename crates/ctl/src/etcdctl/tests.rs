//! The table of commands against the rules that hold for all of them.

use super::{ETCDCTL, globals};
use crate::cli::{COMMAND, Command, Presence, suggestions, usage};

fn each(command: &'static Command, path: &mut Vec<&'static Command>, visit: &mut impl FnMut(&[&'static Command])) {
    path.push(command);
    visit(path);
    for sub in command.subs {
        each(sub, path, visit);
    }
    path.pop();
}

#[test]
fn no_name_of_a_flag_is_taken_twice_on_the_way_to_a_command() {
    each(ETCDCTL.root, &mut Vec::new(), &mut |path| {
        let command = path[path.len() - 1];
        let flags = path.iter().flat_map(|command| command.persistent).chain(command.flags);
        let mut names: Vec<&str> = flags.map(|flag| flag.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count, "{}", command.name);
    });
}

#[test]
fn what_is_there_does_something_and_what_is_not_is_not_shown() {
    each(ETCDCTL.root, &mut Vec::new(), &mut |path| {
        let command = path[path.len() - 1];
        let known_elsewhere = command.name == "help";
        match command.presence {
            Presence::Later => assert!(command.run.is_none() && command.subs.is_empty()),
            _ => assert!(command.run.is_some() || !command.subs.is_empty() || known_elsewhere, "{}", command.name),
        }
    });
    let usage = usage(&ETCDCTL, &[ETCDCTL.root]);
    for later in ["auth", "user", "role", "check", "make-mirror", "completion"] {
        assert!(!usage.contains(&format!("\n  {later} ")), "{later}");
    }
}

#[test]
fn suggestions_come_in_the_order_of_the_table() {
    assert_eq!(suggestions(ETCDCTL.root, "e"), ["get", "del", "endpoint", "elect"]);
    assert_eq!(suggestions(ETCDCTL.root, "gte"), ["get"]);
    assert_eq!(suggestions(ETCDCTL.root, "ls"), COMMAND.subs.iter().map(|sub| sub.name).collect::<Vec<_>>());
}

#[test]
fn every_global_flag_has_a_variable_of_its_own() {
    assert_eq!(super::env::variable("insecure-skip-tls-verify"), "ETCDCTL_INSECURE_SKIP_TLS_VERIFY");
    assert_eq!(globals::FLAGS.len(), 21);
}
