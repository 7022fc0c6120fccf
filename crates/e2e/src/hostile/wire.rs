//! Garbage on the ports, malformed and oversized messages.

use super::{Failure, Score, count_keys, no_panic, put_keys};
use crate::process::Plan;
use crate::workload;
use bytes::{Buf, BufMut, Bytes};
use client::rpc::etcdserverpb::kv_client::KvClient;
use proto::etcdserverpb::PutRequest;
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

const METHODS: [&str; 24] = [
    "etcdserverpb.KV/Range",
    "etcdserverpb.KV/RangeStream",
    "etcdserverpb.KV/Put",
    "etcdserverpb.KV/DeleteRange",
    "etcdserverpb.KV/Txn",
    "etcdserverpb.KV/Compact",
    "etcdserverpb.Watch/Watch",
    "etcdserverpb.Lease/LeaseGrant",
    "etcdserverpb.Lease/LeaseRevoke",
    "etcdserverpb.Lease/LeaseKeepAlive",
    "etcdserverpb.Lease/LeaseTimeToLive",
    "etcdserverpb.Lease/LeaseLeases",
    "etcdserverpb.Cluster/MemberList",
    "etcdserverpb.Maintenance/Alarm",
    "etcdserverpb.Maintenance/Status",
    "etcdserverpb.Maintenance/Hash",
    "etcdserverpb.Maintenance/HashKV",
    "etcdserverpb.Maintenance/MoveLeader",
    "v3lockpb.Lock/Unlock",
    "v3electionpb.Election/Proclaim",
    "v3electionpb.Election/Resign",
    "v3electionpb.Election/Leader",
    "grpc.health.v1.Health/Check",
    "no.such.Service/Method",
];

/// All cases of this kind.
pub async fn all(plan: &Plan, score: &mut Score, rounds: usize) -> Result<(), Failure> {
    let mut server = plan.start().await?;
    let channel = workload::connect(plan.url()).await?;
    put_keys(&channel, 50).await?;
    let mut random = StdRng::seed_from_u64(7);
    for port in [plan.port, plan.port + 1] {
        for _ in 0..rounds {
            garbage(port, &mut random).await?;
        }
    }
    score.pass("garbage on the client and the peer port");
    for method in METHODS {
        for _ in 0..rounds / 10 + 1 {
            malformed(&channel, method, &mut random).await?;
        }
    }
    score.pass("malformed messages to every method");
    oversized(&channel).await?;
    score.pass("oversized requests");
    if !server.alive()? || count_keys(&channel).await? != 50 {
        return Err("the server or its data did not survive".into());
    }
    server.stop()?;
    no_panic(&plan.log(), "garbage on the wire")
}

/// One connection with random bytes, after nothing, a preface of HTTP/2 or the beginning of an HTTP/1 request.
async fn garbage(port: u16, random: &mut StdRng) -> Result<(), Failure> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let mut bytes = match random.random_range(0..4) {
        0 => b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec(),
        1 => b"GET /health HTTP/1.1\r\nHost: x\r\n".to_vec(),
        2 => b"POST /etcdserverpb.KV/Put HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n".to_vec(),
        _ => Vec::new(),
    };
    let mut noise = vec![0; random.random_range(1..4000)];
    random.fill_bytes(&mut noise);
    bytes.extend(noise);
    // The server may close the connection before all is written or read.
    let _written = stream.write_all(&bytes).await;
    let _shut = stream.shutdown().await;
    let mut answer = Vec::new();
    let _read = stream.read_to_end(&mut answer).await;
    Ok(())
}

/// Random bytes as the message of a method: any status is fine that is not an answer from nowhere.
async fn malformed(channel: &Channel, method: &str, random: &mut StdRng) -> Result<(), Failure> {
    let mut bytes = vec![0; random.random_range(0..300)];
    random.fill_bytes(&mut bytes);
    // Not a valid field: number 0.
    bytes.insert(0, 0x02);
    let mut grpc = tonic::client::Grpc::new(channel.clone());
    grpc.ready().await?;
    let path = format!("/{method}").parse()?;
    let requests = tokio_stream::once(Bytes::from(bytes));
    let outcome = match grpc.streaming(Request::new(requests), path, RawCodec).await {
        Ok(answers) => answers.into_inner().message().await.map(|_| ()),
        Err(status) => Err(status),
    };
    match outcome {
        Err(status) if matches!(status.code(), Code::Internal | Code::Unimplemented | Code::Unknown) => Ok(()),
        other => Err(format!("{method} answered {other:?} to a malformed message").into()),
    }
}

async fn oversized(channel: &Channel) -> Result<(), Failure> {
    let put = |bytes| PutRequest { key: "large".into(), value: vec![b'x'; bytes].into(), ..Default::default() };
    let mut kv = KvClient::new(channel.clone());
    for (bytes, code, text) in [
        (1_572_864, Code::InvalidArgument, "etcdserver: request is too large"),
        (3_000_000, Code::ResourceExhausted, "grpc: received message larger than max (3000012 vs. 2097152)"),
    ] {
        match kv.put(put(bytes)).await {
            Err(status) if status.code() == code && status.message() == text => {}
            other => return Err(format!("a value of {bytes} bytes: {other:?}").into()),
        }
    }
    Ok(())
}

/// Passes bytes as they are.
#[derive(Clone, Copy, Default)]
struct RawCodec;

impl Codec for RawCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = RawCodec;
    type Decoder = RawCodec;

    fn encoder(&mut self) -> RawCodec {
        RawCodec
    }

    fn decoder(&mut self) -> RawCodec {
        RawCodec
    }
}

impl Encoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
