//! A bus inside this process: for the demo without a server, for plugin tests, and for simulation.
//!
//! It is **not durable**: all is gone when it is dropped. It behaves like the server as far as [`Bus`] goes, and keeps
//! tokio's time, so that a test which pauses the clock decides when an ack wait is over.
//!
//! `log` is a stream, `consumer` a durable consumer of one, `reading` reads one without, `listeners` are the
//! subscriptions without a stream, and `intake` is what a subscriber holds of either.

mod consumer;
mod intake;
mod listeners;
mod log;
mod reading;

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
    BatchStored, Bus, BusError, BusEvent, CoreSpec, DurableSpec, Intake, ReadSpec, Receipt, Retention,
    Settlement, Stored, StoredMessage, StreamInfo, StreamSpec, check_batch, check_name,
};
use crate::message::Message;
use crate::subject::Pattern;

/// The largest message it takes, headers included, in bytes: the server's default.
pub const MAX_MESSAGE_BYTES: usize = 1_024 * 1_024;
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
    closed: bool,
}

struct Stream {
    log: Log,
    consumers: BTreeMap<String, Consumer>,
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
            return Err(BusError::Disconnected {
                operation: operation.to_owned(),
                url: "memory".to_owned(),
                reason: "the bus is closed".to_owned(),
            });
        }
        Ok(state)
    }

    fn since_epoch(&self, now: Instant) -> Duration {
        let (wall, started) = self.born;
        wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default() + now.duration_since(started)
    }

    fn ensure_stream(&self, spec: &StreamSpec) -> Result<StreamInfo, BusError> {
        let operation = format!("create stream {:?}", spec.name);
        check_name(&operation, &spec.name)?;
        let incarnation_ms = u64::try_from(self.since_epoch(Instant::now()).as_millis()).unwrap_or(u64::MAX);
        let mut state = self.open(&operation)?;
        if let Some(stream) = state.streams.get(&spec.name) {
            return Ok(stream.log.info(&spec.name));
        }
        log::check(spec)?;
        let overlaps =
            |log: &Log| log.subjects.iter().any(|have| spec.subjects.iter().any(|new| have.overlaps(new)));
        if let Some((other, _)) = state.streams.iter().find(|(_, stream)| overlaps(&stream.log)) {
            return Err(BusError::Refused {
                operation,
                reason: format!("subjects overlap with an existing stream: {other:?}"),
            });
        }
        let log = Log::new(spec, incarnation_ms);
        let info = log.info(&spec.name);
        state.streams.insert(spec.name.clone(), Stream { log, consumers: BTreeMap::new() });
        Ok(info)
    }

    fn stream(&self, name: &str) -> Result<StreamInfo, BusError> {
        check_name("look up a stream", name)?;
        let mut state = self.open("look up a stream")?;
        let stream = state.streams.get_mut(name).ok_or_else(|| BusError::StreamMissing(name.to_owned()))?;
        stream.log.trim(Instant::now());
        Ok(stream.log.info(name))
    }

    fn streams_for(&self, pattern: &Pattern) -> Result<Vec<StreamInfo>, BusError> {
        let state = self.open("list streams")?;
        let stores = |stream: &Stream| stream.log.subjects.iter().any(|subject| subject.overlaps(pattern));
        Ok(state
            .streams
            .iter()
            .filter(|(_, stream)| stores(stream))
            .map(|(name, stream)| stream.log.info(name))
            .collect())
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

    /// Stores a message if a stream has its subject, and hands it to who listens.
    fn route(&self, message: Message) -> Result<Option<Stored>, BusError> {
        check_size(&message)?;
        let now = Instant::now();
        let mut state = self.open("publish")?;
        Ok(self.store(&mut state, message, now))
    }

    /// The same for several that one stream has to store together.
    fn route_batch(&self, messages: Vec<Message>) -> Result<BatchStored, BusError> {
        check_batch(&messages)?;
        messages.iter().try_for_each(check_size)?;
        let now = Instant::now();
        let mut state = self.open("publish a batch")?;
        let mut found = None;
        for message in &messages {
            let subject = message.subject.as_str();
            let stream = state.streams.iter().find(|(_, stream)| stream.log.stores(subject));
            let Some((name, _)) = stream else {
                return Err(BusError::NoStream { subject: subject.to_owned() });
            };
            if *found.get_or_insert(name) != name {
                return Err(BusError::NoBatch {
                    reason: "its subjects belong to different streams".to_owned(),
                });
            }
        }
        let name = found.cloned().unwrap_or_default();
        let stream = state.streams.get_mut(&name).ok_or_else(|| BusError::StreamMissing(name.clone()))?;
        if !stream.log.atomic {
            return Err(BusError::NoBatch { reason: format!("stream {name:?} takes none") });
        }
        if stream.log.repeats(&messages, now) {
            return Err(BusError::Repeated);
        }
        let mut stored = BatchStored { stream: name, last_sequence: 0, count: messages.len() };
        for message in messages {
            stored.last_sequence = self.store(&mut state, message, now).map_or(0, |stored| stored.sequence);
        }
        Ok(stored)
    }

    fn store(&self, state: &mut State, message: Message, now: Instant) -> Option<Stored> {
        let stored_ns = u64::try_from(self.since_epoch(now).as_nanos()).unwrap_or(u64::MAX);
        let message = Arc::new(message);
        let full = state.listeners.deliver(&message);
        for subject in full {
            // Nobody may be listening: that is for them to choose.
            let _ = self.events.send(BusEvent::Dropped { subject, count: 1 });
        }
        let found = state.streams.iter_mut().find(|(_, stream)| stream.log.stores(message.subject.as_str()));
        let (name, stream) = found?;
        let (sequence, duplicate) = stream.log.append(message, now, stored_ns);
        if !duplicate {
            stream.consumers.values().for_each(|consumer| consumer.bell.notify_waiters());
        }
        Some(Stored { stream: name.clone(), sequence, duplicate })
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

fn check_size(message: &Message) -> Result<(), BusError> {
    let bytes = message.wire_bytes();
    if bytes <= MAX_MESSAGE_BYTES {
        return Ok(());
    }
    let subject = message.subject.as_str().to_owned();
    Err(BusError::TooLarge { subject, bytes, limit: MAX_MESSAGE_BYTES })
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
        let subject = message.subject.clone();
        at_once(move || {
            let stored = self.inner.route(message)?;
            stored.ok_or_else(|| BusError::NoStream { subject: subject.into() })
        })
        .boxed()
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
