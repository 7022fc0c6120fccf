//! The commands of scripts.

use std::collections::VecDeque;

use bytes::Bytes;
use proto::raftpb::{
    ConfChange, ConfChangeTransition, ConfChangeV2, ConfState, Entry, Message, MessageType, Snapshot, SnapshotMetadata,
};
use raft::{RawNode, ReadOnlyOption, SnapshotStatus, Storage as _, describe};
use testkit::datadriven::Case;

use super::storage::HistoryStorage;
use super::{Cluster, Node, default_config, parse};

impl Cluster {
    /// Carries out one command. Those of etcd's scripts, then our own.
    pub fn execute(&mut self, case: &Case) -> Result<(), String> {
        let first = || parse::first_id(case);
        match case.command.as_str() {
            "add-nodes" => self.add_nodes(case)?,
            "campaign" => self.node(first()).raw.campaign(),
            "compact" => self.compact(case)?,
            "deliver-msgs" => self.deliver_messages(case),
            "forget-leader" => self.node(first()).raw.forget_leader(),
            "log-level" => self.quiet = case.words().next() == Some("none"),
            "process-append-thread" => {
                self.each(case, "processing append thread", |cluster, id| cluster.process_append(id))?;
            }
            "process-apply-thread" => {
                self.each(case, "processing apply thread", |cluster, id| cluster.process_apply(id))?;
            }
            "process-ready" => self.each(case, "handling Ready", |cluster, id| cluster.process_ready(id))?,
            "propose" => self.propose(case)?,
            "raft-log" => self.print_log(first()),
            "raft-state" => self.print_state(),
            "report-unreachable" => {
                let ids = parse::ids(case);
                self.node(ids[0]).raw.report_unreachable(ids[1]);
            }
            "send-snapshot" => self.send_snapshot(case),
            "set-randomized-election-timeout" => {
                let ticks = case.parsed("timeout").expect("timeout=");
                self.node(first()).raw.set_randomized_election_timeout(ticks);
            }
            "stabilize" => {
                let ids = if case.words().next().is_some() { parse::ids(case) } else { self.ids() };
                let before = self.quiet;
                self.quiet |= case.value("log-level") == Some("none");
                let result = self.stabilize(&ids);
                self.quiet = before;
                result?;
            }
            "status" => {
                for (id, progress) in self.node(first()).raw.status().progress {
                    self.print(format!("{id}: {progress}"));
                }
            }
            "tick-election" => self.tick(first(), |node| node.config.election_ticks),
            "tick-heartbeat" => self.tick(first(), |node| node.config.heartbeat_ticks),
            "transfer-leadership" => {
                let (from, to) = (case.parsed("from").expect("from="), case.parsed("to").expect("to="));
                self.node(from).raw.transfer_leader(to);
            }
            _ => self.execute_own(case)?,
        }
        Ok(())
    }

    /// The words that only our own scripts use.
    fn execute_own(&mut self, case: &Case) -> Result<(), String> {
        match case.command.as_str() {
            // read-index <id> <context>
            "read-index" => {
                let context = case.words().nth(1).unwrap_or_default().to_string();
                self.node(parse::first_id(case)).raw.read_index(Bytes::from(context));
            }
            // report-snapshot <from> <to> status=finish|failure
            "report-snapshot" => {
                let ids = parse::ids(case);
                let status = match case.value("status") {
                    Some("failure") => SnapshotStatus::Failure,
                    _ => SnapshotStatus::Finish,
                };
                self.node(ids[0]).raw.report_snapshot(ids[1], status);
            }
            // restart <id>: all that is not durable is forgotten
            "restart" => self.restart(parse::first_id(case))?,
            // tick <id> n=<ticks>
            "tick" => {
                let ticks: usize = case.parsed("n").expect("n=");
                self.tick(parse::first_id(case), |_| ticks);
            }
            // step <id> type= from= [term= log-term= index= commit= reject-hint= reject= to= entries=(1/12,1/13)
            // snapshot=1/12 voters=(1,2)]: a message made up, as if from a peer
            "step" => self.step(case)?,
            // propose-batch <id> <data> <data> …
            "propose-batch" => {
                let data = case.words().skip(1).map(|word| Bytes::from(word.to_string())).collect();
                let node = self.node(parse::first_id(case));
                node.raw.propose_batch(data).map_err(|error| error.to_string())?;
            }
            // config <id>
            "config" => {
                let config = self.node(parse::first_id(case)).raw.status().config;
                self.print(config.to_string());
            }
            other => return Err(format!("unknown command {other}")),
        }
        Ok(())
    }

