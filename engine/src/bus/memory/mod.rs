//! A bus inside this process: for the demo without a server, for plugin tests, and for simulation.
//!
//! It is **not durable**: all is gone when it is dropped. It behaves like the server as far as [`Bus`] goes, and keeps
//! tokio's time, so that a test which pauses the clock decides when an ack wait is over.
//!
//! `log` is a stream, `streams` makes them and `publishing` fills them. `consumer` is a durable consumer of one, `reading` and
//! `following` read one without, `listeners` are the subscriptions without a stream, and `intake` is what a subscriber holds
//! of a consumer or of those.

mod consumer;
mod following;
mod intake;
mod listeners;
mod log;
mod publishing;
mod reading;
mod streams;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{Notify, broadcast};
use tokio::time::Instant;

use self::consumer::Consumer;
use self::intake::{CoreIntake, MemoryIntake};
use self::listeners::Listeners;
pub use self::log::DEFAULT_MAX_BYTES;
use self::log::Log;
use super::{
    BatchStored, BucketSpec, Bus, BusError, BusEvent, Confirmation, CoreSpec, DurableSpec, Follow,
    FollowSpec, Intake, OnlyIf, ReadSpec, Receipt, Retention, Settlement, Stored, StoredMessage, StreamInfo,
    StreamSpec, check_name,
};
use crate::message::Message;
use crate::subject::{Pattern, Subject};

/// The largest message it takes, headers included, in bytes: the server's default.
pub const MAX_MESSAGE_BYTES: usize = 1_024 * 1_024;
/// What [`Bus::posting`] answers: nothing ever breaks here.
const ONLY_CONNECTION: u64 = 1;
/// How many events a slow listener may fall behind before it misses some.
const EVENTS_KEPT: usize = 1_024;

/// The bus.
pub struct MemoryBus {
    inner: Arc<Inner>,
}

struct Inner {
    state: Mutex<State>,
    events: broadcast::Sender<BusEvent>,
    /// When the bus was made, on both clocks: tokio's tells how much later it is.
    born: (SystemTime, Instant),
    closing: Notify,
}

#[derive(Default)]
struct State {
    streams: BTreeMap<String, Stream>,
    listeners: Listeners,
    /// When the newest stream was made, milliseconds since the Unix epoch.
    newest_incarnation_ms: u64,
    closed: bool,
}

struct Stream {
    log: Log,
    consumers: BTreeMap<String, Consumer>,
    /// Rings for who follows it: when it has stored a message, and when it is deleted.
    bell: Arc<Notify>,
}

