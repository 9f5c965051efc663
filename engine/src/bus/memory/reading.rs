//! A stream read without a consumer, and messages taken out of it.

use tokio::time::Instant;

use super::Inner;
use crate::bus::{BusError, READ_BYTES, ReadSpec, StoredMessage, check_name};
use crate::message::Message;

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
            found.push(StoredMessage {
                sequence: entry.sequence,
                stored_ns: entry.stored_ns,
                message: Message { reply_to: None, ..Message::clone(&entry.message) },
            });
        }
        Ok(found)
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
