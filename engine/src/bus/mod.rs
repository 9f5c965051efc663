//! What the engine needs of a bus, and the two that there are.
//!
//! - [`nats`]: the real one. It alone imports the NATS client.
//! - [`memory`]: in this process, for the demo, plugin tests and simulation. It is **not durable**: a restart loses all.
//!
//! Both pass one conformance suite. A delivery promise that the README makes is tested against a real server.
//!
//! [`Bus`] is below. `stream` declares streams and buckets, `delivery` is what a subscription needs and brings, `follow`
//! reads a stream in order without acks, `post` sends in order, `batch` stores several messages together, and `error` says
//! what can go wrong.

mod batch;
mod delivery;
mod error;
mod follow;
pub mod memory;
pub mod nats;
mod post;
mod stream;

use futures::future::BoxFuture;

pub(crate) use self::batch::{BATCH_COMMIT_HEADER, BATCH_ID_HEADER, BATCH_SEQUENCE_HEADER, check_batch};
pub use self::batch::{BATCH_OVERHEAD_BYTES, BatchStored, MAX_BATCH};
pub use self::delivery::{BusEvent, CoreSpec, Delivery, DurableSpec, Intake, Position, Receipt, Settlement};
pub use self::error::BusError;
pub(crate) use self::error::check_name;
pub use self::follow::{Begin, Follow, FollowSpec, Followed};
pub use self::post::{Confirmation, OnlyIf};
pub use self::stream::{
    BucketSpec, READ_BYTES, ReadSpec, Retention, Stored, StoredMessage, StreamInfo, StreamSpec,
};
pub use crate::manifest::Start;
use crate::message::Message;
use crate::subject::{Pattern, Subject};

/// A bus: streams with durable consumers, and plain subjects beside them.
///
/// All methods may be called from many tasks at once. Dropping a returned future gives the operation up; a publish that
/// was given up may or may not have been stored.
pub trait Bus: Send + Sync + 'static {
    /// Creates the stream if there is none of that name; an existing one is left as it is.
    fn ensure_stream<'a>(&'a self, spec: &'a StreamSpec) -> BoxFuture<'a, Result<StreamInfo, BusError>>;

    /// Creates a key-value bucket if there is none of that name. One that exists is left as it is, if it is one.
    ///
    /// # Errors
    /// [`BusError::Refused`] if a stream of its name exists that is no bucket, beside what any request may meet.
    fn ensure_bucket<'a>(&'a self, spec: &'a BucketSpec) -> BoxFuture<'a, Result<StreamInfo, BusError>>;

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

    /// Reads a stream in order, from a place on and for ever, without acks. See [`Follow`].
    ///
    /// # Errors
    /// [`BusError::StreamMissing`]; what the server refuses, as for a work queue, which wants acks.
    fn follow<'a>(&'a self, spec: &'a FollowSpec) -> BoxFuture<'a, Result<Box<dyn Follow>, BusError>>;

    /// The last message that a stream stored under a subject; none if there is none, or it was taken out.
    ///
    /// Whatever was confirmed to anybody before the call is seen. Many may be under way at once. To find nothing may take
    /// two requests and costs more than to find something.
    ///
    /// # Errors
    /// [`BusError::StreamMissing`], and what any request may meet.
    fn last<'a>(
        &'a self,
        stream: &'a str,
        subject: &'a Subject,
    ) -> BoxFuture<'a, Result<Option<StoredMessage>, BusError>>;

    /// Sends a message to its stream. The future resolves when the message is on its way, to one that resolves when the
    /// stream has answered; if that is dropped, the message may be stored or not.
    ///
    /// Messages leave in the order in which their futures resolved: who awaits each before making the next has them stored
    /// in that order. Nothing is sent twice, and nothing waits for another connection than the one it was handed to: what had
    /// no answer when that broke fails with [`BusError::Disconnected`], whether stored or not. Messages of a later connection
    /// may be stored all the same while some before them were lost; with [`OnlyIf::connection`] they are not sent. A message
    /// that the stream refuses, or does not answer, does not keep the next one out.
    ///
    /// At most as many as the bus's publish window wait for their answer; the future waits for a place.
    ///
    /// # Errors
    /// The outer future: [`BusError::TooLarge`], [`BusError::Disconnected`] before it was sent. The inner one:
    /// [`BusError::Overtaken`] if the stream's last sequence is another, and what [`Bus::publish`] may meet.
    fn post(&self, message: Message, only_if: OnlyIf) -> BoxFuture<'_, Result<Confirmation, BusError>>;

    /// The connection that messages are posted on now, for [`OnlyIf::connection`]. It changes whenever one breaks off.
    fn posting(&self) -> u64;

    /// Takes all messages out of a stream, or those under a pattern; says how many there were.
    ///
    /// # Errors
    /// [`BusError::StreamMissing`], and what any request may meet.
    fn purge<'a>(
        &'a self,
        stream: &'a str,
        filter: Option<&'a Pattern>,
    ) -> BoxFuture<'a, Result<u64, BusError>>;

    /// Deletes a stream and all in it; says whether it was there.
    ///
    /// # Errors
    /// What any request may meet.
    fn delete_stream<'a>(&'a self, stream: &'a str) -> BoxFuture<'a, Result<bool, BusError>>;

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
