//! The record of one key, as it is stored: the one value whose writing commits an event.
//!
//! The format is CBOR (RFC 8949): an array whose first element is the number of the format. In format 1 it is
//! `[1, key, version, touched, applied, fields, timers, settings, outbox]` with
//!
//! - `key` the key as text, `version` the plugin version that wrote the state, `touched` nanoseconds since the Unix epoch on the
//!   plugin clock;
//! - `applied` a map from a stream's name to `[incarnation, sequence]`: everything of this key up to that sequence is in here;
//! - `fields` a map from names to byte strings, `timers` a map from names to `[due, setting, data]`, `settings` the number of
//!   the latest setting of a timer;
//! - `outbox` an array of `[subject, delivery, [name, value, ...], payload]`: outputs that may not be stored yet, in order;
//!   `delivery` is 0 for a stream and 1 for at-most-once.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use minicbor::decode::{Decoder, Error};
use minicbor::encode::Encoder;

use crate::effects::Output;
use crate::manifest::OutputDelivery;
use crate::message::{Headers, Message};
use crate::state::{KeyState, Timer};
use crate::subject::Subject;

/// The format that is written.
const FORMAT: u8 = 1;
/// The elements of its array.
const ELEMENTS: u64 = 9;
/// What CBOR adds to a record beyond what the state counts: the array's own elements, and the heads of the longest strings.
const HEAD_BYTES: usize = 64;

/// How far a stream's events of one key are in its record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Reached {
    /// When the stream was created, milliseconds since the Unix epoch.
    pub incarnation_ms: u64,
    /// Up to which sequence.
    pub sequence: u64,
}

impl Reached {
    /// Whether a position of the stream is covered.
    #[must_use]
    pub fn covers(self, incarnation_ms: u64, sequence: u64) -> bool {
        self.incarnation_ms == incarnation_ms && sequence <= self.sequence
    }
}

/// What is stored of one key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// The key.
    pub key: String,
    /// The plugin version that wrote the state; empty if it states none.
    pub version: String,
    /// When the last event or timer was handled, nanoseconds on the plugin clock.
    pub touched_ns: u64,
    /// Which events are in it.
    pub applied: BTreeMap<String, Reached>,
    /// Fields and timers.
    pub state: KeyState,
    /// Outputs that may not be stored yet.
    pub outbox: Vec<Output>,
}

/// Why stored bytes are no record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Written by a later engine.
    #[error(
        "it has format {0}, this engine reads format {FORMAT}\n  hint: an engine of a later version wrote it"
    )]
    Format(u64),
    /// Not what this engine writes.
    #[error("it is no record: {0}")]
    Malformed(String),
}

impl Record {
    /// The bytes that are stored.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::new(Vec::with_capacity(HEAD_BYTES + self.state.bytes()));
        match self.write(&mut encoder) {
            Ok(()) => encoder.into_writer(),
            // Writing into memory.
            Err(never) => match never {},
        }
    }

    fn write(&self, to: &mut Encoder<Vec<u8>>) -> Result<(), std::convert::Infallible> {
        let wrote = (|| {
            to.array(ELEMENTS)?.u8(FORMAT)?.str(&self.key)?.str(&self.version)?.u64(self.touched_ns)?;
            to.map(self.applied.len() as u64)?;
            for (stream, reached) in &self.applied {
                to.str(stream)?.array(2)?.u64(reached.incarnation_ms)?.u64(reached.sequence)?;
            }
            to.map(self.state.fields().len() as u64)?;
            for (name, value) in self.state.fields() {
                to.str(name)?.bytes(value)?;
            }
            to.map(self.state.timer_count() as u64)?;
            for (name, timer) in self.state.timers() {
                to.str(name)?.array(3)?.u64(timer.due_ns)?.u64(timer.setting)?.bytes(&timer.data)?;
            }
            to.u64(self.state.settings())?.array(self.outbox.len() as u64)?;
            for output in &self.outbox {
                write_output(to, output)?;
            }
            Ok::<_, minicbor::encode::Error<std::convert::Infallible>>(())
        })();
        debug_assert!(wrote.is_ok(), "nothing here has an encoding that can fail");
        Ok(())
    }

    /// Reads what was stored.
    ///
    /// # Errors
    /// Says what is wrong: whoever may write to the bucket may have written anything.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut from = Decoder::new(bytes);
        let malformed = |err: Error| RecordError::Malformed(err.to_string());
        let elements = from.array().map_err(malformed)?;
        let format = from.u64().map_err(malformed)?;
        if format != u64::from(FORMAT) {
            return Err(RecordError::Format(format));
        }
        if elements != Some(ELEMENTS) {
            return Err(RecordError::Malformed("it has another number of elements".to_owned()));
        }
        read(&mut from).map_err(malformed)
    }

    /// How far a stream's events of this key are in here.
    #[must_use]
    pub fn has_applied(&self, stream: &str, incarnation_ms: u64, sequence: u64) -> bool {
        self.applied.get(stream).is_some_and(|reached| reached.covers(incarnation_ms, sequence))
    }

    /// Takes note that a stream's events of this key are in here.
    pub fn apply(&mut self, stream: &str, reached: Reached) {
        match self.applied.get_mut(stream) {
            Some(known) if known.incarnation_ms == reached.incarnation_ms => {
                known.sequence = known.sequence.max(reached.sequence);
            }
            Some(known) => *known = reached,
            None => _ = self.applied.insert(stream.to_owned(), reached),
        }
    }
}

