//! Streams: how they are declared, what is known of them, and what is read back.

use std::time::Duration;

use super::{BusError, check_name};
use crate::message::Message;
use crate::subject::Pattern;

/// How long a stream keeps what it has delivered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Retention {
    /// Until its limits are met: anybody may read it again.
    #[default]
    Limits,
    /// Until its consumer is done with it: a work queue. No subject may have two consumers, and each begins with all.
    WorkQueue,
}

/// A stream that a configuration declares. It is created if absent and never altered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamSpec {
    /// Its name.
    pub name: String,
    /// The subjects it stores.
    pub subjects: Vec<Pattern>,
    /// How long it keeps what was delivered.
    pub retention: Retention,
    /// How long it remembers message ids to drop repeats.
    pub duplicate_window: Duration,
    /// The most bytes it keeps, the oldest going first; none means no bound.
    pub max_bytes: Option<u64>,
    /// How long it keeps a message; none means for ever.
    pub max_age: Option<Duration>,
    /// How many servers keep a copy.
    pub replicas: usize,
    /// Whether it takes batches, see [`Bus::publish_batch`](super::Bus::publish_batch).
    pub atomic: bool,
}

/// A key-value bucket: a stream that keeps the last message of each subject. It has no bound, and never drops what is in
/// it by itself.
///
/// The stream's name is `KV_<name>`, its subjects are `$KV.<name>.>`: the layout of ADR-8, so that any NATS tool shows it
/// as a bucket. A key is deleted by a message with the header `KV-Operation: DEL` or `PURGE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketSpec {
    /// Its name.
    pub name: String,
    /// How many servers keep a copy.
    pub replicas: usize,
}

impl BucketSpec {
    /// The name of its stream.
    #[must_use]
    pub fn stream(&self) -> String {
        format!("KV_{}", self.name)
    }

    /// What its stream stores.
    ///
    /// # Errors
    /// [`BusError::Refused`] if its name can be no bucket's.
    pub fn subjects(&self) -> Result<Pattern, BusError> {
        let operation = format!("create bucket {:?}", self.name);
        check_name(&operation, &self.stream())?;
        Pattern::new(format!("$KV.{}.>", self.name))
            .map_err(|error| BusError::Refused { operation, reason: error.to_string() })
    }
}

/// How long a bucket remembers message ids, like any stream whose maker says nothing of it.
pub(crate) const BUCKET_DUPLICATE_WINDOW: Duration = Duration::from_secs(120);

/// What is known of a stream that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamInfo {
    /// Its name.
    pub name: String,
    /// The subjects it stores.
    pub subjects: Vec<Pattern>,
    /// How long it remembers message ids.
    pub duplicate_window: Duration,
    /// When it was created, milliseconds since the Unix epoch.
    pub incarnation_ms: u64,
    /// How many messages it holds.
    pub messages: u64,
    /// The sequence of the last message stored.
    pub last_sequence: u64,
    /// Whether it takes batches, see [`Bus::publish_batch`](super::Bus::publish_batch).
    pub atomic: bool,
    /// The largest message that it stores, headers included, in bytes; none if it has no limit of its own.
    pub max_message_bytes: Option<usize>,
}

impl StreamInfo {
    /// Whether a message with this subject is one of its.
    #[must_use]
    pub fn stores(&self, subject: &str) -> bool {
        self.subjects.iter().any(|pattern| pattern.matches(subject))
    }

    /// The largest message that it stores on a server that takes `server_bytes`, both in bytes with headers.
    #[must_use]
    pub fn largest_message(&self, server_bytes: usize) -> usize {
        self.max_message_bytes.map_or(server_bytes, |bytes| bytes.min(server_bytes))
    }
}

/// What to read of a stream, without a consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadSpec {
    /// The stream.
    pub stream: String,
    /// The first sequence of interest.
    pub from: u64,
    /// Which of its subjects; none means all.
    pub filter: Option<Pattern>,
    /// The most messages to return.
    pub at_most: usize,
}

/// A message read back from a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMessage {
    /// Its sequence in the stream.
    pub sequence: u64,
    /// When the stream stored it, nanoseconds since the Unix epoch.
    pub stored_ns: u64,
    /// The message.
    pub message: Message,
}

/// What one read returns at most, in bytes, the last message aside. Whoever wants more reads on.
pub const READ_BYTES: usize = 8 * 1_024 * 1_024;

/// Where a stream stored a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The stream.
    pub stream: String,
    /// The sequence it has there.
    pub sequence: u64,
    /// The stream held a message with this id already and did not store it again.
    pub duplicate: bool,
}