impl MemoryBus {
    /// An empty bus. Must be called inside a tokio runtime, whose clock it keeps.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Self::born_at(SystemTime::now())
    }

    /// An empty bus which takes this for the time of day: positions and stored times then follow from tokio's clock alone.
    #[must_use]
    pub fn born_at(time: SystemTime) -> Arc<Self> {
        let born = (time, Instant::now());
        let inner = Inner {
            state: Mutex::default(),
            events: broadcast::Sender::new(EVENTS_KEPT),
            born,
            closing: Notify::new(),
        };
        Arc::new(Self { inner: Arc::new(inner) })
    }

    /// What a stream holds, with sequences, oldest first; nothing if there is no such stream.
    #[must_use]
    pub fn messages(&self, stream: &str) -> Vec<(u64, Message)> {
        let mut state = self.inner.lock();
        let Some(stream) = state.streams.get_mut(stream) else { return Vec::new() };
        stream.log.trim(Instant::now());
        stream.log.from(0).map(|entry| (entry.sequence, Message::clone(&entry.message))).collect()
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, operation: &str) -> Result<MutexGuard<'_, State>, BusError> {
        let state = self.lock();
        if state.closed {
            return Err(disconnected(operation, "the bus is closed"));
        }
        Ok(state)
    }

    fn since_epoch(&self, now: Instant) -> Duration {
        let (wall, started) = self.born;
        wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default() + now.duration_since(started)
    }

    fn prepare(&self, spec: &DurableSpec) -> Result<(), BusError> {
        check_name("consume", &spec.stream)?;
        check_name("consume", &spec.durable)?;
        let mut state = self.open("consume")?;
        let stream = state
            .streams
            .get_mut(&spec.stream)
            .ok_or_else(|| BusError::StreamMissing(spec.stream.clone()))?;
        match stream.consumers.get_mut(&spec.durable) {
            Some(consumer) => consumer.update(spec),
            None => {
                let is_queue = stream.log.retention == Retention::WorkQueue;
                if is_queue && stream.consumers.values().any(|other| other.overlaps(&spec.filters)) {
                    return Err(BusError::Refused {
                        operation: format!("consume stream {:?} as {:?}", spec.stream, spec.durable),
                        reason: "filtered consumer not unique on workqueue stream".to_owned(),
                    });
                }
                let consumer = Consumer::new(spec, stream.log.last_sequence());
                stream.consumers.insert(spec.durable.clone(), consumer);
            }
        }
        Ok(())
    }

    fn consume(self: &Arc<Self>, spec: &DurableSpec) -> Result<MemoryIntake, BusError> {
        self.prepare(spec)?;
        Ok(MemoryIntake::new(Arc::clone(self), spec))
    }

    fn settle(&self, receipt: &Receipt, settlement: Settlement) -> Result<(), BusError> {
        let Some(parts) = ReceiptParts::parse(&receipt.0) else {
            return Err(BusError::Refused {
                operation: "settle".to_owned(),
                reason: format!("{:?} is not a receipt of this bus", receipt.0),
            });
        };
        let mut state = self.open("settle")?;
        if let Some(stream) = state.streams.get_mut(parts.stream)
            && let Some(consumer) = stream.consumers.get_mut(parts.durable)
        {
            let done = consumer.settle(parts.sequence, parts.attempt, settlement, Instant::now());
            if done && stream.log.retention == Retention::WorkQueue {
                stream.log.erase(parts.sequence);
            }
        }
        Ok(())
    }

    fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.listeners.clear();
        self.closing.notify_waiters();
    }
}

fn disconnected(operation: &str, reason: &str) -> BusError {
    BusError::Disconnected {
        operation: operation.to_owned(),
        url: "memory".to_owned(),
        reason: reason.to_owned(),
    }
}

/// A receipt is `mem.<stream>.<durable>.<sequence>.<attempt>`; names hold no dots.
struct ReceiptParts<'a> {
    stream: &'a str,
    durable: &'a str,
    sequence: u64,
    attempt: u32,
}

impl<'a> ReceiptParts<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.strip_prefix("mem.")?.split('.');
        Some(Self {
            stream: parts.next()?,
            durable: parts.next()?,
            sequence: parts.next()?.parse().ok()?,
            attempt: parts.next()?.parse().ok()?,
        })
    }
}

/// A future of something that is done at once, which still lets other tasks have their turn.
async fn at_once<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    tokio::task::coop::consume_budget().await;
    work()
}

impl Bus for MemoryBus {
    fn ensure_stream<'a>(&'a self, spec: &'a StreamSpec) -> BoxFuture<'a, Result<StreamInfo, BusError>> {
        at_once(|| self.inner.ensure_stream(spec)).boxed()
    }

    fn stream<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<StreamInfo, BusError>> {
        at_once(|| self.inner.stream(name)).boxed()
    }

    fn streams_for<'a>(&'a self, pattern: &'a Pattern) -> BoxFuture<'a, Result<Vec<StreamInfo>, BusError>> {
        at_once(|| self.inner.streams_for(pattern)).boxed()
    }

    fn prepare<'a>(&'a self, spec: &'a DurableSpec) -> BoxFuture<'a, Result<(), BusError>> {
        at_once(|| self.inner.prepare(spec)).boxed()
    }

    fn consume<'a>(&'a self, spec: &'a DurableSpec) -> BoxFuture<'a, Result<Box<dyn Intake>, BusError>> {
        at_once(|| self.inner.consume(spec).map(|intake| Box::new(intake) as Box<dyn Intake>)).boxed()
    }

