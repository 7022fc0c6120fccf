//! The language of the scripts: one request a command.
//!
//! Keys and ends write the byte 0 as `\0`. `to=` is a range's end. `user=` and `rev=` are the caller's name and auth
//! revision (by default none). In a transaction, lines begin with `if`, `then` or `else`; after `then txn` or `else txn`
//! the lines that begin with `. ` belong to the nested one.

use std::fmt::Write as _;

use bytes::Bytes;
use proto::etcdserverpb::{self as pb, compare, request_op::Request, response_op::Response};
use proto::raftpb::{ConfChangeType, EntryType};
use proto::{authpb, membershippb, mvccpb};
use state::members::Member;
use state::{Answer, Applied, Effect, Outcome, Version};
use testkit::datadriven::{Case, Part, parse};

use super::Machine;

pub struct Session {
    /// With a client, and without.
    machines: [Machine; 2],
}

impl Session {
    pub fn new() -> Session {
        Session { machines: [Answer::Wanted, Answer::Unwanted].map(|answer| Machine::new(Version::V3_7, answer)) }
    }

    pub fn execute(&mut self, case: &Case) -> String {
        match case.command.as_str() {
            "new" => {
                let release = case.value("release").map_or(Version::V3_7, |v| v.parse().unwrap());
                self.machines = [Answer::Wanted, Answer::Unwanted].map(|answer| Machine::new(release, answer));
                String::new()
            }
            "reopen" => self.reopen(case),
            "snapshot" => {
                self.machines.iter_mut().for_each(Machine::take_snapshot);
                self.alike();
                String::new()
            }
            "show" => self.show(case),
            "conf" => {
                let change = || conf_change(case);
                self.apply(|m| {
                    let (kind, member, is_promote) = change();
                    m.conf_change(kind, member, is_promote)
                })
            }
            "v2" => {
                let request = pb::V2Request {
                    id: 3,
                    method: words(case)[0].to_owned(),
                    path: words(case)[1].to_owned(),
                    val: case.input.trim_end().to_owned(),
                    ..Default::default()
                };
                use prost::Message;
                self.apply(|m| m.append(EntryType::EntryNormal, request.encode_to_vec()))
            }
            "migrate" => {
                let target: Version = words(case)[0].parse().unwrap();
                let needs = case.value("log").map_or(Version::V3_0, |v| v.parse().unwrap());
                let done = self.machines.each_mut().map(|m| m.state.migrate_storage(target, needs));
                self.alike();
                format!("{:?}\n", done[0])
            }
            _ => {
                let request = request_of(case);
                self.apply(|m| m.request(request.clone()))
            }
        }
    }

    fn apply(&mut self, mut apply: impl FnMut(&mut Machine) -> Applied) -> String {
        let [applied, unanswered] = self.machines.each_mut().map(&mut apply);
        assert_eq!(applied.effects, unanswered.effects);
        assert_eq!(applied.revision, unanswered.revision);
        if let (Some(Err(a)), b) = (&applied.outcome, &unanswered.outcome) {
            assert!(b.is_none() || b.as_ref().is_some_and(|b| b.as_ref() == Err(a)), "{a} against {b:?}");
        }
        self.alike();
        print_applied(&applied)
    }

    fn alike(&mut self) {
        let [a, b] = self.machines.each_mut().map(Machine::digest);
        assert_eq!(a, b);
    }

    fn reopen(&mut self, case: &Case) -> String {
        if case.arg("uncommitted").is_none() {
            self.machines.iter_mut().for_each(Machine::commit);
        }
        let quota = case.parsed("quota").unwrap_or(0);
        let before = self.machines[0].digest();
        let mut out = String::new();
        for machine in &mut self.machines {
            machine.quota_bytes = quota;
            let release = case.value("release").map_or(machine.release, |v| v.parse().unwrap());
            let applied = machine.reopen_as(release);
            out.clear();
            for applied in &applied {
                for effect in &applied.effects {
                    writeln!(out, "! {}: {effect:?}", applied.index).unwrap();
                }
            }
        }
        self.alike();
        assert_eq!(before, self.machines[0].digest());
        if case.arg("quiet").is_some() { String::new() } else { out }
    }