/// What an output takes in a record, in bytes, or less: heads of strings and arrays have nine bytes at most.
#[must_use]
pub fn output_bytes(output: &Output) -> usize {
    const HEAD: usize = 9;
    let Message { subject, headers, payload, .. } = &output.message;
    let headers: usize = headers.iter().map(|(name, value)| name.len() + value.len() + 2 * HEAD).sum();
    subject.as_str().len() + headers + payload.len() + 5 * HEAD
}

fn write_output(
    to: &mut Encoder<Vec<u8>>,
    output: &Output,
) -> Result<(), minicbor::encode::Error<std::convert::Infallible>> {
    let Output { message, delivery } = output;
    to.array(4)?.str(message.subject.as_str())?.u8(u8::from(*delivery == OutputDelivery::Core))?;
    to.array(2 * message.headers.len() as u64)?;
    for (name, value) in message.headers.iter() {
        to.str(name)?.str(value)?;
    }
    to.bytes(&message.payload)?;
    Ok(())
}

/// The length of an array or a map. One without a length ahead is not what this engine writes.
fn length(found: Option<u64>, from: &Decoder<'_>) -> Result<u64, Error> {
    let length = found.ok_or_else(|| Error::message("a length is missing").at(from.position()))?;
    // Each element has a byte at least: no room is kept for what cannot be there.
    if length > from.input().len() as u64 {
        return Err(Error::message("it is longer than the record").at(from.position()));
    }
    Ok(length)
}

fn read(from: &mut Decoder<'_>) -> Result<Record, Error> {
    let (key, version, touched_ns) = (from.str()?.to_owned(), from.str()?.to_owned(), from.u64()?);
    let mut applied = BTreeMap::new();
    for _ in 0..length(from.map()?, from)? {
        let stream = from.str()?.to_owned();
        elements(from, 2)?;
        applied.insert(stream, Reached { incarnation_ms: from.u64()?, sequence: from.u64()? });
    }
    let mut fields = Vec::new();
    for _ in 0..length(from.map()?, from)? {
        fields.push((Arc::<str>::from(from.str()?), Bytes::copy_from_slice(from.bytes()?)));
    }
    let mut timers = Vec::new();
    for _ in 0..length(from.map()?, from)? {
        let name = Arc::<str>::from(from.str()?);
        elements(from, 3)?;
        let (due_ns, setting) = (from.u64()?, from.u64()?);
        timers.push((name, Timer { due_ns, setting, data: Bytes::copy_from_slice(from.bytes()?) }));
    }
    let state = KeyState::new(fields, timers, from.u64()?);
    let mut outbox = Vec::new();
    for _ in 0..length(from.array()?, from)? {
        outbox.push(read_output(from)?);
    }
    Ok(Record { key, version, touched_ns, applied, state, outbox })
}

