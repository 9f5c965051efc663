//! A stream read without a consumer, and messages taken out of it.

use tokio::time::Instant;

use super::Inner;
use super::log::Entry;
use crate::bus::{BusError, READ_BYTES, ReadSpec, StoredMessage, check_name};
use crate::message::Message;
use crate::subject::Subject;

impl Inner {
    pub(super) fn read(&self, spec: &ReadSpec) -> Result<Vec<StoredMessage>, BusError> {
        check_name("read a stream", &spec.stream)?;
        let mut state = self.open("read a stream")?;
        let stream = state
            .streams
            .get_mut(&spec.stream)
            .ok_or_else(|| BusError::StreamMissing(spec.stream.clone()))?;
        stream.log.trim(Instant::now());
        let wanted = |subject: &str| spec.filter.as_ref().is_none_or(|filter| filter.matches(subject));
        let mut bytes = 0;
        let mut found = Vec::new();
        for entry in stream.log.from(spec.from).filter(|entry| wanted(entry.message.subject.as_str())) {
            if found.len() >= spec.at_most || bytes >= READ_BYTES {
                break;
            }
            bytes += entry.message.wire_bytes();
            found.push(stored(entry));
        }
        Ok(found)
    }

    pub(super) fn last(&self, name: &str, subject: &Subject) -> Result<Option<StoredMessage>, BusError> {
        check_name("read a stream", name)?;
        let mut state = self.open("read a stream")?;
        let stream = state.streams.get_mut(name).ok_or_else(|| BusError::StreamMissing(name.to_owned()))?;
        stream.log.trim(Instant::now());
        Ok(stream.log.last(subject).map(stored))
    }

    pub(super) fn erase(&self, name: &str, sequence: u64) -> Result<bool, BusError> {
        check_name("erase a message", name)?;
        let mut state = self.open("erase a message")?;
        let stream = state.streams.get_mut(name).ok_or_else(|| BusError::StreamMissing(name.to_owned()))?;
        Ok(stream.log.erase(sequence))
    }

    pub(super) fn has_durable(&self, name: &str, durable: &str) -> Result<bool, BusError> {
        let state = self.open("look up a consumer")?;
        let stream = state.streams.get(name).ok_or_else(|| BusError::StreamMissing(name.to_owned()))?;
        Ok(stream.consumers.contains_key(durable))
    }
}

fn stored(entry: &Entry) -> StoredMessage {
    StoredMessage { sequence: entry.sequence, stored_ns: entry.stored_ns, message: as_kept(&entry.message) }
}

/// A stream keeps no reply subject.
pub(super) fn as_kept(message: &Message) -> Message {
    Message { reply_to: None, ..message.clone() }
}
