//! The bus that is a NATS server with JetStream. Nothing else in the engine imports the client library.
//!
//! In reading order: [`settings`] says how to connect (with `context` for those kept by the `nats` tool), `link` is the
//! connection, `in_flight`, `replies` and `publisher` publish with one reply inbox for all, `batch` several messages at once,
//! `poster` in order on a connection of its own. `api` asks JetStream, `streams` and `consumer` keep what is on the server,
//! `source` and `intake` pull from a durable consumer as far `ahead` as they may, `following` from an `ephemeral` one without acks,
//! after `opening` a stream.
//! `read` and `last` read a stream without any, `core_sub` listens without a stream, and `convert` is the border to the client
//! library's messages, of which some are `unreadable` to it.

mod ahead;
mod api;
mod batch;
mod consumer;
mod context;
mod convert;
mod core_sub;
mod ephemeral;
mod following;
mod in_flight;
mod intake;
mod last;
mod link;
mod opening;
mod poster;
mod publisher;
mod read;
mod replies;
pub mod settings;
mod source;
mod streams;
mod unreadable;

use std::sync::Arc;
use std::time::Duration;

use async_nats::message::OutboundMessage;
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::broadcast;
use tokio_util::task::TaskTracker;

use self::api::Api;
use self::in_flight::InFlight;
use self::last::Direct;
use self::link::Link;
use self::poster::Poster;
use self::publisher::Publisher;
pub use self::settings::{NatsSettings, Secret, TlsSettings};
use super::{
    BatchStored, BucketSpec, Bus, BusError, BusEvent, Confirmation, CoreSpec, DurableSpec, Follow,
    FollowSpec, Intake, OnlyIf, ReadSpec, Receipt, Settlement, Stored, StoredMessage, StreamInfo, StreamSpec,
};
use crate::message::Message;
use crate::subject::{Pattern, Subject};

/// How long closing waits for what dropped subscriptions give back.
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);

/// The longest time that a message is put off. The server counts in 64 bits of nanoseconds and adds them to its clock.
const LONGEST_DELAY: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// A connection to NATS.
pub struct NatsBus {
    core: Arc<Core>,
}

/// What the rooms of this module share. Subscriptions keep it alive beyond the bus itself.
struct Core {
    link: Link,
    api: Api,
    publisher: Publisher,
    poster: Poster,
    direct: Direct,
    tasks: TaskTracker,
}

impl NatsBus {
    /// Connects. A lost connection is tried again for ever.
    ///
    /// With `retry_on_initial_connect` it returns before there is a connection, and operations wait for it.
    ///
    /// # Errors
    /// [`BusError::Settings`] if the settings make no connection, [`BusError::Refused`] if the server does not let us in,
    /// [`BusError::Disconnected`] if it cannot be reached. None of them shows a secret.
    pub async fn connect(settings: NatsSettings) -> Result<Arc<Self>, BusError> {
        let settings = link::resolve(settings)?;
        let in_flight = Arc::new(InFlight::default());
        let link = link::connect(&settings, Arc::clone(&in_flight)).await?;
        let publisher = Publisher::start(&link, in_flight, &settings).await?;
        let api = Api::new(settings.jetstream_domain.as_deref());
        let (poster, direct) = (Poster::new(&settings), Direct::default());
        let tasks = TaskTracker::new();
        Ok(Arc::new(Self { core: Arc::new(Core { link, api, publisher, poster, direct, tasks }) }))
    }
}

impl Core {
    async fn settle(&self, receipt: &Receipt, settlement: Settlement) -> Result<(), BusError> {
        const OPERATION: &str = "settle";
        if !source::is_receipt(&receipt.0) {
            return Err(BusError::Refused {
                operation: OPERATION.to_owned(),
                reason: format!("{:?} is not a receipt of this bus", receipt.0),
            });
        }
        self.link.ready(OPERATION).await?;
        let payload = match settlement {
            Settlement::Ack => Bytes::from_static(b"+ACK"),
            Settlement::Nak(Duration::ZERO) => Bytes::from_static(b"-NAK"),
            Settlement::Nak(delay) => {
                format!("-NAK {{\"delay\":{}}}", delay.min(LONGEST_DELAY).as_nanos()).into()
            }
            Settlement::Term => Bytes::from_static(b"+TERM"),
            Settlement::InProgress => Bytes::from_static(b"+WPI"),
        };
        let message =
            OutboundMessage { subject: receipt.0.clone().into(), reply: None, payload, headers: None };
        self.link.send(OPERATION, message).await
    }

    async fn publish_core(&self, mut message: Message) -> Result<(), BusError> {
        publisher::check_size(&self.link, &message)?;
        let reply = message.reply_to.take().map(|reply| String::from(reply).into());
        let mut message = convert::outbound(message)?;
        message.reply = reply;
        self.link.ready("publish").await?;
        self.link.send("publish", message).await
    }

