//! Requests as entries carry them: etcd does not ask whether their text is UTF-8.

use bytes::Bytes;
use prost::{DecodeError, Message};
use proto::etcdserverpb::V2Request;

/// The texts of a request as mere bytes.
#[derive(Clone, PartialEq, Message)]
struct Texts {
    #[prost(bytes = "bytes", tag = "2")]
    method: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    path: Bytes,
    #[prost(bytes = "bytes", tag = "4")]
    val: Bytes,
    #[prost(bytes = "bytes", tag = "6")]
    prev_value: Bytes,
}

/// The numbers and flags of a request.
#[derive(Clone, PartialEq, Message)]
struct Rest {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(bool, tag = "5")]
    dir: bool,
    #[prost(uint64, tag = "7")]
    prev_index: u64,
    #[prost(bool, optional, tag = "8")]
    prev_exist: Option<bool>,
    #[prost(int64, tag = "9")]
    expiration: i64,
    #[prost(bool, tag = "10")]
    wait: bool,
    #[prost(uint64, tag = "11")]
    since: u64,
    #[prost(bool, tag = "12")]
    recursive: bool,
    #[prost(bool, tag = "13")]
    sorted: bool,
    #[prost(bool, tag = "14")]
    quorum: bool,
    #[prost(int64, tag = "15")]
    time: i64,
    #[prost(bool, tag = "16")]
    stream: bool,
    #[prost(bool, optional, tag = "17")]
    refresh: Option<bool>,
}

/// Reads the bytes of a request. What is not UTF-8 becomes replacement characters, one for each byte, as it does in
/// the JSON of etcd's snapshots and answers.
pub fn decode_request(data: &Bytes) -> Result<V2Request, DecodeError> {
    if let Ok(request) = V2Request::decode(data.clone()) {
        return Ok(request);
    }
    let (texts, rest) = (Texts::decode(data.clone())?, Rest::decode(data.clone())?);
    Ok(V2Request {
        id: rest.id,
        method: text(&texts.method),
        path: text(&texts.path),
        val: text(&texts.val),
        dir: rest.dir,
        prev_value: text(&texts.prev_value),
        prev_index: rest.prev_index,
        prev_exist: rest.prev_exist,
        expiration: rest.expiration,
        wait: rest.wait,
        since: rest.since,
        recursive: rest.recursive,
        sorted: rest.sorted,
        quorum: rest.quorum,
        time: rest.time,
        stream: rest.stream,
        refresh: rest.refresh,
    })
}

fn text(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        out.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_need_not_be_utf_8() {
        let request = V2Request {
            id: 7,
            method: "PUT".into(),
            path: "/1/a".into(),
            val: "x?\u{e9}??".into(),
            dir: true,
            prev_value: "old".into(),
            prev_index: 9,
            prev_exist: Some(false),
            expiration: 5,
            wait: true,
            since: 3,
            recursive: true,
            sorted: true,
            quorum: true,
            time: 11,
            stream: true,
            refresh: Some(true),
        };
        let data = Bytes::from(request.encode_to_vec());
        assert_eq!(decode_request(&data), Ok(request.clone()));
        // 0xe2 0x82 begin a character that does not go on.
        let broken: Vec<u8> = data.iter().map(|b| if *b == b'?' { 0xff } else { *b }).collect();
        let at = broken.iter().rposition(|b| *b == 0xff).unwrap();
        let mut broken = broken;
        broken[at - 1] = 0xe2;
        broken[at] = 0x82;
        let read = decode_request(&broken.into()).unwrap();
        assert_eq!(read, V2Request { val: "x\u{fffd}\u{e9}\u{fffd}\u{fffd}".into(), ..request });
        assert!(decode_request(&Bytes::from_static(b"\x0f")).is_err());
    }
}
