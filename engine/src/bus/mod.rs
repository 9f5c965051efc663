//! What the engine needs of a bus, and the two that there are.
//!
//! - [`nats`]: the real one. It alone imports the NATS client.
//! - [`memory`]: in this process, for the demo, plugin tests and simulation. It is **not durable**: a restart loses all.
//!
//! Both pass one conformance suite. A delivery promise that the README makes is tested against a real server.

mod batch;
pub mod memory;
pub mod nats;

use std::time::Duration;

use futures::future::BoxFuture;

pub(crate) use self::batch::{BATCH_COMMIT_HEADER, BATCH_ID_HEADER, BATCH_SEQUENCE_HEADER, check_batch};
pub use self::batch::{BATCH_OVERHEAD_BYTES, BatchStored, MAX_BATCH};
pub use crate::manifest::Start;
use crate::message::Message;
use crate::subject::{MAX_NAME_BYTES, Pattern, is_stream_name};

/// Where a message stands in a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The stream's name.
    pub stream: String,
    /// When the stream was created, milliseconds since the Unix epoch. Together with the name it tells a stream from a
    /// later one of the same name, whose sequences start again at 1.
    pub incarnation_ms: u64,
    /// The message's sequence in the stream.
    pub sequence: u64,
    /// When the stream stored it, nanoseconds since the Unix epoch.
    pub stored_ns: u64,
    /// Which delivery this is, from 1.
    pub attempt: u32,
}

/// Names one delivery to the bus that made it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Receipt(pub(crate) String);

/// One message handed to a subscriber.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The message.
    pub message: Message,
    /// Where it stands in its stream; none for a core subscription, which is at-most-once.
    pub position: Option<Position>,
    /// What [`Bus::settle`] needs; none for a core subscription.
    pub receipt: Option<Receipt>,
    /// When it came into this process: the ack wait has run since.
    pub received: tokio::time::Instant,
}

/// What becomes of one delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// Done: never deliver it again.
    Ack,
    /// Deliver it again after the delay.
    Nak(Duration),
    /// It failed for good and is kept elsewhere: never deliver it again.
    Term,
    /// Still at work: start the ack wait anew.
    InProgress,
}

/// A durable subscription of one plugin to one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DurableSpec {
    /// The stream.
    pub stream: String,
    /// The consumer's name, shared by all engines that run the plugin.
    pub durable: String,
    /// Which of the stream's subjects.
    pub filters: Vec<Pattern>,
    /// Where a consumer that does not exist yet begins.
    pub start: Start,
    /// How long the server waits for a settlement before it delivers again.
    pub ack_wait: Duration,
    /// The most messages delivered and not settled, over all engines.
    pub max_ack_pending: u32,
    /// The most messages to hold here ahead of their handling.
    pub prefetch: usize,
    /// The most bytes of them. One message of the largest size that the server takes may always wait.
    pub prefetch_bytes: usize,
}

/// A subscription without a stream: at-most-once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoreSpec {
    /// What to subscribe to.
    pub subject: Pattern,
    /// Engines that share a queue group share the messages; none means every engine gets all.
    pub queue_group: Option<String>,
    /// How many messages may wait here before further ones are dropped and counted.
    pub buffer: usize,
}

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
    /// Whether it takes batches, see [`Bus::publish_batch`].
    pub atomic: bool,
}

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
    /// Whether it takes batches, see [`Bus::publish_batch`].
    pub atomic: bool,
    /// The largest message that it stores, headers included, in bytes; none if it has no limit of its own.
    pub max_message_bytes: Option<usize>,
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

