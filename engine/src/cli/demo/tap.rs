//! A bus that counts what is stored and keeps samples, in front of the in-memory one.

use std::collections::BTreeMap;
use std::future::ready;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::broadcast;

use crate::bus::memory::MemoryBus;
use crate::bus::{
    BatchStored, BucketSpec, Bus, BusError, BusEvent, Confirmation, CoreSpec, DurableSpec, Follow,
    FollowSpec, Intake, OnlyIf, ReadSpec, Receipt, Settlement, Stored, StoredMessage, StreamInfo, StreamSpec,
};
use crate::message::Message;
use crate::subject::{Pattern, Subject};

/// Samples kept: one for each subject that the demo's plugins emit to, or the busy ones would hide the alerts.
const SAMPLES: usize = 5;
/// As much of a payload as fits a line, in characters.
const SAMPLE_CHARS: usize = 90;

/// What went by.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// Messages stored, by subject, repeats not counted.
    pub(super) stored: BTreeMap<String, u64>,
    /// The last outputs of plugins: subject and payload.
    pub(super) samples: Vec<(String, String)>,
}

impl Seen {
    /// How many messages are stored under any of the patterns.
    pub(super) fn under(&self, patterns: &[Pattern]) -> u64 {
        let wanted = |subject: &str| patterns.iter().any(|pattern| pattern.matches(subject));
        self.stored.iter().filter(|(subject, _)| wanted(subject)).map(|(_, count)| count).sum()
    }
}

/// The bus.
pub(super) struct Tap {
    bus: Arc<MemoryBus>,
    seen: Mutex<Seen>,
}

impl Tap {
    /// Must be made inside a tokio runtime.
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { bus: MemoryBus::new(), seen: Mutex::default() })
    }

    /// What went by so far.
    pub(super) fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, subject: &str, sample: Option<String>) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match seen.stored.get_mut(subject) {
            Some(count) => *count += 1,
            None => drop(seen.stored.insert(subject.to_owned(), 1)),
        }
        if let Some(sample) = sample {
            seen.samples.retain(|(of, _)| of != subject);
            seen.samples.push((subject.to_owned(), sample));
            if seen.samples.len() > SAMPLES {
                seen.samples.remove(0);
            }
        }
    }
}

/// The beginning of an output: what plugins emit on subjects other than those of the demo's input, and outside buckets.
fn sample(message: &Message) -> Option<String> {
    let subject = &message.subject;
    let is_input = matches!(subject.as_str(), super::generate::PAYMENTS | super::generate::ORDERS);
    (!is_input && !subject.as_str().starts_with("$KV."))
        .then(|| String::from_utf8_lossy(&message.payload).chars().take(SAMPLE_CHARS).collect())
}