    fn each(
        &mut self,
        case: &Case,
        title: &str,
        command: impl Fn(&mut Self, u64) -> Result<(), String>,
    ) -> Result<(), String> {
        let ids = parse::ids(case);
        if let [id] = ids[..] {
            return command(self, id);
        }
        for id in ids {
            self.print(format!("> {id} {title}"));
            self.indented(|cluster| command(cluster, id))?;
        }
        Ok(())
    }

    fn add_nodes(&mut self, case: &Case) -> Result<(), String> {
        let mut config = default_config();
        let flag = |key: &str| case.parsed::<bool>(key).unwrap_or(false);
        config.async_storage_writes = flag("async-storage-writes");
        config.pre_vote = flag("prevote");
        config.check_quorum = flag("checkquorum");
        config.disable_conf_change_validation = flag("disable-conf-change-validation");
        config.disable_proposal_forwarding = flag("disable-proposal-forwarding");
        config.step_down_on_removal = flag("step-down-on-removal");
        config.max_inflight_messages = case.parsed("inflight").unwrap_or(config.max_inflight_messages);
        config.max_inflight_bytes = case.parsed("inflight-bytes").unwrap_or(0);
        config.max_size_per_message = case.parsed("max-size-per-msg").unwrap_or(config.max_size_per_message);
        config.max_committed_size_per_ready = case.parsed("max-committed-size-per-ready").unwrap_or(0);
        config.max_uncommitted_size = case.parsed("max-uncommitted-size").unwrap_or(0);
        config.applied = case.parsed("index").unwrap_or(0);
        if case.value("read-only") == Some("lease-based") {
            config.read_only_option = ReadOnlyOption::LeaseBased;
        }
        let conf_state = ConfState {
            voters: case.parsed_list("voters"),
            learners: case.parsed_list("learners"),
            ..Default::default()
        };
        let data = case.value("content").unwrap_or_default().to_string().into();
        let mut storage = HistoryStorage::default();
        if config.applied > 0 {
            let metadata = SnapshotMetadata { conf_state: Some(conf_state), index: config.applied, term: 1 };
            let snapshot = Snapshot { data, metadata: Some(metadata) };
            storage.append(None, Some(snapshot), &[]).map_err(|error| error.to_string())?;
        }
        for _ in 0..parse::first_id(case) {
            let id = self.nodes.len() as u64 + 1;
            let config = raft::Config { id, ..config.clone() };
            let raw = RawNode::new(config.clone(), storage.clone()).map_err(|error| error.to_string())?;
            self.nodes.push(Node { raw, config, append_work: VecDeque::new(), apply_work: VecDeque::new() });
        }
        Ok(())
    }

    /// Starts a node anew from what is durable, at the state it had last applied.
    fn restart(&mut self, id: u64) -> Result<(), String> {
        let node = self.node(id);
        let mut storage = node.raw.storage().clone();
        let newest = storage.newest.metadata.clone().unwrap_or_default();
        node.config.applied = newest.index;
        // The configuration is part of the applied state.
        if newest.index > 0 {
            let data = storage.newest.data.clone();
            // Errs where the log's own snapshot is as new: then it has the configuration already.
            drop(storage.memory.create_snapshot(newest.index, newest.conf_state, data));
        }
        let config = node.config.clone();
        let raw = RawNode::new(config.clone(), storage).map_err(|error| error.to_string())?;
        *self.node(id) = Node { raw, config, append_work: VecDeque::new(), apply_work: VecDeque::new() };
        Ok(())
    }

    fn compact(&mut self, case: &Case) -> Result<(), String> {
        let ids = parse::ids(case);
        self.node(ids[0]).raw.storage_mut().memory.compact(ids[1]).map_err(|error| error.to_string())?;
        self.print_log(ids[0]);
        Ok(())
    }

    fn deliver_messages(&mut self, case: &Case) {
        let msg_type = case.value("type").map(|name| {
            MessageType::from_str_name(name).unwrap_or_else(|| panic!("line {}: no type {name}", case.line))
        });
        let mut count = 0;
        for id in parse::ids(case) {
            count += self.deliver(id, msg_type);
        }
        for id in case.parsed_list("drop") {
            count += self.drop_messages(id, msg_type);
        }
        if count == 0 {
            self.print("no messages");
        }
    }

