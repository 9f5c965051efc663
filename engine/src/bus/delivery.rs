//! Subscriptions, with a stream and without: what to deliver, what is delivered, and what becomes of it.

use std::time::Duration;

use futures::future::BoxFuture;

use super::BusError;
use crate::manifest::Start;
use crate::message::Message;
use crate::subject::Pattern;

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
    /// What [`Bus::settle`](super::Bus::settle) needs; none for a core subscription.
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
