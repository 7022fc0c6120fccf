//! Answers as text that can be compared: identities of members and clocks taken out, unordered lists sorted.

use proto::etcdserverpb::*;
use std::fmt::Debug;

/// An answer, or the status that came instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Ok(String),
    Failed { code: i32, message: String },
}

impl Answer {
    pub fn of<T: Normal + Debug>(outcome: Result<tonic::Response<T>, tonic::Status>) -> Answer {
        match outcome {
            Ok(response) => {
                let mut response = response.into_inner();
                response.normalise();
                Answer::Ok(format!("{response:?}"))
            }
            Err(status) => Answer::Failed { code: status.code() as i32, message: status.message().to_owned() },
        }
    }
}

/// Takes out of a message what differs between servers by its nature.
pub trait Normal {
    fn normalise(&mut self);
}

fn header(header: &mut Option<ResponseHeader>) {
    if let Some(header) = header {
        header.cluster_id = u64::from(header.cluster_id != 0);
        header.member_id = u64::from(header.member_id != 0);
        header.raft_term = u64::from(header.raft_term != 0);
    }
}

macro_rules! only_header {
    ($($name:ident),*) => {
        $(impl Normal for $name {
            fn normalise(&mut self) {
                header(&mut self.header);
            }
        })*
    };
}

only_header!(
    PutResponse,
    DeleteRangeResponse,
    CompactionResponse,
    LeaseGrantResponse,
    LeaseRevokeResponse,
    RangeResponse
);

impl Normal for TxnResponse {
    fn normalise(&mut self) {
        use response_op::Response;
        header(&mut self.header);
        for op in &mut self.responses {
            match &mut op.response {
                Some(Response::ResponseRange(r)) => r.normalise(),
                Some(Response::ResponsePut(r)) => r.normalise(),
                Some(Response::ResponseDeleteRange(r)) => r.normalise(),
                Some(Response::ResponseTxn(r)) => r.normalise(),
                None => {}
            }
        }
    }
}

impl Normal for LeaseTimeToLiveResponse {
    fn normalise(&mut self) {
        header(&mut self.header);
        self.keys.sort();
        self.ttl = self.ttl.signum();
    }
}

impl Normal for LeaseLeasesResponse {
    fn normalise(&mut self) {
        header(&mut self.header);
        self.leases.sort_by_key(|lease| lease.id);
    }
}

impl Normal for LeaseKeepAliveResponse {
    fn normalise(&mut self) {
        header(&mut self.header);
    }
}

impl Normal for HashKvResponse {
    fn normalise(&mut self) {
        header(&mut self.header);
        // Since 3.6 only; the request names the revision that is compared.
        self.hash_revision = 0;
    }
}

impl Normal for AlarmResponse {
    fn normalise(&mut self) {
        header(&mut self.header);
    }
}
