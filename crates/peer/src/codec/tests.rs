use super::*;
use bytes::{BufMut, Bytes, BytesMut};
use proptest::prelude::*;
use prost::Message as _;
use proto::raftpb::Entry;

fn written(out: &mut Output) -> Bytes {
    out.finish();
    let mut all = BytesMut::new();
    while let Some(part) = out.next_part() {
        all.put_slice(&part);
    }
    all.freeze()
}

fn entry(term: u64, index: u64, data: &[u8]) -> Entry {
    Entry { term, index, data: Bytes::copy_from_slice(data), ..Entry::default() }
}

fn append(term: u64, index: u64, entries: Vec<Entry>, commit: u64) -> Message {
    let msg_type = MessageType::MsgApp.into();
    Message { msg_type, to: 1, from: 2, term, log_term: term, index, entries, commit, ..Message::default() }
}

/// All that a decoder makes of the bytes, given in pieces of these lengths (then the rest).
fn decoded(
    bytes: &Bytes,
    cuts: &[usize],
    mut next: impl FnMut(&mut Input) -> Result<Option<Decoded>, CodecError>,
) -> Result<Vec<Decoded>, CodecError> {
    let (mut rest, mut input, mut all) = (bytes.clone(), Input::default(), Vec::new());
    let mut cuts = cuts.iter();
    while !rest.is_empty() {
        let len = cuts.next().map_or(rest.len(), |cut| (*cut).clamp(1, rest.len()));
        input.push(rest.split_to(len));
        while let Some(message) = next(&mut input)? {
            all.push(message);
        }
    }
    Ok(all)
}

fn messages(decoded: Vec<Decoded>) -> Vec<Message> {
    let message = |decoded| match decoded {
        Decoded::Message { message, .. } => Some(message),
        Decoded::Heartbeat { .. } => None,
    };
    decoded.into_iter().filter_map(message).collect()
}

#[test]
fn link_heartbeats_of_all_releases_are_known() {
    let mut out = Output::default();
    encode_heartbeat(&mut out);
    let ours = written(&mut out);
    assert_eq!(&ours[..], b"\0\0\0\0\0\0\0\x02\x08\x08", "as 3.7 writes it");
    let empty_snapshot =
        b"\x08\x08\x10\0\x18\0\x20\0\x28\0\x30\0\x40\0\x4a\x0a\x12\x08\x0a\x02\x28\0\x10\0\x18\0\x50\0\x58\0";
    let zeros = b"\x08\x08\x10\0\x18\0\x20\0\x28\0\x30\0\x40\0\x50\0\x58\0\x68\0";
    for body in [&ours[8..], empty_snapshot, zeros] {
        let mut bytes = BytesMut::new();
        bytes.put_u64(body.len() as u64);
        bytes.put_slice(body);
        let mut decoder = MessageDecoder::default();
        let all = decoded(&bytes.freeze(), &[], |input| decoder.next(input)).unwrap();
        assert_eq!(all, [Decoded::Heartbeat { bytes: body.len() as u64 }]);
    }
}

#[test]
fn appends_that_go_on_are_written_short() {
    let (mut encoder, mut out) = (AppendEncoder::default(), Output::default());
    encoder.encode(append(5, 7, vec![entry(5, 8, b"x")], 7), &mut out);
    assert_eq!(written(&mut out)[0], 2, "the first is whole");
    encoder.encode(append(5, 8, vec![entry(5, 9, b"yz")], 8), &mut out);
    let golden = b"\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x08\x10\x05\x18\x09\x22\x02yz\0\0\0\0\0\0\0\x08";
    assert_eq!(&written(&mut out)[..], golden);
    encoder.encode(append(5, 9, vec![], 9), &mut out);
    assert_eq!(&written(&mut out)[..], b"\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x09", "a commit index alone");
    AppendEncoder::heartbeat(&mut out);
    assert_eq!(&written(&mut out)[..], b"\0");
    encoder.encode(append(5, 8, vec![], 9), &mut out);
    assert_eq!(written(&mut out)[0], 2, "one that goes back is whole");
    encoder.encode(append(6, 8, vec![], 9), &mut out);
    assert_eq!(written(&mut out)[0], 2, "one of another term is whole");
}

#[test]
fn short_appends_are_completed_from_what_went_before() {
    let mut bytes = BytesMut::new();
    let first = append(5, 7, vec![entry(5, 8, b"x")], 7).encode_to_vec();
    bytes.put_u8(2);
    bytes.put_u64(first.len() as u64);
    bytes.put_slice(&first);
    bytes.put_slice(b"\0\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x08\x10\x05\x18\x09\x22\x02yz\0\0\0\0\0\0\0\x08");
    bytes.put_slice(b"\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x09");
    let mut decoder = AppendDecoder::new(1, 2);
    let all = messages(decoded(&bytes.freeze(), &[], |input| decoder.next(input)).unwrap());
    let expected =
        [append(5, 7, vec![entry(5, 8, b"x")], 7), append(5, 8, vec![entry(5, 9, b"yz")], 8), append(5, 9, vec![], 9)];
    assert_eq!(all, expected);
}