    fn show(&self, case: &Case) -> String {
        let machine = &self.machines[0];
        let view = machine.state.reader().view();
        let mut out = String::new();
        match words(case)[0] {
            "leases" => view.leases().iter().for_each(|lease| {
                let keys: Vec<_> = lease.keys.iter().map(|key| text(key)).collect();
                writeln!(out, "{} ttl={} left={} keys={keys:?}", lease.id, lease.ttl_secs, lease.remaining_secs)
                    .unwrap();
            }),
            "members" => {
                view.members().iter().for_each(|m| {
                    writeln!(out, "{:x} {} {:?} {:?}{}", m.id, m.name, m.peer_urls, m.client_urls, learner(m)).unwrap();
                });
                writeln!(out, "removed {:x?}", view.members().removed().collect::<Vec<_>>()).unwrap();
                let conf = machine.state.conf_state();
                writeln!(out, "voters {:?} learners {:?}", conf.voters, conf.learners).unwrap();
            }
            "source" => writeln!(out, "conf changes up to {}", machine.state.conf_source_index()).unwrap(),
            "versions" => writeln!(out, "{}", versions(view.versions())).unwrap(),
            "bucket" => {
                let bucket = mvcc::Bucket::ALL.into_iter().find(|b| b.name() == words(case)[1]).unwrap();
                for pair in view.scan(bucket, b"", None) {
                    let (key, value) = pair.unwrap();
                    writeln!(out, "{} = {}", text(&key), text(&value)).unwrap();
                }
            }
            "tree" => {
                for name in ["members", "removed_members"] {
                    let tree = String::from_utf8(machine.state.snapshot_json().to_vec()).unwrap();
                    let tree = state::v2::Tree::from_json(tree.as_bytes()).unwrap();
                    writeln!(out, "{name} {:?}", tree.view().names(&format!("/0/{name}"))).unwrap();
                }
            }
            other => panic!("show {other}?"),
        }
        out
    }
}

fn learner(member: &Member) -> &'static str {
    if member.is_learner { " learner" } else { "" }
}

fn versions(v: state::versions::Versions) -> String {
    let text = |v: Option<Version>| v.map_or("none".to_owned(), |v| v.to_string());
    format!("cluster {} downgrade {} storage {}", text(v.cluster), text(v.downgrade.target), text(v.storage))
}

fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

fn bytes_of(text: &str) -> Bytes {
    text.replace("\\0", "\0").into_bytes().into()
}

fn words(case: &Case) -> Vec<&str> {
    case.words().collect()
}

fn conf_change(case: &Case) -> (ConfChangeType, Member, bool) {
    use ConfChangeType as T;
    let kind = words(case)[0];
    let member = Member {
        id: case.parsed("id").unwrap(),
        peer_urls: case.value("url").map(str::to_owned).into_iter().collect(),
        is_learner: kind == "add-learner",
        ..Member::default()
    };
    let change_type = match kind {
        "add" | "promote" => T::ConfChangeAddNode,
        "add-learner" => T::ConfChangeAddLearnerNode,
        "remove" => T::ConfChangeRemoveNode,
        "update" => T::ConfChangeUpdateNode,
        other => panic!("conf {other}?"),
    };
    (change_type, member, kind == "promote")
}

/// A request from its command. Unknown commands panic.
fn request_of(case: &Case) -> pb::InternalRaftRequest {
    let mut r = pb::InternalRaftRequest::default();
    let header = pb::RequestHeader {
        id: 9,
        username: case.value("user").unwrap_or_default().to_owned(),
        auth_revision: case.parsed("rev").unwrap_or(0),
    };
    r.header = Some(header);
    match op_of(case) {
        Some(Request::RequestRange(x)) => r.range = Some(x),
        Some(Request::RequestPut(x)) => r.put = Some(x),
        Some(Request::RequestDeleteRange(x)) => r.delete_range = Some(x),
        Some(Request::RequestTxn(x)) => r.txn = Some(x),
        None => fill_other(&mut r, case),
    }
    r
}