fn read_output(from: &mut Decoder<'_>) -> Result<Output, Error> {
    elements(from, 4)?;
    let subject = Subject::new(from.str()?).map_err(|err| Error::message(err).at(from.position()))?;
    let delivery = if from.u8()? == 0 { OutputDelivery::Stored } else { OutputDelivery::Core };
    let count = length(from.array()?, from)?;
    let mut headers = Headers::with_capacity(0);
    for _ in 0..count / 2 {
        headers.push_received(from.str()?.to_owned(), from.str()?.to_owned());
    }
    let payload = Bytes::copy_from_slice(from.bytes()?);
    Ok(Output { message: Message { subject, reply_to: None, headers, payload }, delivery })
}

fn elements(from: &mut Decoder<'_>, wanted: u64) -> Result<(), Error> {
    if from.array()? == Some(wanted) {
        Ok(())
    } else {
        Err(Error::message("an array has another number of elements").at(from.position()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let mut message = Message::new(Subject::new("out.a").unwrap(), "payload");
        message.headers.push("Nats-Msg-Id", "p:S@1:7:0");
        let timer = Timer { due_ns: 5, data: Bytes::from_static(b"t"), setting: 3 };
        let mut record = Record {
            key: "customer.7".into(),
            version: "1.2.0".into(),
            touched_ns: 1_700_000_000_000_000_000,
            applied: BTreeMap::new(),
            state: KeyState::new(
                [("count".into(), Bytes::from_static(b"17")), ("a".into(), Bytes::new())],
                [("idle".into(), timer)],
                4,
            ),
            outbox: vec![Output { message, delivery: OutputDelivery::Stored }],
        };
        record.apply("S", Reached { incarnation_ms: 1, sequence: 7 });
        record
    }

    #[test]
    fn what_is_written_is_read() {
        let record = record();
        let bytes = record.encode();
        assert!(bytes.len() < 160, "{} bytes", bytes.len());
        assert_eq!(Record::decode(&bytes), Ok(record));
        assert_eq!(Record::decode(&Record::default().encode()), Ok(Record::default()));
    }

    /// Whoever asks first whether a record fits must not find out later that it does not.
    #[test]
    fn outputs_and_state_take_no_more_than_is_counted() {
        let mut record = record();
        let empty =
            Record { state: KeyState::default(), outbox: Vec::new(), ..record.clone() }.encode().len();
        for (count, size) in [(1, 0), (300, 0), (1, 70_000), (40, 300), (1_000, 1_000)] {
            let subject = format!("out.s{}", "s".repeat(size.min(900)));
            let mut message = Message::new(Subject::new(subject).unwrap(), vec![0; size]);
            message.headers.push("H", "v".repeat(size));
            record.outbox = vec![Output { message, delivery: OutputDelivery::Core }; count];
            let outputs: usize = record.outbox.iter().map(output_bytes).sum();
            // The lengths of its maps and lists are counted with the record itself.
            assert!(
                record.encode().len() <= empty + record.state.bytes() + outputs + 16,
                "{count} of {size}"
            );
        }
    }

    #[test]
    fn any_other_bytes_are_an_error() {
        let bytes = record().encode();
        for end in 0..bytes.len() {
            assert!(Record::decode(&bytes[..end]).is_err(), "cut at {end}");
        }
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0xff;
            // Another record, or none; never a panic, never more memory than the bytes allow.
            let _any = Record::decode(&changed);
        }
        let mut later = bytes;
        later[1] = 2;
        assert_eq!(Record::decode(&later), Err(RecordError::Format(2)));
    }

    #[test]
    fn applied_positions_only_rise() {
        let mut record = record();
        record.apply("S", Reached { incarnation_ms: 1, sequence: 5 });
        assert!(record.has_applied("S", 1, 7) && !record.has_applied("S", 1, 8));
        record.apply("S", Reached { incarnation_ms: 2, sequence: 1 });
        assert!(!record.has_applied("S", 2, 2) && !record.has_applied("T", 2, 1));
    }
}