#[test]
fn nothing_is_reserved_for_bytes_that_have_not_come() {
    let mut input = Input::default();
    let mut bytes = BytesMut::new();
    bytes.put_u64(FRAME_BYTES_MAX);
    bytes.put_slice(b"abc");
    input.push(bytes.freeze());
    assert_eq!(MessageDecoder::default().next(&mut input), Ok(None));
    assert!(input.held() < 4096, "{}", input.held());
    let mut input = Input::default();
    input.push(Bytes::copy_from_slice(&(FRAME_BYTES_MAX + 1).to_be_bytes()));
    assert_eq!(MessageDecoder::default().next(&mut input), Err(CodecError::TooLarge(FRAME_BYTES_MAX + 1)));
    let mut input = Input::default();
    input.push(Bytes::copy_from_slice(&(ENVELOPE_BYTES_MAX + 1).to_be_bytes()));
    assert_eq!(EnvelopeDecoder::default().next(&mut input), Err(CodecError::TooLarge(ENVELOPE_BYTES_MAX + 1)));
    let mut input = Input::default();
    input.push(Bytes::from_static(b"\x01\xff\xff\xff\xff\xff\xff\xff\xff"));
    assert_eq!(AppendDecoder::new(1, 2).next(&mut input), Ok(None));
    let mut input = Input::default();
    input.push(Bytes::from_static(b"\x03"));
    assert_eq!(AppendDecoder::new(1, 2).next(&mut input), Err(CodecError::UnknownKind(3)));
}

#[test]
fn a_frame_of_empty_entries_is_refused() {
    let small: Vec<u8> = [0x3a, 0].repeat(1000);
    assert_eq!(decode(small.into()).unwrap().entries.len(), 1000);
    let large: Vec<u8> = [0x3a, 0].repeat(1 << 20);
    assert_eq!(decode(large.into()), Err(CodecError::TooLarge(2 << 20)));
    let entries = (1..150_000).map(|index| entry(1, index, b"data")).collect();
    let real = append(1, 0, entries, 0);
    assert_eq!(decode(real.encode_to_vec().into()), Ok(real));
}

#[test]
fn what_is_received_keeps_no_buffer_alive() {
    let (mut encoder, mut out) = (AppendEncoder::default(), Output::default());
    encoder.encode(append(5, 7, vec![entry(5, 8, b"x")], 7), &mut out);
    encoder.encode(append(5, 8, vec![entry(5, 9, b"y")], 7), &mut out);
    let bytes = written(&mut out);
    let mut decoder = AppendDecoder::new(1, 2);
    let all = messages(decoded(&bytes, &[], |input| decoder.next(input)).unwrap());
    let within = |part: &Bytes| bytes.as_ptr_range().contains(&part.as_ptr());
    assert!(all.iter().flat_map(|message| &message.entries).all(|entry| !within(&entry.data)));
}

#[test]
fn large_entries_are_not_copied() {
    let data = Bytes::from(vec![7; 100 << 10]);
    let entry = Entry { term: 5, index: 8, data: data.clone(), ..Entry::default() };
    let (mut encoder, mut out) = (AppendEncoder::default(), Output::default());
    encoder.encode(append(5, 7, vec![entry], 7), &mut out);
    out.finish();
    let mut parts = std::iter::from_fn(|| out.next_part());
    assert!(parts.any(|part| part.as_ptr() == data.as_ptr()));
}

#[test]
fn an_envelope_leaves_the_database_in_the_input() {
    let message = Message { msg_type: MessageType::MsgSnap.into(), to: 1, from: 2, term: 3, ..Message::default() };
    let mut bytes = BytesMut::from(&encode_envelope(&message)[..]);
    bytes.put_slice(b"database");
    let (mut decoder, mut input) = (EnvelopeDecoder::default(), Input::default());
    let mut bytes = bytes.freeze();
    input.push(bytes.split_to(11));
    assert_eq!(decoder.next(&mut input), Ok(None));
    input.push(bytes);
    assert_eq!(decoder.next(&mut input), Ok(Some(message)));
    assert_eq!(&input.take_rest()[..], b"database");
}

