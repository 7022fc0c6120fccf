//! What goes on, for people: one line an entry or message.

use std::fmt::Write as _;

use proto::raftpb::{ConfChangeSingle, ConfChangeType, ConfState, Entry, HardState, Message, Snapshot};

use crate::raw_node::{AnyConfChange, Ready};
use crate::{LOCAL_APPEND_THREAD, LOCAL_APPLY_THREAD};

/// `1/12 EntryNormal "put"`: term, index, type, what is in it.
pub fn entry(entry: &Entry) -> String {
    let content = match AnyConfChange::from_entry(entry) {
        Ok(None) => format!(" {:?}", String::from_utf8_lossy(&entry.data)),
        Ok(Some(change)) => match conf_changes(&change.into_v2().changes).as_str() {
            "" => String::new(),
            changes => format!(" {changes}"),
        },
        Err(error) => format!(" {error}"),
    };
    format!("{}/{} {}{content}", entry.term, entry.index, entry.entry_type().as_str_name())
}

/// Each entry on a line of its own.
pub fn entries(entries: &[Entry]) -> String {
    entries.iter().map(|it| entry(it) + "\n").collect()
}

/// `v1 l2 r3 u4`: voter, learner, removed, updated.
pub fn conf_changes(changes: &[ConfChangeSingle]) -> String {
    let letter = |change: &ConfChangeSingle| match change.change_type() {
        ConfChangeType::ConfChangeAddNode => 'v',
        ConfChangeType::ConfChangeAddLearnerNode => 'l',
        ConfChangeType::ConfChangeRemoveNode => 'r',
        ConfChangeType::ConfChangeUpdateNode => 'u',
    };
    changes.iter().map(|change| format!("{}{}", letter(change), change.node_id)).collect::<Vec<_>>().join(" ")
}

/// Term, vote where there is one, commit index.
pub fn hard_state(hard_state: &HardState) -> String {
    let vote = if hard_state.vote != 0 { format!(" Vote:{}", hard_state.vote) } else { String::new() };
    format!("Term:{}{vote} Commit:{}", hard_state.term, hard_state.commit)
}

/// All lists of a conf state, also the empty ones.
pub fn conf_state(conf_state: &ConfState) -> String {
    let list = |ids: &[u64]| format!("[{}]", ids.iter().map(u64::to_string).collect::<Vec<_>>().join(" "));
    format!(
        "Voters:{} VotersOutgoing:{} Learners:{} LearnersNext:{} AutoLeave:{}",
        list(&conf_state.voters),
        list(&conf_state.voters_outgoing),
        list(&conf_state.learners),
        list(&conf_state.learners_next),
        conf_state.auto_leave
    )
}

/// Index, term and configuration, without the data.
pub fn snapshot(snapshot: &Snapshot) -> String {
    let metadata = snapshot.metadata.clone().unwrap_or_default();
    let conf_state = conf_state(&metadata.conf_state.unwrap_or_default());
    format!("Index:{} Term:{} ConfState:{conf_state}", metadata.index, metadata.term)
}

fn target(id: u64) -> String {
    match id {
        0 => "None".into(),
        LOCAL_APPEND_THREAD => "AppendThread".into(),
        LOCAL_APPLY_THREAD => "ApplyThread".into(),
        id => id.to_string(),
    }
}

/// `1->2 MsgApp Term:1 Log:1/11 Commit:11 …`; responses and snapshot on lines of their own. No line break at the end.
pub fn message(message: &Message) -> String {
    let mut line = String::new();
    write_message(&mut line, message, "").expect("writing to a string");
    line
}

fn write_message(out: &mut String, it: &Message, indent: &str) -> std::fmt::Result {
    let (from, to, msg_type) = (target(it.from), target(it.to), it.msg_type().as_str_name());
    write!(out, "{indent}{from}->{to} {msg_type} Term:{} Log:{}/{}", it.term, it.log_term, it.index)?;
    if it.reject {
        write!(out, " Rejected (Hint: {})", it.reject_hint)?;
    }
    if it.commit != 0 {
        write!(out, " Commit:{}", it.commit)?;
    }
    if it.vote != 0 {
        write!(out, " Vote:{}", it.vote)?;
    }
    match it.entries.as_slice() {
        [] => {}
        [only] => write!(out, " Entries:[{}]", entry(only))?,
        many => {
            out.push_str(" Entries:[");
            for one in many {
                write!(out, "\n{indent}  {}", entry(one))?;
            }
            write!(out, "\n{indent}]")?;
        }
    }
    if let Some(it) = it.snapshot.as_ref().filter(|it| it.metadata.as_ref().is_some_and(|it| it.index != 0)) {
        write!(out, "\n{indent}  Snapshot: {}", snapshot(it))?;
    }
    if !it.responses.is_empty() {
        out.push_str(" Responses:[");
        for response in &it.responses {
            out.push('\n');
            write_message(out, response, &format!("{indent}  "))?;
        }
        write!(out, "\n{indent}]")?;
    }
    Ok(())
}

/// Everything in a [`Ready`], each thing on a line of its own.
pub fn ready(ready: &Ready) -> String {
    let mut text = String::new();
    write_ready(&mut text, ready).expect("writing to a string");
    if text.is_empty() {
        return "<empty Ready>".into();
    }
    format!("Ready MustSync={}:\n{text}", ready.must_sync)
}

fn write_ready(out: &mut String, ready: &Ready) -> std::fmt::Result {
    if let Some(soft_state) = &ready.soft_state {
        writeln!(out, "Lead:{} State:{}", soft_state.leader, soft_state.role)?;
    }
    if let Some(it) = &ready.hard_state {
        writeln!(out, "HardState {}", hard_state(it))?;
    }
    for read in &ready.read_states {
        writeln!(out, "ReadState Index:{} Context:{:?}", read.index, String::from_utf8_lossy(&read.context))?;
    }
    if !ready.entries.is_empty() {
        write!(out, "Entries:\n{}", entries(&ready.entries))?;
    }
    if let Some(it) = &ready.snapshot {
        writeln!(out, "Snapshot {}", snapshot(it))?;
    }
    if !ready.committed_entries.is_empty() {
        write!(out, "CommittedEntries:\n{}", entries(&ready.committed_entries))?;
    }
    if !ready.messages.is_empty() {
        out.push_str("Messages:\n");
        for it in &ready.messages {
            writeln!(out, "{}", message(it))?;
        }
    }
    Ok(())
}
