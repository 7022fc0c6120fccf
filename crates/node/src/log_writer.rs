//! The owner of the log: carries out [`Batch`]es, many with one sync.

use crate::action::Batch;
use crate::event::Persisted;

/// Why the log could not be written. Whatever it is, the member must stop: what a failed sync has lost is unknown.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("failed to write the log: {0}")]
    Wal(String),
    /// An earlier write failed.
    #[error("the log is poisoned by an earlier failure")]
    Poisoned,
}

/// Owns the log. Driven as
///
/// ```ignore
/// loop {
///     writer.append(queue.recv()?)?;                            // waits
///     while let Ok(batch) = queue.try_recv() { writer.append(batch)?; }
///     if let Some(persisted) = writer.sync()? { driver.send(Event::Persisted(persisted)) }
/// }
/// ```
pub struct LogWriter {}

impl LogWriter {
    /// Appends what the batch holds; durable only after [`Self::sync`].
    pub fn append(&mut self, _batch: Batch) -> Result<(), LogError> {
        todo!()
    }

    /// Makes all appended batches durable with at most one sync, none where nothing in them asks for it. `None` where
    /// nothing was appended.
    pub fn sync(&mut self) -> Result<Option<Persisted>, LogError> {
        todo!()
    }

    /// Closes the log in good order.
    pub fn close(self) -> Result<(), LogError> {
        todo!()
    }
}