fn fill_other(r: &mut pb::InternalRaftRequest, case: &Case) {
    let word = |n: usize| words(case).get(n).copied().unwrap_or_default().to_owned();
    let number = |n: usize| word(n).parse::<i64>().unwrap();
    match case.command.as_str() {
        "compact" => r.compaction = Some(pb::CompactionRequest { revision: number(0), physical: false }),
        "grant" => r.lease_grant = Some(pb::LeaseGrantRequest { id: number(0), ttl: case.parsed("ttl").unwrap() }),
        "revoke" => r.lease_revoke = Some(pb::LeaseRevokeRequest { id: number(0) }),
        "checkpoint" => {
            let left = case.parsed("left").unwrap();
            let checkpoints = vec![pb::LeaseCheckpoint { id: number(0), remaining_ttl: left }];
            r.lease_checkpoint = Some(pb::LeaseCheckpointRequest { checkpoints });
        }
        "alarm" => {
            let action = ["get", "raise", "clear"].iter().position(|a| *a == word(0)).unwrap() as i32;
            let alarm = ["NONE", "NOSPACE", "CORRUPT"].iter().position(|a| *a == word(1)).unwrap() as i32;
            r.alarm = Some(pb::AlarmRequest { action, member_id: case.parsed("member").unwrap_or(0), alarm });
        }
        "cluster-version" => r.cluster_version_set = Some(membershippb::ClusterVersionSetRequest { ver: word(0) }),
        "downgrade" => {
            r.downgrade_info_set =
                Some(membershippb::DowngradeInfoSetRequest { enabled: word(0) != "off", ver: word(0) });
        }
        "attributes" => {
            let client_urls = case.value("url").map(str::to_owned).into_iter().collect();
            let member_attributes = Some(membershippb::Attributes { name: word(0), client_urls });
            let member_id = case.parsed("id").unwrap();
            r.cluster_member_attr_set =
                Some(membershippb::ClusterMemberAttrSetRequest { member_id, member_attributes });
        }
        "unknown" => {}
        _ => fill_auth(r, case),
    }
}

fn fill_auth(r: &mut pb::InternalRaftRequest, case: &Case) {
    let word = |n: usize| words(case).get(n).copied().unwrap_or_default().to_owned();
    let key = || bytes_of(case.value("key").unwrap_or_default());
    let range_end = || bytes_of(case.value("to").unwrap_or_default());
    match case.command.as_str() {
        "auth-enable" => r.auth_enable = Some(pb::AuthEnableRequest {}),
        "auth-disable" => r.auth_disable = Some(pb::AuthDisableRequest {}),
        "auth-status" => r.auth_status = Some(pb::AuthStatusRequest {}),
        "authenticate" => {
            let (name, simple_token) = (word(0), "abcdefghijklmnop".to_owned());
            r.authenticate = Some(pb::InternalAuthenticateRequest { name, password: String::new(), simple_token });
        }
        "user-add" => {
            let options = case.arg("no-password").map(|_| authpb::UserAddOptions { no_password: true });
            let (password, hashed_password) = password(case);
            r.auth_user_add = Some(pb::AuthUserAddRequest { name: word(0), password, hashed_password, options });
        }
        "user-password" => {
            let (password, hashed_password) = password(case);
            r.auth_user_change_password =
                Some(pb::AuthUserChangePasswordRequest { name: word(0), password, hashed_password });
        }
        "user-delete" => r.auth_user_delete = Some(pb::AuthUserDeleteRequest { name: word(0) }),
        "user-get" => r.auth_user_get = Some(pb::AuthUserGetRequest { name: word(0) }),
        "user-list" => r.auth_user_list = Some(pb::AuthUserListRequest {}),
        "user-grant" => r.auth_user_grant_role = Some(pb::AuthUserGrantRoleRequest { user: word(0), role: word(1) }),
        "user-revoke" => r.auth_user_revoke_role = Some(pb::AuthUserRevokeRoleRequest { name: word(0), role: word(1) }),
        "role-add" => r.auth_role_add = Some(pb::AuthRoleAddRequest { name: word(0) }),
        "role-delete" => r.auth_role_delete = Some(pb::AuthRoleDeleteRequest { role: word(0) }),
        "role-get" => r.auth_role_get = Some(pb::AuthRoleGetRequest { role: word(0) }),
        "role-list" => r.auth_role_list = Some(pb::AuthRoleListRequest {}),
        "role-grant" => {
            let kind = ["read", "write", "readwrite"].iter().position(|k| *k == word(1));
            let perm = kind.map(|k| authpb::Permission { perm_type: k as i32, key: key(), range_end: range_end() });
            r.auth_role_grant_permission = Some(pb::AuthRoleGrantPermissionRequest { name: word(0), perm });
        }
        "role-revoke" => {
            r.auth_role_revoke_permission =
                Some(pb::AuthRoleRevokePermissionRequest { role: word(0), key: key(), range_end: range_end() });
        }
        other => panic!("line {}: no command {other}", case.line),
    }
}

/// `plain=` is what 3.4 proposes, `hash=` what later releases do (base64).
fn password(case: &Case) -> (String, String) {
    let text = |key| case.value(key).unwrap_or_default().to_owned();
    (text("plain"), text("hash"))
}

