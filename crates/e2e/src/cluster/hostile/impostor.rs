//! A member that is none: it was added, but at its address sits this, which answers every stream with garbage.

use crate::cluster::Failure;
use prost::Message as _;
use proto::raftpb::{Entry, Message, MessageType};
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Serves garbage until it is dropped.
#[derive(Debug)]
pub struct Impostor {
    task: tokio::task::JoinHandle<()>,
    served: Arc<AtomicUsize>,
}

impl Impostor {
    /// With lengths that no member survives but a careful one, if `poisoned`.
    pub async fn start(address: &str, cluster: u64, id: u64, poisoned: bool) -> Result<Impostor, Failure> {
        let listener = TcpListener::bind(address).await?;
        let served = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&served);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, cluster, id, poisoned, Arc::clone(&count)));
            }
        });
        Ok(Impostor { task, served })
    }

    /// How many streams got garbage.
    pub fn served(&self) -> usize {
        self.served.load(Ordering::Relaxed)
    }
}

impl Drop for Impostor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Answers one request. Whatever fails, the other side has gone, which it may.
async fn serve(mut stream: TcpStream, cluster: u64, id: u64, poisoned: bool, count: Arc<AtomicUsize>) {
    let mut got = Vec::new();
    let mut part = [0; 4096];
    while !got.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut part).await {
            Ok(length) if length > 0 => got.extend_from_slice(&part[..length]),
            _ => return,
        }
    }
    let head = String::from_utf8_lossy(&got).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default();
    if !path.starts_with("/raft/stream/") {
        let _sent = stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").await;
        return;
    }
    let number = count.fetch_add(1, Ordering::Relaxed);
    let garbage = if path.contains("/msgapp/") { entries(number, id, poisoned) } else { messages(number, id) };
    let answer = format!(
        "HTTP/1.1 200 OK\r\nX-Etcd-Cluster-Id: {cluster:x}\r\nX-Server-Version: 3.5.0\r\n\
         X-Min-Cluster-Version: 3.0.0\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n",
        garbage.len()
    );
    let _sent = stream.write_all(&[answer.as_bytes(), &garbage, b"\r\n"].concat()).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
}

fn noise(number: usize) -> Vec<u8> {
    let mut noise = vec![0; 500];
    StdRng::seed_from_u64(number as u64).fill_bytes(&mut noise);
    noise
}

fn framed(message: &Message) -> Vec<u8> {
    let message = message.encode_to_vec();
    [&(message.len() as u64).to_be_bytes(), message.as_slice()].concat()
}

/// For the message stream, of an old term throughout.
fn messages(number: usize, id: u64) -> Vec<u8> {
    let message =
        |msg_type: MessageType| Message { msg_type: msg_type as i32, from: id, term: 1, ..Default::default() };
    match number / 2 % 6 {
        0 => noise(number),
        1 => u64::MAX.to_be_bytes().to_vec(),
        // Less than the limit of a message, and nothing behind it.
        2 => (400u64 << 20).to_be_bytes().to_vec(),
        3 => [MessageType::MsgHup, MessageType::MsgBeat, MessageType::MsgCheckQuorum]
            .into_iter()
            .flat_map(|msg_type| framed(&message(msg_type)))
            .collect(),
        4 => [MessageType::MsgUnreachable, MessageType::MsgSnapStatus]
            .into_iter()
            .flat_map(|msg_type| framed(&message(msg_type)))
            .collect(),
        _ => [&5u64.to_be_bytes()[..], &[2, 2, 2, 2, 2]].concat(),
    }
}

/// For the stream of entries, of an old term throughout.
fn entries(number: usize, id: u64, poisoned: bool) -> Vec<u8> {
    let first = |entries| Message {
        msg_type: MessageType::MsgApp as i32,
        from: id,
        term: 1,
        log_term: 1,
        index: 5,
        entries,
        ..Default::default()
    };
    let entry = |index| Entry { term: 1, index, ..Default::default() };
    match number / 2 % 6 {
        0 if poisoned => noise(number),
        // A kind that there is not: with another first byte noise may be a length.
        0 => [&[9][..], &noise(number)].concat(),
        // Entries before any message has said where they belong.
        1 => [&[1][..], &1u64.to_be_bytes(), &0u64.to_be_bytes(), &7u64.to_be_bytes()].concat(),
        2 if poisoned => [&[1][..], &u64::MAX.to_be_bytes()].concat(),
        3 => [&[2][..], &framed(&first(vec![entry(7), entry(9), entry(3)]))].concat(),
        4 if poisoned => [&[2][..], &u64::MAX.to_be_bytes()].concat(),
        _ => vec![7, 7, 7],
    }
}
