//! What clients do below gRPC, frame by frame.

use crate::common::{Scratch, Server};
use std::io::{Read, Write};
use std::net::TcpStream;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// The head of a Range, each field written out.
fn head() -> Vec<u8> {
    let fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/etcdserverpb.KV/Range"),
        (":authority", "x"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    let field = |(name, value): (&str, &str)| {
        [&[0, name.len() as u8], name.as_bytes(), &[value.len() as u8], value.as_bytes()].concat()
    };
    fields.into_iter().flat_map(field).collect()
}

/// Reads frames until one of this kind on this stream; false where the connection ends or is given up before.
fn reads(connection: &mut TcpStream, kind: u8, stream: u32) -> bool {
    let mut head = [0; 9];
    while connection.read_exact(&mut head).is_ok() {
        let [a, b, c, found, _, id @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        if found == GOAWAY || connection.read_exact(&mut payload).is_err() {
            return false;
        }
        if (found, u32::from_be_bytes(id)) == (kind, stream) {
            return true;
        }
    }
    false
}

/// A client that has said hello and does nothing by itself.
pub fn connect(server: &Server) -> TcpStream {
    let mut connection = TcpStream::connect(("127.0.0.1", server.port)).expect("connected");
    connection.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").expect("sent");
    connection.write_all(&frame(SETTINGS, 0, 0, &[])).expect("sent");
    connection
}

const GET_A: [u8; 8] = [0, 0, 0, 0, 3, 0x0a, 1, b'a'];

#[tokio::test]
async fn calls_canceled_in_a_burst_cost_the_others_nothing() {
    let scratch = Scratch::new("burst");
    let server = Server::start(&scratch.path().join("m1.etcd"), &[]).await;
    let mut connection = connect(&server);
    let mut burst = Vec::new();
    for stream in (1..2000).step_by(2) {
        burst.extend(frame(HEADERS, END_HEADERS, stream, &head()));
        burst.extend(frame(DATA, 0, stream, &GET_A));
        burst.extend(frame(RESET, 0, stream, &[0, 0, 0, 8]));
    }
    burst.extend(frame(HEADERS, END_HEADERS, 2001, &head()));
    burst.extend(frame(DATA, END_STREAM, 2001, &GET_A));
    connection.write_all(&burst).expect("sent");
    assert!(reads(&mut connection, DATA, 2001), "the call that was not canceled is answered");
    drop(connection);
    server.stop();
}

#[tokio::test]
async fn no_limit_of_streams_is_no_limit() {
    let scratch = Scratch::new("streams");
    let server = Server::start(&scratch.path().join("m1.etcd"), &["--max-concurrent-streams", "0"]).await;
    let mut connection = connect(&server);
    connection.write_all(&frame(HEADERS, END_HEADERS, 1, &head())).expect("sent");
    connection.write_all(&frame(DATA, END_STREAM, 1, &GET_A)).expect("sent");
    assert!(reads(&mut connection, DATA, 1));
    drop(connection);
    server.stop();
}