fn op_of(case: &Case) -> Option<Request> {
    let flag = |name: &str| case.words().any(|word| word == name);
    let end = || bytes_of(case.value("to").unwrap_or_default());
    Some(match case.command.as_str() {
        "put" => {
            let pair = &case.args[0];
            let value = pair.values.first().map(|v| bytes_of(v)).unwrap_or_default();
            Request::RequestPut(pb::PutRequest {
                key: bytes_of(&pair.key),
                value,
                lease: case.parsed("lease").unwrap_or(0),
                prev_kv: flag("prev"),
                ignore_value: flag("ignore_value"),
                ignore_lease: flag("ignore_lease"),
            })
        }
        "delete" => Request::RequestDeleteRange(pb::DeleteRangeRequest {
            key: bytes_of(words(case)[0]),
            range_end: end(),
            prev_kv: flag("prev"),
        }),
        "range" => Request::RequestRange(range_of(case)),
        "txn" => Request::RequestTxn(txn_of(&case.input)),
        _ => return None,
    })
}

fn range_of(case: &Case) -> pb::RangeRequest {
    let flag = |name: &str| case.words().any(|word| word == name);
    let number = |key: &str| case.parsed(key).unwrap_or(0);
    let choice = |key: &str, names: &[&str]| {
        let position = |v: &str| names.iter().position(|n| *n == v).expect("a known name") as i32;
        case.value(key).map_or(0, position)
    };
    pb::RangeRequest {
        key: bytes_of(words(case)[0]),
        range_end: bytes_of(case.value("to").unwrap_or_default()),
        limit: number("limit"),
        revision: number("at"),
        sort_order: choice("order", &["none", "ascend", "descend"]),
        sort_target: choice("by", &["key", "version", "create", "mod", "value"]),
        keys_only: flag("keys_only"),
        count_only: flag("count_only"),
        min_mod_revision: number("min_mod"),
        max_mod_revision: number("max_mod"),
        min_create_revision: number("min_create"),
        max_create_revision: number("max_create"),
        ..Default::default()
    }
}

fn txn_of(input: &str) -> pb::TxnRequest {
    let mut txn = pb::TxnRequest::default();
    let mut lines = input.lines().peekable();
    while let Some(line) = lines.next() {
        let (word, rest) = line.split_once(' ').expect("two words at least");
        if word == "if" {
            txn.compare.push(compare_of(rest));
            continue;
        }
        let mut nested = String::new();
        while let Some(inner) = lines.peek().and_then(|l| l.strip_prefix(". ")) {
            nested += inner;
            nested += "\n";
            lines.next();
        }
        let mut case = case_of(rest);
        case.input = nested;
        let op = pb::RequestOp { request: Some(op_of(&case).expect("an op")) };
        match word {
            "then" => txn.success.push(op),
            "else" => txn.failure.push(op),
            other => panic!("txn: {other}?"),
        }
    }
    txn
}

fn case_of(line: &str) -> Case {
    match parse(&format!("{line}\n----\n")).unwrap().remove(0) {
        Part::Case(case) => case,
        Part::Text(text) => panic!("no op: {text}"),
    }
}

/// `target key operator operand [to=end]`
fn compare_of(line: &str) -> pb::Compare {
    use compare::TargetUnion as T;
    let parts: Vec<&str> = line.split(' ').collect();
    let number = || parts[3].parse().unwrap();
    let targets = ["version", "create", "mod", "value", "lease"];
    let target = targets.iter().position(|t| *t == parts[0]).unwrap() as i32;
    let union = match parts[0] {
        "version" => T::Version(number()),
        "create" => T::CreateRevision(number()),
        "mod" => T::ModRevision(number()),
        "lease" => T::Lease(number()),
        _ => T::Value(bytes_of(parts[3])),
    };
    let result = ["=", ">", "<", "!="].iter().position(|o| *o == parts[2]).map_or(99, |p| p as i32);
    let range_end = parts.get(4).and_then(|p| p.strip_prefix("to=")).map(bytes_of).unwrap_or_default();
    pb::Compare { result, target, key: bytes_of(parts[1]), range_end, target_union: Some(union) }
}

fn print_applied(applied: &Applied) -> String {
    let mut out = String::new();
    match &applied.outcome {
        None => {}
        Some(Err(e)) => writeln!(out, "error: {e}").unwrap(),
        Some(Ok(outcome)) => print_outcome(&mut out, outcome),
    }
    for effect in &applied.effects {
        let line = match effect {
            Effect::ConfChange(change) => format!("conf change type {} node {}", change.change_type, change.node_id),
            other => format!("{other:?}"),
        };
        writeln!(out, "! {line}").unwrap();
    }
    out
}

