//! What the data plane holds of a bus in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Inner;
use super::consumer::{Consumer, Offer};
use super::log::{Entry, Log};
use crate::bus::{BusError, Delivery, DurableSpec, Intake, Position, Receipt};
use crate::message::Message;

/// A durable subscription. It holds nothing ahead: each message is taken when it is asked for.
pub(super) struct MemoryIntake {
    bus: Arc<Inner>,
    stream: String,
    durable: String,
}

impl MemoryIntake {
    pub(super) fn new(bus: Arc<Inner>, spec: &DurableSpec) -> Self {
        Self { bus, stream: spec.stream.clone(), durable: spec.durable.clone() }
    }

    fn delivery(&self, entry: Entry, attempt: u32, incarnation_ms: u64) -> Delivery {
        let Entry { sequence, stored_ns, message, .. } = entry;
        // A stream keeps no reply subject.
        let message = Message { reply_to: None, ..Arc::unwrap_or_clone(message) };
        let (stream, durable) = (&self.stream, &self.durable);
        Delivery {
            received: tokio::time::Instant::now(),
            message,
            receipt: Some(Receipt(format!("mem.{stream}.{durable}.{sequence}.{attempt}"))),
            position: Some(Position { stream: stream.clone(), incarnation_ms, sequence, stored_ns, attempt }),
        }
    }

    async fn take(&self) -> Option<Result<Delivery, BusError>> {
        // Otherwise a busy stream would keep every other task of a one-threaded runtime from running.
        tokio::task::coop::consume_budget().await;
        let mut closing = std::pin::pin!(self.bus.closing.notified());
        closing.as_mut().enable();
        let bell = self.with_consumer(|_, consumer| Arc::clone(&consumer.bell))?;
        loop {
            let mut rung = std::pin::pin!(bell.notified());
            // From here on a ring is not missed, so what follows sees all that came before it.
            rung.as_mut().enable();
            let now = Instant::now();
            let offer = self.with_consumer(|log, consumer| {
                log.trim(now);
                (consumer.offer(log, now), log.incarnation_ms)
            })?;
            let until = match offer {
                (Offer::Message(entry, attempt), incarnation_ms) => {
                    return Some(Ok(self.delivery(entry, attempt, incarnation_ms)));
                }
                (Offer::Nothing(until), _) => until,
            };
            let due = async {
                match until {
                    Some(until) => tokio::time::sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // In order, so that the same run is the same again.
                biased;
                () = &mut rung => {}
                () = due => {}
                () = &mut closing => return None,
            }
        }
    }

    fn with_consumer<T>(&self, use_it: impl FnOnce(&mut Log, &mut Consumer) -> T) -> Option<T> {
        let mut state = self.bus.lock();
        if state.closed {
            return None;
        }
        let stream = state.streams.get_mut(&self.stream)?;
        stream.consumers.get_mut(&self.durable).map(|consumer| use_it(&mut stream.log, consumer))
    }
}

impl Intake for MemoryIntake {
    fn next(&mut self) -> BoxFuture<'_, Option<Result<Delivery, BusError>>> {
        self.take().boxed()
    }

    fn dropped(&self) -> u64 {
        0
    }
}

/// A subscription without a stream.
pub(super) struct CoreIntake {
    pub(super) ready: mpsc::Receiver<Delivery>,
    pub(super) dropped: Arc<AtomicU64>,
}

impl Intake for CoreIntake {
    fn next(&mut self) -> BoxFuture<'_, Option<Result<Delivery, BusError>>> {
        Box::pin(async { self.ready.recv().await.map(Ok) })
    }

    fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}