    async fn close(&self) -> Result<(), BusError> {
        tokio::join!(self.publisher.finish(), self.poster.finish());
        self.tasks.close();
        // A subscription that is still held does not end; it loses its connection below.
        let _ = tokio::time::timeout(CLOSE_PATIENCE, self.tasks.wait()).await;
        let flushed = self.publisher.round_trip(&self.link, "close").await;
        self.link.close().await?;
        flushed
    }
}

impl Bus for NatsBus {
    fn ensure_stream<'a>(&'a self, spec: &'a StreamSpec) -> BoxFuture<'a, Result<StreamInfo, BusError>> {
        streams::ensure(&self.core, spec).boxed()
    }

    fn stream<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<StreamInfo, BusError>> {
        streams::lookup(&self.core, name).boxed()
    }

    fn streams_for<'a>(&'a self, pattern: &'a Pattern) -> BoxFuture<'a, Result<Vec<StreamInfo>, BusError>> {
        streams::matching(&self.core, pattern).boxed()
    }

    fn prepare<'a>(&'a self, spec: &'a DurableSpec) -> BoxFuture<'a, Result<(), BusError>> {
        async {
            streams::lookup(&self.core, &spec.stream).await?;
            consumer::ensure(&self.core, spec, consumer::Begin::AsSpecified).await.map(|_| ())
        }
        .boxed()
    }

    fn consume<'a>(&'a self, spec: &'a DurableSpec) -> BoxFuture<'a, Result<Box<dyn Intake>, BusError>> {
        intake::open(&self.core, spec).boxed()
    }

    fn has_durable<'a>(&'a self, stream: &'a str, durable: &'a str) -> BoxFuture<'a, Result<bool, BusError>> {
        async move { consumer::lookup(&self.core, stream, durable).await.map(|found| found.is_some()) }
            .boxed()
    }

    fn subscribe<'a>(&'a self, spec: &'a CoreSpec) -> BoxFuture<'a, Result<Box<dyn Intake>, BusError>> {
        core_sub::open(&self.core, spec).boxed()
    }

    fn publish(&self, message: Message) -> BoxFuture<'_, Result<Stored, BusError>> {
        self.core.publisher.publish(&self.core.link, message).boxed()
    }

    fn publish_batch(&self, messages: Vec<Message>) -> BoxFuture<'_, Result<BatchStored, BusError>> {
        self.core.publisher.publish_batch(&self.core.link, messages).boxed()
    }

    fn publish_core(&self, message: Message) -> BoxFuture<'_, Result<(), BusError>> {
        self.core.publish_core(message).boxed()
    }

    fn read<'a>(&'a self, spec: &'a ReadSpec) -> BoxFuture<'a, Result<Vec<StoredMessage>, BusError>> {
        read::read(&self.core, spec).boxed()
    }

    fn erase<'a>(&'a self, stream: &'a str, sequence: u64) -> BoxFuture<'a, Result<bool, BusError>> {
        read::erase(&self.core, stream, sequence).boxed()
    }

    fn ensure_bucket<'a>(&'a self, spec: &'a BucketSpec) -> BoxFuture<'a, Result<StreamInfo, BusError>> {
        streams::ensure_bucket(&self.core, spec).boxed()
    }

    fn follow<'a>(&'a self, spec: &'a FollowSpec) -> BoxFuture<'a, Result<Box<dyn Follow>, BusError>> {
        following::open(&self.core, spec).boxed()
    }

    fn last<'a>(
        &'a self,
        stream: &'a str,
        subject: &'a Subject,
    ) -> BoxFuture<'a, Result<Option<StoredMessage>, BusError>> {
        last::last(&self.core, stream, subject).boxed()
    }

    fn post(&self, message: Message, only_if: OnlyIf) -> BoxFuture<'_, Result<Confirmation, BusError>> {
        self.core.poster.post(&self.core.link, message, only_if).boxed()
    }

    fn posting(&self) -> u64 {
        self.core.poster.connection()
    }

    fn purge<'a>(
        &'a self,
        stream: &'a str,
        filter: Option<&'a Pattern>,
    ) -> BoxFuture<'a, Result<u64, BusError>> {
        streams::purge(&self.core, stream, filter).boxed()
    }

    fn delete_stream<'a>(&'a self, stream: &'a str) -> BoxFuture<'a, Result<bool, BusError>> {
        streams::delete(&self.core, stream).boxed()
    }

    fn settle<'a>(
        &'a self,
        receipt: &'a Receipt,
        settlement: Settlement,
    ) -> BoxFuture<'a, Result<(), BusError>> {
        self.core.settle(receipt, settlement).boxed()
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), BusError>> {
        self.core.publisher.round_trip(&self.core.link, "flush").boxed()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), BusError>> {
        self.core.close().boxed()
    }

    fn max_message_bytes(&self) -> usize {
        self.core.link.client.max_payload()
    }

    fn is_connected(&self) -> bool {
        self.core.link.is_connected()
    }

    fn events(&self) -> broadcast::Receiver<BusEvent> {
        self.core.link.events()
    }
}
