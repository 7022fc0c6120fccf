//! `-w protobuf`: the message as it came, without a newline.

use prost::Message;
use proto::etcdserverpb::ResponseHeader;

use super::Answer;

/// Answers about leases are only their header; lists of endpoints are no message at all.
pub fn render(answer: &Answer<'_>) -> Option<Vec<u8>> {
    Some(match answer {
        Answer::Get(answer) => answer.encode_to_vec(),
        Answer::Put(answer) => answer.encode_to_vec(),
        Answer::Delete(answer) => answer.encode_to_vec(),
        Answer::Txn(answer) => answer.encode_to_vec(),
        Answer::Watch(answer) => answer.encode_to_vec(),
        Answer::Grant(answer) => header(&answer.header),
        // etcd revokes and then fails to print; the header says as much as for the other lease commands.
        Answer::Revoke(_, answer) => header(&answer.header),
        Answer::KeepAlive(answer) => header(&answer.header),
        Answer::TimeToLive { answer, .. } => header(&answer.header),
        Answer::Leases(answer) => header(&answer.header),
        Answer::Alarms(answer) => answer.encode_to_vec(),
        Answer::Members(answer) => answer.encode_to_vec(),
        Answer::Added { answer, .. } => answer.encode_to_vec(),
        Answer::Removed(_, answer) => answer.encode_to_vec(),
        Answer::Updated(_, answer) => answer.encode_to_vec(),
        Answer::Promoted(_, answer) => answer.encode_to_vec(),
        Answer::Downgrade(_, answer) => answer.encode_to_vec(),
        Answer::MoveLeader { .. } => Vec::new(),
        Answer::Health(_) | Answer::Status(_) | Answer::HashKv(_) | Answer::FileFigures(_) | Answer::FileHash(_) => {
            return None;
        }
    })
}

fn header(header: &Option<ResponseHeader>) -> Vec<u8> {
    header.as_ref().map(Message::encode_to_vec).unwrap_or_default()
}