/// What went wrong on the bus.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// There is no connection, or it broke off under the operation.
    #[error("{operation}: no connection to {url}: {reason}")]
    Disconnected {
        /// What was tried.
        operation: String,
        /// The server's address, without credentials.
        url: String,
        /// What the client says.
        reason: String,
    },
    /// No answer in time.
    #[error("{operation}: no answer within {after:?}")]
    TimedOut {
        /// What was tried.
        operation: String,
        /// How long it was awaited.
        after: Duration,
    },
    /// No stream stores this subject, so nothing would keep the message.
    #[error(
        "no stream stores subject {subject:?}\n  hint: declare one under [[streams]] or create it on the server"
    )]
    NoStream {
        /// The subject.
        subject: String,
    },
    /// The stream does not exist.
    #[error("stream {0:?} does not exist\n  hint: declare it under [[streams]] or create it on the server")]
    StreamMissing(String),
    /// A consumer of this name exists with settings that cannot be changed.
    #[error(
        "consumer {durable:?} of stream {stream:?} exists with other settings: {difference}\n  hint: delete it on the server, or give the subscription another `durable` name"
    )]
    ConsumerConflict {
        /// The stream.
        stream: String,
        /// The consumer.
        durable: String,
        /// What differs.
        difference: String,
    },
    /// The stream takes no such message, now or later: it is over the stream's own size limit.
    #[error("publish to {subject:?}: the stream refuses this message: {reason}")]
    Unacceptable {
        /// The subject.
        subject: String,
        /// The server's answer.
        reason: String,
    },
    /// The stream holds a message with an id of the batch already, so it stored nothing of it.
    #[error("publish a batch: the stream holds a message with one of its ids already")]
    Repeated,
    /// This can be no batch: the stream takes none, they are too many, or they go to different streams.
    #[error("publish a batch: {reason}")]
    NoBatch {
        /// Why.
        reason: String,
    },
    /// Bigger than the server takes.
    #[error("a message of {bytes} bytes to {subject:?} is over the server's max_payload of {limit}")]
    TooLarge {
        /// The subject.
        subject: String,
        /// Headers and payload.
        bytes: usize,
        /// The server's limit.
        limit: usize,
    },
    /// The server refused: no permission, stream full, and the like.
    #[error("{operation}: the server refused: {reason}")]
    Refused {
        /// What was tried.
        operation: String,
        /// The server's answer.
        reason: String,
    },
    /// The settings make no connection: bad URL, unreadable credentials.
    #[error("bus settings: {0}")]
    Settings(String),
}

impl BusError {
    /// Whether the same operation may succeed later without anybody changing anything.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Disconnected { .. } | Self::TimedOut { .. })
    }
}

/// What happened to the connection; for logs, status and metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BusEvent {
    /// Connected, for the first time or again.
    Connected,
    /// The connection broke off; the client keeps trying.
    Disconnected,
    /// A core subscription's buffer was full and this many messages were dropped.
    Dropped {
        /// What was subscribed to.
        subject: String,
        /// How many.
        count: u64,
    },
}

/// Messages coming in on one subscription.
pub trait Intake: Send {
    /// The next message; `None` once the subscription is closed.
    ///
    /// An error is transient when [`BusError::is_transient`] says so: the intake goes on by itself and may be asked again.
    fn next(&mut self) -> BoxFuture<'_, Option<Result<Delivery, BusError>>>;

    /// How many messages were dropped because nobody took them in time. Always 0 for a durable subscription.
    fn dropped(&self) -> u64;
}