fn revision(header: &Option<pb::ResponseHeader>) -> String {
    header.map_or("no header".to_owned(), |h| format!("rev={}", h.revision))
}

fn print_outcome(out: &mut String, outcome: &Outcome) {
    match outcome {
        Outcome::Put(x) => print_response(out, "", &Response::ResponsePut(x.clone())),
        Outcome::Range(x) => print_response(out, "", &Response::ResponseRange(x.clone())),
        Outcome::DeleteRange(x) => print_response(out, "", &Response::ResponseDeleteRange(x.clone())),
        Outcome::Txn(x) => print_response(out, "", &Response::ResponseTxn(x.clone())),
        Outcome::Compaction { response, .. } => writeln!(out, "compacted {}", revision(&response.header)).unwrap(),
        Outcome::LeaseGrant(x) => writeln!(out, "granted {} ttl={} {}", x.id, x.ttl, revision(&x.header)).unwrap(),
        Outcome::LeaseRevoke(x) => writeln!(out, "revoked {}", revision(&x.header)).unwrap(),
        Outcome::Alarm(x) => writeln!(out, "alarms {:?}", x.alarms).unwrap(),
        Outcome::Authenticate(x) => writeln!(out, "token {}", x.token).unwrap(),
        Outcome::AuthStatus(x) => writeln!(out, "enabled={} revision={}", x.enabled, x.auth_revision).unwrap(),
        Outcome::AuthUserGet(x) => writeln!(out, "roles {:?}", x.roles).unwrap(),
        Outcome::AuthUserList(x) => writeln!(out, "users {:?}", x.users).unwrap(),
        Outcome::AuthRoleList(x) => writeln!(out, "roles {:?}", x.roles).unwrap(),
        Outcome::AuthRoleGet(x) => x.perm.iter().for_each(|p| {
            writeln!(out, "{} {} to={}", p.perm_type().as_str_name(), text(&p.key), text(&p.range_end)).unwrap();
        }),
        Outcome::Members { member, members } => {
            let ids: Vec<_> = members.iter().map(|m| m.id).collect();
            writeln!(out, "member {:?} of {ids:?}", member.as_ref().map(|m| m.id)).unwrap();
        }
        Outcome::V2(reply) => writeln!(out, "{}", v2(reply)).unwrap(),
        _ => writeln!(out, "ok").unwrap(),
    }
}

fn v2(reply: &state::v2::Reply) -> String {
    match reply {
        state::v2::Reply::Event(event) => format!("{} {}", event.action.name(), event.node.key),
        state::v2::Reply::MemberAttributes { id, attributes } => format!("member {id} is {}", attributes.name),
        other => format!("{other:?}"),
    }
}

fn print_response(out: &mut String, indent: &str, response: &Response) {
    let kvs = |out: &mut String, kvs: &[mvccpb::KeyValue], word: &str| {
        for kv in kvs {
            write!(out, "{indent}{word}{}={} ", text(&kv.key), text(&kv.value)).unwrap();
            write!(out, "create={} mod={} version={}", kv.create_revision, kv.mod_revision, kv.version).unwrap();
            writeln!(out, "{}", if kv.lease != 0 { format!(" lease={}", kv.lease) } else { String::new() }).unwrap();
        }
    };
    match response {
        Response::ResponsePut(x) => {
            writeln!(out, "{indent}put {}", revision(&x.header)).unwrap();
            kvs(out, x.prev_kv.as_slice(), "was ");
        }
        Response::ResponseDeleteRange(x) => {
            writeln!(out, "{indent}deleted {} {}", x.deleted, revision(&x.header)).unwrap();
            kvs(out, &x.prev_kvs, "was ");
        }
        Response::ResponseRange(x) => {
            let more = if x.more { " more" } else { "" };
            writeln!(out, "{indent}range {} count={}{more}", revision(&x.header), x.count).unwrap();
            kvs(out, &x.kvs, "");
        }
        Response::ResponseTxn(x) => {
            writeln!(out, "{indent}txn {} succeeded={}", revision(&x.header), x.succeeded).unwrap();
            for inner in &x.responses {
                match &inner.response {
                    Some(inner) => print_response(out, &format!("{indent}  "), inner),
                    None => writeln!(out, "{indent}  nothing").unwrap(),
                }
            }
        }
    }
}
