//! Bodies of requests, read within bounds of size and time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout, timeout_at};

use crate::config::{REQUEST_MAX, SILENCE_MAX};
use crate::transport::Shared;

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BodyError {
    #[error("the body is too large")]
    TooLarge,
    #[error("too many bodies are being read")]
    NoRoom,
    #[error("the body was cut short")]
    Cut,
    #[error("the body came too slowly")]
    TooSlow,
}

/// The next piece of a body, which may be silent for that long; `None` at its end.
pub(super) async fn next_piece(body: &mut Incoming, silence_max: Duration) -> Result<Option<Bytes>, BodyError> {
    loop {
        match timeout(silence_max, body.frame()).await {
            Err(_) => return Err(BodyError::TooSlow),
            Ok(None) => return Ok(None),
            Ok(Some(Err(_))) => return Err(BodyError::Cut),
            // Trailers are of no interest.
            Ok(Some(Ok(frame))) => match frame.into_data() {
                Ok(piece) => return Ok(Some(piece)),
                Err(_) => continue,
            },
        }
    }
}

/// Bytes held for bodies that are being read.
struct Held<'a>(&'a AtomicUsize, usize);

impl Held<'_> {
    fn add(&mut self, bytes: usize, max: usize) -> Result<(), BodyError> {
        let before = self.0.fetch_add(bytes, Ordering::Relaxed);
        self.1 += bytes;
        if before + bytes > max { Err(BodyError::NoRoom) } else { Ok(()) }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, Ordering::Relaxed);
    }
}

/// A whole body of at most `max` bytes.
pub(super) async fn read(shared: &Shared, mut body: Incoming, max: usize) -> Result<Bytes, BodyError> {
    let deadline = Instant::now() + REQUEST_MAX;
    let mut held = Held(&shared.bodies_bytes, 0);
    let mut whole = BytesMut::new();
    while let Some(piece) =
        timeout_at(deadline, next_piece(&mut body, SILENCE_MAX)).await.unwrap_or(Err(BodyError::TooSlow))?
    {
        if whole.len() + piece.len() > max {
            return Err(BodyError::TooLarge);
        }
        held.add(piece.len(), shared.config.limits.bodies_bytes_max)?;
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}