    fn has_durable<'a>(&'a self, stream: &'a str, durable: &'a str) -> BoxFuture<'a, Result<bool, BusError>> {
        at_once(move || self.inner.has_durable(stream, durable)).boxed()
    }

    fn subscribe<'a>(&'a self, spec: &'a CoreSpec) -> BoxFuture<'a, Result<Box<dyn Intake>, BusError>> {
        at_once(|| {
            let (ready, dropped) = self.inner.open("subscribe")?.listeners.add(spec);
            Ok(Box::new(CoreIntake { ready, dropped }) as Box<dyn Intake>)
        })
        .boxed()
    }

    fn publish(&self, message: Message) -> BoxFuture<'_, Result<Stored, BusError>> {
        at_once(move || self.inner.publish(message)).boxed()
    }

    fn publish_batch(&self, messages: Vec<Message>) -> BoxFuture<'_, Result<BatchStored, BusError>> {
        at_once(move || self.inner.route_batch(messages)).boxed()
    }

    fn publish_core(&self, message: Message) -> BoxFuture<'_, Result<(), BusError>> {
        at_once(move || self.inner.route(message).map(|_| ())).boxed()
    }

    fn read<'a>(&'a self, spec: &'a ReadSpec) -> BoxFuture<'a, Result<Vec<StoredMessage>, BusError>> {
        at_once(|| self.inner.read(spec)).boxed()
    }

    fn erase<'a>(&'a self, stream: &'a str, sequence: u64) -> BoxFuture<'a, Result<bool, BusError>> {
        at_once(move || self.inner.erase(stream, sequence)).boxed()
    }

    fn ensure_bucket<'a>(&'a self, spec: &'a BucketSpec) -> BoxFuture<'a, Result<StreamInfo, BusError>> {
        at_once(|| self.inner.ensure_bucket(spec)).boxed()
    }

    fn follow<'a>(&'a self, spec: &'a FollowSpec) -> BoxFuture<'a, Result<Box<dyn Follow>, BusError>> {
        at_once(|| self.inner.follow(spec).map(|follow| Box::new(follow) as Box<dyn Follow>)).boxed()
    }

    fn last<'a>(
        &'a self,
        stream: &'a str,
        subject: &'a Subject,
    ) -> BoxFuture<'a, Result<Option<StoredMessage>, BusError>> {
        at_once(move || self.inner.last(stream, subject)).boxed()
    }

    fn post(&self, message: Message, only_if: OnlyIf) -> BoxFuture<'_, Result<Confirmation, BusError>> {
        at_once(move || self.inner.post(message, only_if)).boxed()
    }

    fn posting(&self) -> u64 {
        ONLY_CONNECTION
    }

    fn purge<'a>(
        &'a self,
        stream: &'a str,
        filter: Option<&'a Pattern>,
    ) -> BoxFuture<'a, Result<u64, BusError>> {
        at_once(move || self.inner.purge(stream, filter)).boxed()
    }

    fn delete_stream<'a>(&'a self, stream: &'a str) -> BoxFuture<'a, Result<bool, BusError>> {
        at_once(move || self.inner.delete_stream(stream)).boxed()
    }

    fn settle<'a>(
        &'a self,
        receipt: &'a Receipt,
        settlement: Settlement,
    ) -> BoxFuture<'a, Result<(), BusError>> {
        at_once(move || self.inner.settle(receipt, settlement)).boxed()
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), BusError>> {
        at_once(|| self.inner.open("flush").map(|_| ())).boxed()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), BusError>> {
        at_once(|| {
            self.inner.close();
            Ok(())
        })
        .boxed()
    }

    fn max_message_bytes(&self) -> usize {
        MAX_MESSAGE_BYTES
    }

    fn is_connected(&self) -> bool {
        !self.inner.lock().closed
    }

    fn events(&self) -> broadcast::Receiver<BusEvent> {
        self.inner.events.subscribe()
    }
}
