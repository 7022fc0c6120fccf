//! HTTP/1.1 by hand: requests as wrong as one likes, and whatever comes back.

use crate::cluster::Failure;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What came back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// 0 if the connection ended without an answer.
    pub status: u16,
    /// The `Allow` header, if there is one.
    pub allow: String,
    /// Without chunk framing.
    pub body: String,
}

/// A request with its headers.
pub fn request(method: &str, path: &str, headers: &[(&str, String)], body: &[u8]) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: peer\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    [text.as_bytes(), body].concat()
}

/// Sends bytes, ends the sending side if `ends`, and reads until the answer is whole, the connection ends or the time is
/// up.
pub async fn exchange(address: &str, bytes: &[u8], ends: bool, patience: Duration) -> Result<Answer, Failure> {
    let mut stream = TcpStream::connect(address).await?;
    // The server may close the connection before all is written.
    let mut _sent = stream.write_all(bytes).await;
    if ends {
        _sent = stream.shutdown().await;
    }
    let mut got = Vec::new();
    let reading = async {
        let mut part = [0; 16 * 1024];
        while let Ok(length) = stream.read(&mut part).await {
            got.extend_from_slice(&part[..length]);
            if length == 0 || is_whole(&got) {
                break;
            }
        }
    };
    // A stream that is open sends no more: what has come by now counts.
    let _in_time = tokio::time::timeout(patience, reading).await;
    Ok(parse(&got))
}

fn split(got: &[u8]) -> Option<(String, &[u8])> {
    let end = got.windows(4).position(|window| window == b"\r\n\r\n")?;
    Some((String::from_utf8_lossy(&got[..end]).into_owned(), &got[end + 4..]))
}

fn header(head: &str, name: &str) -> Option<String> {
    head.lines().skip(1).find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}

fn is_whole(got: &[u8]) -> bool {
    let Some((head, body)) = split(got) else { return false };
    if let Some(length) = header(&head, "content-length") {
        return length.parse().is_ok_and(|length: usize| body.len() >= length);
    }
    if header(&head, "transfer-encoding").is_some() {
        return body.ends_with(b"0\r\n\r\n");
    }
    head.contains(" 204 ")
}

fn parse(got: &[u8]) -> Answer {
    let Some((head, body)) = split(got) else { return Answer::default() };
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    let chunked = header(&head, "transfer-encoding").is_some();
    let body = if chunked { unchunk(body) } else { body.to_vec() };
    let allow = header(&head, "allow").unwrap_or_default();
    Answer { status, allow, body: String::from_utf8_lossy(&body).trim().to_owned() }
}

fn unchunk(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
        let Ok(length) = usize::from_str_radix(&String::from_utf8_lossy(&rest[..end]), 16) else { break };
        let from = end + 2;
        let to = (from + length).min(rest.len());
        body.extend_from_slice(&rest[from..to]);
        rest = &rest[(to + 2).min(rest.len())..];
    }
    body
}