    fn propose(&mut self, case: &Case) -> Result<(), String> {
        let data = case.words().nth(1).unwrap_or_default().to_string();
        self.node(parse::first_id(case)).raw.propose(Bytes::from(data)).map_err(|error| error.to_string())
    }

    pub(super) fn propose_conf_change(&mut self, case: &Case) -> Result<(), String> {
        let transition = match case.value("transition") {
            None | Some("auto") => ConfChangeTransition::Auto,
            Some("implicit") => ConfChangeTransition::JointImplicit,
            Some("explicit") => ConfChangeTransition::JointExplicit,
            Some(other) => return Err(format!("unknown transition {other}")),
        };
        let changes = parse::conf_changes(&case.input)?;
        let node = self.node(parse::first_id(case));
        let proposed = if case.value("v1") == Some("true") {
            let [only] = changes[..] else { return Err("v1 conf change can only have one operation".into()) };
            let (change_type, node_id) = (only.change_type, only.node_id);
            node.raw.propose_conf_change(ConfChange { change_type, node_id, ..Default::default() })
        } else {
            let transition = transition as i32;
            node.raw.propose_conf_change(ConfChangeV2 { transition, changes, ..Default::default() })
        };
        proposed.map_err(|error| error.to_string())
    }

    fn send_snapshot(&mut self, case: &Case) {
        let ids = parse::ids(case);
        let (from, to) = (ids[0], ids[1]);
        let raw = &self.node(from).raw;
        let message = Message {
            msg_type: MessageType::MsgSnap as i32,
            term: raw.basic_status().hard_state.term,
            from,
            to,
            snapshot: raw.storage().snapshot().ok(),
            ..Default::default()
        };
        self.print(describe::message(&message));
        self.messages.push(message);
    }

    fn step(&mut self, case: &Case) -> Result<(), String> {
        let id = parse::first_id(case);
        let msg_type = match case.value("type") {
            Some(name) => MessageType::from_str_name(name).map_or_else(|| name.parse().unwrap_or(-1), |it| it as i32),
            None => return Err("no type".into()),
        };
        let number = |key: &str| case.parsed::<u64>(key).unwrap_or(0);
        let snapshot = case.value("snapshot").map(|id| {
            let Entry { term, index, .. } = parse::entry(id);
            let conf_state = Some(ConfState { voters: case.parsed_list("voters"), ..Default::default() });
            Snapshot { metadata: Some(SnapshotMetadata { conf_state, index, term }), ..Default::default() }
        });
        let entries = case.arg("entries").map(|arg| arg.values.clone()).unwrap_or_default();
        let message = Message {
            msg_type,
            to: case.parsed("to").unwrap_or(id),
            entries: entries.iter().map(|id| parse::entry(id)).collect(),
            snapshot,
            from: number("from"),
            term: number("term"),
            log_term: number("log-term"),
            index: number("index"),
            commit: number("commit"),
            reject: case.parsed("reject").unwrap_or(false),
            reject_hint: number("reject-hint"),
            context: case.value("context").unwrap_or_default().to_string().into(),
            ..Default::default()
        };
        self.node(id).raw.step_peer(message).map_err(|error| error.to_string())
    }

    fn tick(&mut self, id: u64, ticks: impl Fn(&Node) -> usize) {
        let node = self.node(id);
        for _ in 0..ticks(node) {
            node.raw.tick();
        }
    }

    fn print_log(&mut self, id: u64) {
        let log = &self.node(id).raw.storage().memory;
        let (first, last) = (log.first_index(), log.last_index());
        let text = if last < first {
            format!("log is empty: first index={first}, last index={last}")
        } else {
            describe::entries(&log.entries(first..last + 1, u64::MAX).expect("the whole log"))
        };
        self.print(text);
    }

    fn print_state(&mut self) {
        for id in self.ids() {
            let status = self.node(id).raw.status();
            let voter = if status.config.voters.contains(id) { "(Voter)" } else { "(Non-Voter)" };
            let (soft, term) = (status.basic.soft_state, status.basic.hard_state.term);
            self.print(format!("{id}: {} {voter} Term:{term} Lead:{}", soft.role, soft.leader));
        }
    }
}
