//! The printers: every answer in every form that it is offered in (facts: cli-v3, 1, "Output formats").
//!
//! A form is a function from an [`Answer`] to bytes; it says `None` where it does not offer that answer.

mod fields;
mod json;
mod members;
mod offline;
mod protobuf;
mod simple;
mod table;

pub use simple::health_line;

use std::time::Duration;

use proto::etcdserverpb::{
    AlarmResponse, DeleteRangeResponse, DowngradeResponse, HashKvResponse, LeaseGrantResponse, LeaseKeepAliveResponse,
    LeaseLeasesResponse, LeaseRevokeResponse, LeaseTimeToLiveResponse, MemberAddResponse, MemberListResponse,
    MemberPromoteResponse, MemberRemoveResponse, MemberUpdateResponse, PutResponse, RangeResponse, StatusResponse,
    TxnResponse, WatchResponse,
};

use crate::cli::write_out;
use crate::exit::Exit;

/// The forms by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Simple,
    Json,
    Fields,
    Table,
    Protobuf,
}

impl Format {
    const ALL: [Format; 5] = [Format::Simple, Format::Json, Format::Fields, Format::Table, Format::Protobuf];

    fn name(self) -> &'static str {
        match self {
            Format::Simple => "simple",
            Format::Json => "json",
            Format::Fields => "fields",
            Format::Table => "table",
            Format::Protobuf => "protobuf",
        }
    }

    /// The value of `--write-out`.
    pub fn parse(name: &str) -> Result<Format, Exit> {
        let found = Format::ALL.into_iter().find(|format| format.name() == name);
        found.ok_or_else(|| Exit::bad_feature("unsupported output format"))
    }
}

/// What a health check found.
pub struct Health {
    pub endpoint: String,
    pub took: Duration,
    /// Why it is not healthy.
    pub error: Option<String>,
}

/// A file's figures, as `etcdutl snapshot status` shows them.
pub struct FileFigures {
    pub hash: u32,
    pub revision: i64,
    pub total_keys: u64,
    pub total_size: u64,
    pub version: String,
}

/// A file's hash, as `etcdutl hashkv` shows it.
pub struct FileHash {
    pub hash: u32,
    pub hash_revision: i64,
    pub compact_revision: i64,
}

/// Everything that can be printed in more than one form.
pub enum Answer<'a> {
    Get(&'a RangeResponse),
    Put(&'a PutResponse),
    Delete(&'a DeleteRangeResponse),
    Txn(&'a TxnResponse),
    Watch(&'a WatchResponse),
    Grant(&'a LeaseGrantResponse),
    /// The answer does not name the lease.
    Revoke(i64, &'a LeaseRevokeResponse),
    KeepAlive(&'a LeaseKeepAliveResponse),
    TimeToLive {
        answer: &'a LeaseTimeToLiveResponse,
        keys: bool,
    },
    Leases(&'a LeaseLeasesResponse),
    Alarms(&'a AlarmResponse),
    Members(&'a MemberListResponse),
    /// With the name that the member shall have, which the answer does not know, and its URLs as they were given.
    Added {
        name: &'a str,
        peer_urls: &'a str,
        answer: &'a MemberAddResponse,
    },
    /// These three answers do not name the member.
    Removed(u64, &'a MemberRemoveResponse),
    Updated(u64, &'a MemberUpdateResponse),
    Promoted(u64, &'a MemberPromoteResponse),
    Health(&'a [Health]),
    Status(&'a [(String, StatusResponse)]),
    HashKv(&'a [(String, HashKvResponse)]),
    MoveLeader {
        from: u64,
        to: u64,
    },
    /// `validate`, `enable` or `cancel`.
    Downgrade(&'static str, &'a DowngradeResponse),
    FileFigures(&'a FileFigures),
    FileHash(&'a FileHash),
}

/// How the user wants to see answers.
#[derive(Clone, Copy, Debug)]
pub struct Printer {
    pub format: Format,
    pub hex: bool,
    /// `get --print-value-only`
    pub values_only: bool,
}

impl Printer {
    /// Writes the answer to stdout, or says that the form is not offered for it.
    pub fn show(&self, answer: &Answer<'_>) -> Result<(), Exit> {
        match self.render(answer) {
            Some(bytes) => write_out(&bytes),
            None => Err(Exit::bad_feature(format!("{} not supported as output format", self.format.name()))),
        }
    }

    fn render(&self, answer: &Answer<'_>) -> Option<Vec<u8>> {
        match self.format {
            Format::Simple => Some(simple::render(answer, self.hex, self.values_only)),
            Format::Json => Some(json::render(answer, self.hex).into_bytes()),
            Format::Fields => fields::render(answer, self.hex).map(String::into_bytes),
            Format::Table => table::render(answer).map(String::into_bytes),
            Format::Protobuf => protobuf::render(answer),
        }
    }
}

/// The name of an alarm.
fn alarm_name(alarm: i32) -> String {
    use proto::etcdserverpb::AlarmType;
    AlarmType::try_from(alarm).map_or_else(|_| alarm.to_string(), |alarm| alarm.as_str_name().to_owned())
}

/// `PUT` or `DELETE`.
fn event_name(event: i32) -> &'static str {
    if event == proto::mvccpb::event::EventType::Delete as i32 { "DELETE" } else { "PUT" }
}

/// A lease, 16 digits wide.
fn lease_text(id: i64) -> String {
    format!("{id:016x}")
}

/// How a duration shows: as Go writes it.
fn took_text(took: Duration) -> String {
    crate::go::format_duration(i128::try_from(took.as_nanos()).unwrap_or(i128::MAX))
}

/// The text of a list of alarms as health checks and statuses show it.
fn list_text(items: &[String]) -> String {
    items.join(", ")
}

#[cfg(test)]
mod tests;