/// A bus: streams with durable consumers, and plain subjects beside them.
///
/// All methods may be called from many tasks at once. Dropping a returned future gives the operation up; a publish that
/// was given up may or may not have been stored.
pub trait Bus: Send + Sync + 'static {
    /// Creates the stream if there is none of that name; an existing one is left as it is.
    fn ensure_stream<'a>(&'a self, spec: &'a StreamSpec) -> BoxFuture<'a, Result<StreamInfo, BusError>>;

    /// Looks a stream up by name.
    fn stream<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<StreamInfo, BusError>>;

    /// The streams that store subjects under a pattern.
    fn streams_for<'a>(&'a self, pattern: &'a Pattern) -> BoxFuture<'a, Result<Vec<StreamInfo>, BusError>>;

    /// Sees to the consumer of a durable subscription as [`Bus::consume`] does, and takes nothing from it: what would keep a
    /// subscription from standing shows here, while the one before it still does.
    fn prepare<'a>(&'a self, spec: &'a DurableSpec) -> BoxFuture<'a, Result<(), BusError>>;

    /// Subscribes durably. The consumer is created if absent; changed filters and limits are brought up to date, and
    /// what cannot be changed is refused.
    fn consume<'a>(&'a self, spec: &'a DurableSpec) -> BoxFuture<'a, Result<Box<dyn Intake>, BusError>>;

    /// Whether a stream has a durable consumer of this name: whether somebody subscribed so at some time.
    fn has_durable<'a>(&'a self, stream: &'a str, durable: &'a str) -> BoxFuture<'a, Result<bool, BusError>>;

    /// Subscribes without a stream. When it returns, the server has the subscription: proven by a round trip.
    fn subscribe<'a>(&'a self, spec: &'a CoreSpec) -> BoxFuture<'a, Result<Box<dyn Intake>, BusError>>;

    /// Publishes into a stream; resolves when the stream has stored it. The header `Nats-Msg-Id` names it, so that
    /// publishing it again within the duplicate window stores nothing.
    fn publish(&self, message: Message) -> BoxFuture<'_, Result<Stored, BusError>>;

    /// Publishes messages into one stream that takes batches ([`StreamInfo::atomic`]); it stores all of them or none.
    ///
    /// If the stream holds a message with the id of one of them, none is stored: [`BusError::Repeated`]. If they can be no
    /// batch, [`BusError::NoBatch`]. Either way each may be published by itself.
    fn publish_batch(&self, messages: Vec<Message>) -> BoxFuture<'_, Result<BatchStored, BusError>>;

    /// Publishes without a stream's answer: at-most-once.
    fn publish_core(&self, message: Message) -> BoxFuture<'_, Result<(), BusError>>;

    /// Reads messages in order, without a consumer. Fewer than asked for does not mean the end: only none at all does.
    ///
    /// A message whose headers no client can read comes with what can be read of them and
    /// [`crate::event::MALFORMED_HEADER`].
    fn read<'a>(&'a self, spec: &'a ReadSpec) -> BoxFuture<'a, Result<Vec<StoredMessage>, BusError>>;

    /// Takes a message out of a stream; says whether it was there.
    fn erase<'a>(&'a self, stream: &'a str, sequence: u64) -> BoxFuture<'a, Result<bool, BusError>>;

    /// Settles one delivery. The server's answer is not awaited: a lost settlement means a redelivery, which the ids of
    /// the outputs make harmless.
    fn settle<'a>(
        &'a self,
        receipt: &'a Receipt,
        settlement: Settlement,
    ) -> BoxFuture<'a, Result<(), BusError>>;

    /// Resolves when the server has taken everything sent so far: proven by a round trip.
    fn flush(&self) -> BoxFuture<'_, Result<(), BusError>>;

    /// Lets what is under way end, flushes and closes. To be called when all intakes are dropped, so that what they had
    /// not handed out has been given back when it resolves. Later operations fail.
    fn close(&self) -> BoxFuture<'_, Result<(), BusError>> {
        self.flush()
    }

    /// The largest message the server takes, headers included, in bytes.
    fn max_message_bytes(&self) -> usize;

    /// Whether there is a connection now.
    fn is_connected(&self) -> bool;

    /// Waits for the next change of the connection; `None` when the bus is closed. A slow caller may miss some.
    fn events(&self) -> tokio::sync::broadcast::Receiver<BusEvent>;
}

/// Checks the name of a stream or consumer.
pub(crate) fn check_name(operation: &str, name: &str) -> Result<(), BusError> {
    if is_stream_name(name) {
        return Ok(());
    }
    Err(BusError::Refused {
        operation: operation.to_owned(),
        reason: format!(
            "{name:?} is no name: 1 to {MAX_NAME_BYTES} bytes without white space and . * > / \\"
        ),
    })
}
