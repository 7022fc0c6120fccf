//! What the applier must know of an entry before it is applied, read from its outermost fields only.

use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use proto::raftpb::{ConfChange, Entry, EntryType};

/// The fields of `InternalRaftRequest` that matter here.
const FIELD_ID: u32 = 1;
const FIELD_HEADER: u32 = 100;
const FIELD_USER_ADD: u32 = 1100;
const FIELD_USER_CHANGE_PASSWORD: u32 = 1103;
/// Lease checkpoint, auth status, cluster version, member attributes, downgrade info and test.
const NEWER_FIELDS: [u32; 6] = [11, 1013, 1300, 1301, 1302, 9900];
/// The id inside the header.
const FIELD_HEADER_ID: u32 = 1;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Peek {
    /// The proposer's ticket; 0 where there is none.
    pub id: u64,
    /// The entry may carry a plain password.
    pub may_hold_password: bool,
    /// The entry may be of a kind that older releases do not know.
    pub may_need_newer: bool,
}

/// Looks at an entry. What does not read as a request of v3 gives a default, which asks for nothing.
pub(super) fn peek(entry: &Entry) -> Peek {
    if entry.entry_type == EntryType::EntryNormal as i32 {
        peek_fields(&entry.data).unwrap_or_default()
    } else {
        let change = <ConfChange as prost::Message>::decode(entry.data.clone());
        Peek { id: change.map_or(0, |change| change.id), ..Peek::default() }
    }
}

fn peek_fields(mut data: &[u8]) -> Option<Peek> {
    let mut peek = Peek::default();
    while !data.is_empty() {
        let (tag, wire_type) = decode_key(&mut data).ok()?;
        match (tag, wire_type) {
            (FIELD_ID, WireType::Varint) => {
                let id = decode_varint(&mut data).ok()?;
                if id != 0 {
                    peek.id = id;
                }
            }
            (FIELD_HEADER, WireType::LengthDelimited) => {
                let header = take(&mut data)?;
                if peek.id == 0 {
                    peek.id = header_id(header)?;
                }
            }
            _ => {
                peek.may_hold_password |= matches!(tag, FIELD_USER_ADD | FIELD_USER_CHANGE_PASSWORD);
                peek.may_need_newer |= NEWER_FIELDS.contains(&tag);
                skip_field(wire_type, tag, &mut data, DecodeContext::default()).ok()?;
            }
        }
    }
    Some(peek)
}

fn header_id(mut header: &[u8]) -> Option<u64> {
    while !header.is_empty() {
        let (tag, wire_type) = decode_key(&mut header).ok()?;
        if (tag, wire_type) == (FIELD_HEADER_ID, WireType::Varint) {
            return decode_varint(&mut header).ok();
        }
        skip_field(wire_type, tag, &mut header, DecodeContext::default()).ok()?;
    }
    Some(0)
}

fn take<'a>(data: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = usize::try_from(decode_varint(data).ok()?).ok()?;
    let (head, tail) = data.split_at_checked(len)?;
    *data = tail;
    Some(head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;
    use proto::etcdserverpb::{AuthUserAddRequest, InternalRaftRequest, PutRequest, RequestHeader, V2Request};

    fn of(request: InternalRaftRequest) -> Peek {
        peek(&Entry { data: request.encode_to_vec().into(), ..Entry::default() })
    }

    #[test]
    fn finds_the_ticket() {
        let header = Some(RequestHeader { id: 77, ..RequestHeader::default() });
        let put = Some(PutRequest { key: "k".into(), value: "v".into(), ..PutRequest::default() });
        let request = InternalRaftRequest { header, put, ..InternalRaftRequest::default() };
        assert_eq!(of(request.clone()), Peek { id: 77, ..Peek::default() });
        assert_eq!(of(InternalRaftRequest { id: 5, ..request.clone() }).id, 5);
        let auth_user_add = Some(AuthUserAddRequest::default());
        assert!(of(InternalRaftRequest { auth_user_add, ..request }).may_hold_password);
    }

    #[test]
    fn other_entries_ask_for_nothing_special() {
        assert_eq!(peek(&Entry::default()), Peek::default());
        let v2 = V2Request { id: 9, method: "PUT".into(), path: "/1/a".into(), ..V2Request::default() };
        assert_eq!(peek(&Entry { data: v2.encode_to_vec().into(), ..Entry::default() }).id, 9);
        assert_eq!(peek(&Entry { data: vec![0xff; 30].into(), ..Entry::default() }), Peek::default());
    }
}
