//! Messages on their way into streams and to who listens.

use std::sync::Arc;

use futures::FutureExt as _;
use tokio::time::Instant;

use super::{Inner, MAX_MESSAGE_BYTES, ONLY_CONNECTION, State, disconnected};
use crate::bus::{BatchStored, BusError, BusEvent, Confirmation, OnlyIf, Stored, check_batch};
use crate::message::Message;

impl Inner {
    /// Stores a message if a stream has its subject, and hands it to who listens.
    pub(super) fn route(&self, message: Message) -> Result<Option<Stored>, BusError> {
        check_size(&message)?;
        let now = Instant::now();
        let mut state = self.open("publish")?;
        self.store(&mut state, message, now)
    }

    /// The same for one that some stream has to store.
    pub(super) fn publish(&self, message: Message) -> Result<Stored, BusError> {
        let subject = message.subject.clone();
        self.route(message)?.ok_or_else(|| BusError::NoStream { subject: subject.into() })
    }

    /// Stores at once what a server would confirm later.
    pub(super) fn post(&self, mut message: Message, only_if: OnlyIf) -> Result<Confirmation, BusError> {
        if only_if.connection.is_some_and(|wanted| wanted != ONLY_CONNECTION) {
            return Err(disconnected("post", "it is another one now"));
        }
        only_if.write(&mut message.headers);
        match self.publish(message) {
            Err(error @ (BusError::TooLarge { .. } | BusError::Disconnected { .. })) => Err(error),
            answer => Ok(std::future::ready(answer).boxed()),
        }
    }

    /// The same for several that one stream has to store together.
    pub(super) fn route_batch(&self, messages: Vec<Message>) -> Result<BatchStored, BusError> {
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
            if let Some(one) = self.store(&mut state, message, now)? {
                stored.last_sequence = one.sequence;
            }
        }
        Ok(stored)
    }

    fn store(&self, state: &mut State, message: Message, now: Instant) -> Result<Option<Stored>, BusError> {
        let stored_ns = u64::try_from(self.since_epoch(now).as_nanos()).unwrap_or(u64::MAX);
        let message = Arc::new(message);
        let full = state.listeners.deliver(&message);
        for subject in full {
            // Nobody may be listening: that is for them to choose.
            let _ = self.events.send(BusEvent::Dropped { subject, count: 1 });
        }
        let found = state.streams.iter_mut().find(|(_, stream)| stream.log.stores(message.subject.as_str()));
        let Some((name, stream)) = found else { return Ok(None) };
        let (sequence, duplicate) = stream.log.append(message, now, stored_ns)?;
        if !duplicate {
            stream.consumers.values().for_each(|consumer| consumer.bell.notify_waiters());
            stream.bell.notify_waiters();
        }
        Ok(Some(Stored { stream: name.clone(), sequence, duplicate }))
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
