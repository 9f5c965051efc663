//! Atomic batches: several messages that one stream stores together or not at all (ADR-50).

use super::BusError;
use crate::message::Message;

/// The most messages of one batch: the server's limit.
pub const MAX_BATCH: usize = 1_000;

/// What a message of a batch weighs more than by itself, in bytes, at most: three headers that say which batch it belongs
/// to, as which of how many, and that it is the last.
pub const BATCH_OVERHEAD_BYTES: usize = 128;

/// Names the batch.
pub(crate) const BATCH_ID_HEADER: &str = "Nats-Batch-Id";
/// Counts its messages, from 1.
pub(crate) const BATCH_SEQUENCE_HEADER: &str = "Nats-Batch-Sequence";
/// Stands in the last.
pub(crate) const BATCH_COMMIT_HEADER: &str = "Nats-Batch-Commit";

/// Where a stream stored a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchStored {
    /// The stream.
    pub stream: String,
    /// The sequence of the last message; the others stand right before it, in their order.
    pub last_sequence: u64,
    /// How many they are.
    pub count: usize,
}

/// Refuses what can be no batch anywhere.
pub(crate) fn check_batch(messages: &[Message]) -> Result<(), BusError> {
    if (1..=MAX_BATCH).contains(&messages.len()) {
        return Ok(());
    }
    Err(BusError::NoBatch { reason: format!("{} messages, not 1 to {MAX_BATCH}", messages.len()) })
}