#[test]
fn only_what_members_send_each_other_is_admitted() {
    let fine = append(5, 7, vec![entry(5, 8, b"x"), entry(5, 9, b"y")], 7);
    assert_eq!(admit(fine.clone(), 1, Some(2)), Ok(fine.clone()));
    assert_eq!(admit(fine.clone(), 1, None), Ok(fine.clone()));
    assert_eq!(admit(fine.clone(), 9, Some(2)), Err(Unfit::To(1)));
    assert_eq!(admit(fine.clone(), 1, Some(3)), Err(Unfit::From(2)));
    for local in [0, 1, 10, 11, 12, 19, 20, 21, 22, 23, 24, -1, i32::MAX] {
        let message = Message { msg_type: local, ..fine.clone() };
        assert_eq!(admit(message, 1, Some(2)), Err(Unfit::Type(local)));
    }
    let snapshot = Message { msg_type: MessageType::MsgSnap.into(), ..fine.clone() };
    assert_eq!(admit(snapshot, 1, Some(2)), Err(Unfit::Snapshot));
    let gap = append(5, 7, vec![entry(5, 8, b"x"), entry(5, 10, b"y")], 7);
    assert_eq!(admit(gap, 1, Some(2)), Err(Unfit::Gap));
    let wrapped = append(5, u64::MAX, vec![entry(5, 0, b"x")], 7);
    assert_eq!(admit(wrapped, 1, Some(2)), Err(Unfit::Gap));
    let handed_on = Message { msg_type: MessageType::MsgProp.into(), from: 3, index: 0, ..fine.clone() };
    assert!(admit(handed_on, 1, Some(2)).is_ok());
    let local_fields = Message { vote: 3, responses: vec![Message::default()], ..fine.clone() };
    assert_eq!(admit(local_fields, 1, Some(2)), Ok(fine));
}

fn any_entries() -> impl Strategy<Value = Vec<(u64, Vec<u8>)>> {
    prop::collection::vec((1u64..4, prop::collection::vec(any::<u8>(), 0..40)), 0..5)
}

proptest! {
    #[test]
    fn an_append_stream_comes_out_as_it_went_in(
        batches in prop::collection::vec((1u64..4, 0u64..6, any_entries(), 0u64..9, any::<bool>()), 1..12),
        cuts in prop::collection::vec(1usize..30, 0..200),
    ) {
        let (mut encoder, mut out) = (AppendEncoder::default(), Output::default());
        let (mut index, mut expected) = (0, Vec::new());
        for (term, jump, entries, commit, goes_on) in batches {
            index = if goes_on { index } else { jump };
            let first = index + 1;
            let entries: Vec<_> = (first..).zip(&entries).map(|(index, (_, data))| entry(term, index, data)).collect();
            let message = append(term, index, entries, commit);
            index += message.entries.len() as u64;
            expected.push(message.clone());
            encoder.encode(message, &mut out);
            AppendEncoder::heartbeat(&mut out);
        }
        let bytes = written(&mut out);
        let mut decoder = AppendDecoder::new(1, 2);
        prop_assert_eq!(messages(decoded(&bytes, &cuts, |input| decoder.next(input)).unwrap()), expected);
    }

    #[test]
    fn a_message_stream_comes_out_as_it_went_in(
        kinds in prop::collection::vec((0i32..19, any::<u64>(), any_entries(), any::<bool>()), 1..12),
        cuts in prop::collection::vec(1usize..30, 0..200),
    ) {
        let (mut out, mut expected) = (Output::default(), Vec::new());
        for (msg_type, n, entries, reject) in kinds {
            let entries = entries.iter().map(|(term, data)| entry(*term, n, data)).collect();
            let context = Bytes::copy_from_slice(&n.to_be_bytes());
            let message = Message { msg_type, from: 2, to: 1, term: n, entries, reject, context, ..Message::default() };
            let size = encode_message(message.clone(), &mut out);
            prop_assert_eq!(size, message.encoded_len() as u64);
            expected.push(message);
            encode_heartbeat(&mut out);
        }
        let bytes = written(&mut out);
        let mut decoder = MessageDecoder::default();
        prop_assert_eq!(messages(decoded(&bytes, &cuts, |input| decoder.next(input)).unwrap()), expected);
    }

    #[test]
    fn random_bytes_do_no_harm(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        small in prop::collection::vec(0u8..3, 0..200),
        cuts in prop::collection::vec(1usize..30, 0..50),
    ) {
        for bytes in [Bytes::from(bytes), Bytes::from(small)] {
            let mut decoder = AppendDecoder::new(1, 2);
            for decoded in decoded(&bytes, &cuts, |input| decoder.next(input)).unwrap_or_default() {
                if let Decoded::Message { message, .. } = decoded {
                    drop(admit(message, 1, Some(2)));
                }
            }
            let mut decoder = MessageDecoder::default();
            drop(decoded(&bytes, &cuts, |input| decoder.next(input)));
            drop(Message::decode(bytes));
        }
    }
}