impl Bus for Tap {
    fn publish(&self, message: Message) -> BoxFuture<'_, Result<Stored, BusError>> {
        async move {
            let (subject, sample) = (message.subject.clone(), sample(&message));
            let stored = self.bus.publish(message).await?;
            if !stored.duplicate {
                self.note(subject.as_str(), sample);
            }
            Ok(stored)
        }
        .boxed()
    }

    fn ensure_stream<'a>(&'a self, spec: &'a StreamSpec) -> BoxFuture<'a, Result<StreamInfo, BusError>> {
        self.bus.ensure_stream(spec)
    }

    fn stream<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<StreamInfo, BusError>> {
        self.bus.stream(name)
    }

    fn streams_for<'a>(&'a self, pattern: &'a Pattern) -> BoxFuture<'a, Result<Vec<StreamInfo>, BusError>> {
        self.bus.streams_for(pattern)
    }

    fn prepare<'a>(&'a self, spec: &'a DurableSpec) -> BoxFuture<'a, Result<(), BusError>> {
        self.bus.prepare(spec)
    }

    fn consume<'a>(&'a self, spec: &'a DurableSpec) -> BoxFuture<'a, Result<Box<dyn Intake>, BusError>> {
        self.bus.consume(spec)
    }

    fn has_durable<'a>(&'a self, stream: &'a str, durable: &'a str) -> BoxFuture<'a, Result<bool, BusError>> {
        self.bus.has_durable(stream, durable)
    }

    fn subscribe<'a>(&'a self, spec: &'a CoreSpec) -> BoxFuture<'a, Result<Box<dyn Intake>, BusError>> {
        self.bus.subscribe(spec)
    }

    fn publish_batch(&self, messages: Vec<Message>) -> BoxFuture<'_, Result<BatchStored, BusError>> {
        async move {
            let subjects: Vec<_> = messages.iter().map(|message| message.subject.clone()).collect();
            let stored = self.bus.publish_batch(messages).await?;
            subjects.iter().for_each(|subject| self.note(subject.as_str(), None));
            Ok(stored)
        }
        .boxed()
    }

    fn publish_core(&self, message: Message) -> BoxFuture<'_, Result<(), BusError>> {
        self.bus.publish_core(message)
    }

    fn read<'a>(&'a self, spec: &'a ReadSpec) -> BoxFuture<'a, Result<Vec<StoredMessage>, BusError>> {
        self.bus.read(spec)
    }

    fn erase<'a>(&'a self, stream: &'a str, sequence: u64) -> BoxFuture<'a, Result<bool, BusError>> {
        self.bus.erase(stream, sequence)
    }

    fn ensure_bucket<'a>(&'a self, spec: &'a BucketSpec) -> BoxFuture<'a, Result<StreamInfo, BusError>> {
        self.bus.ensure_bucket(spec)
    }

    fn follow<'a>(&'a self, spec: &'a FollowSpec) -> BoxFuture<'a, Result<Box<dyn Follow>, BusError>> {
        self.bus.follow(spec)
    }

    fn last<'a>(
        &'a self,
        stream: &'a str,
        subject: &'a Subject,
    ) -> BoxFuture<'a, Result<Option<StoredMessage>, BusError>> {
        self.bus.last(stream, subject)
    }

    fn post(&self, message: Message, only_if: OnlyIf) -> BoxFuture<'_, Result<Confirmation, BusError>> {
        async move {
            let (subject, sample) = (message.subject.clone(), sample(&message));
            // In memory there is nothing to wait for.
            let answer = self.bus.post(message, only_if).await?.await;
            if answer.as_ref().is_ok_and(|stored| !stored.duplicate) {
                self.note(subject.as_str(), sample);
            }
            Ok(ready(answer).boxed())
        }
        .boxed()
    }

    fn posting(&self) -> u64 {
        self.bus.posting()
    }

    fn purge<'a>(
        &'a self,
        stream: &'a str,
        filter: Option<&'a Pattern>,
    ) -> BoxFuture<'a, Result<u64, BusError>> {
        self.bus.purge(stream, filter)
    }

    fn delete_stream<'a>(&'a self, stream: &'a str) -> BoxFuture<'a, Result<bool, BusError>> {
        self.bus.delete_stream(stream)
    }

    fn settle<'a>(
        &'a self,
        receipt: &'a Receipt,
        settlement: Settlement,
    ) -> BoxFuture<'a, Result<(), BusError>> {
        self.bus.settle(receipt, settlement)
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), BusError>> {
        self.bus.flush()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), BusError>> {
        self.bus.close()
    }

    fn max_message_bytes(&self) -> usize {
        self.bus.max_message_bytes()
    }

    fn is_connected(&self) -> bool {
        self.bus.is_connected()
    }

    fn events(&self) -> broadcast::Receiver<BusEvent> {
        self.bus.events()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn repeats_are_not_counted_and_outputs_are_sampled() {
        let tap = Tap::new();
        for spec in super::super::streams().unwrap() {
            tap.ensure_stream(&spec).await.unwrap();
        }
        for (subject, id) in
            [("payments.card", "1"), ("payments.card", "1"), ("payments.card", "2"), ("alerts.x", "3")]
        {
            let mut message = Message::new(Subject::new(subject).unwrap(), "{}");
            message.headers.push("Nats-Msg-Id", id);
            tap.publish(message).await.unwrap();
        }
        let seen = tap.seen();
        let under = |pattern: &str| seen.under(&[Pattern::new(pattern).unwrap()]);
        assert_eq!((under("payments.>"), under("alerts.>"), under("orders.>")), (2, 1, 0));
        assert_eq!(seen.samples, [("alerts.x".to_owned(), "{}".to_owned())]);
    }
}
