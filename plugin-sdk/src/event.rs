//! What a handler receives.

use std::fmt;
use std::ops::Deref;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::{Failure, decode};

/// One message on the bus with its CloudEvents attributes, its payload decoded from JSON into `T`.
///
/// A payload that does not decode never reaches the handler: the event is rejected with what is wrong and where. To
/// see any payload at all, take a [`RawEvent`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event<T = serde_json::Value> {
    /// Identifies the event within its source.
    pub id: String,
    /// CloudEvents `source`, else `nats:` and the stream or subject the message came from.
    pub source: String,
    /// CloudEvents `type`, else `nats.message`.
    pub kind: String,
    /// The subject the message was published to.
    pub subject: String,
    /// When it happened, nanoseconds since the Unix epoch.
    pub time: u64,
    /// The event's key, where the manifest names one.
    pub key: Option<String>,
    /// All headers that are not attributes above, in order; a name may stand more than once.
    pub headers: Vec<(String, String)>,
    /// Which delivery this is, from 1.
    pub attempt: u32,
    /// Where the publisher waits for an answer, if it does.
    pub reply_to: Option<String>,
    /// The payload.
    pub data: T,
    /// The payload's bytes; empty where `data` is the bytes.
    raw: Vec<u8>,
}

/// An event whose payload is left as the bytes that came.
pub type RawEvent = Event<Bytes>;

impl<T: Payload> Event<T> {
    /// The first value of a header; names compare without regard to case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// All values of a header in order; names compare without regard to case.
    pub fn header_values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers
            .iter()
            .filter(move |(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The payload's bytes, untouched.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        self.data.bytes(&self.raw)
    }

    /// The payload's bytes, untouched, for passing them on without a copy.
    #[must_use]
    pub fn into_raw(self) -> Vec<u8> {
        self.data.into_bytes(self.raw)
    }

    /// Decodes the payload from JSON into a type that may borrow from it.
    ///
    /// # Errors
    /// A reject that says what is wrong and where.
    pub fn json<'a, D: Deserialize<'a>>(&'a self) -> Result<D, Failure> {
        decode::payload(self.raw())
    }
}

impl RawEvent {
    /// The same event with its payload as a handler wants it.
    pub(crate) fn decode<T: Payload>(self) -> Result<Event<T>, Failure> {
        let Self { id, source, kind, subject, time, key, headers, attempt, reply_to, data, raw: _ } = self;
        let (data, raw) = T::decode(data.0)?;
        Ok(Event { id, source, kind, subject, time, key, headers, attempt, reply_to, data, raw })
    }

    /// An event with this payload and no attributes.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn of(data: Vec<u8>) -> Self {
        Self {
            id: String::new(),
            source: String::new(),
            kind: String::new(),
            subject: String::new(),
            time: 0,
            key: None,
            headers: Vec::new(),
            attempt: 1,
            reply_to: None,
            data: Bytes(data),
            raw: Vec::new(),
        }
    }

    #[cfg(target_arch = "wasm32")]
    pub(crate) fn from_wire(wire: crate::guest::WireEvent) -> Self {
        Self {
            id: wire.id,
            source: wire.source,
            kind: wire.type_,
            subject: wire.subject,
            time: wire.time,
            key: wire.key,
            headers: wire.headers,
            attempt: wire.attempt,
            reply_to: wire.reply_to,
            data: Bytes(wire.data),
            raw: Vec::new(),
        }
    }
}

/// A payload as the bytes that came; any bytes, not only UTF-8.
#[derive(Clone, PartialEq, Eq)]
pub struct Bytes(Vec<u8>);

impl Bytes {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes, for passing them on without a copy.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        self.0
    }
}

impl Deref for Bytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Bytes> for Vec<u8> {
    fn from(bytes: Bytes) -> Self {
        bytes.0
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}

/// What an event's payload can become: any type that serde reads from JSON, or [`Bytes`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the payload of an event",
    note = "derive `serde::Deserialize` for it, without borrowed fields, or take a `RawEvent`"
)]
pub trait Payload: Sized {
    /// The decoded payload, and the bytes where it does not own them.
    ///
    /// # Errors
    /// A reject that says what is wrong and where.
    #[doc(hidden)]
    fn decode(bytes: Vec<u8>) -> Result<(Self, Vec<u8>), Failure>;

    #[doc(hidden)]
    fn bytes<'a>(&'a self, kept: &'a [u8]) -> &'a [u8] {
        kept
    }

    #[doc(hidden)]
    fn into_bytes(self, kept: Vec<u8>) -> Vec<u8> {
        kept
    }
}

impl<T: DeserializeOwned> Payload for T {
    fn decode(bytes: Vec<u8>) -> Result<(Self, Vec<u8>), Failure> {
        let data = decode::payload(&bytes)?;
        Ok((data, bytes))
    }
}

impl Payload for Bytes {
    fn decode(bytes: Vec<u8>) -> Result<(Self, Vec<u8>), Failure> {
        Ok((Self(bytes), Vec::new()))
    }

    fn bytes<'a>(&'a self, _: &'a [u8]) -> &'a [u8] {
        &self.0
    }

    fn into_bytes(self, _: Vec<u8>) -> Vec<u8> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(data: &[u8]) -> RawEvent {
        let mut event = RawEvent::of(data.to_vec());
        event.headers =
            [("Trace", "1"), ("other", "2"), ("TRACE", "3")].map(|(n, v)| (n.into(), v.into())).into();
        event
    }

    #[test]
    fn headers_compare_without_case() {
        let event = message(b"");
        assert_eq!(event.header("trace"), Some("1"));
        assert_eq!(event.header_values("tRACE").collect::<Vec<_>>(), ["1", "3"]);
        assert_eq!(event.header("none"), None);
    }

    #[test]
    fn the_bytes_stay_reachable() {
        let event: Event = message(b" {\"a\": 1} ").decode().unwrap();
        assert_eq!(event.data["a"], 1);
        assert_eq!(event.raw(), b" {\"a\": 1} ");
        assert_eq!(event.into_raw(), b" {\"a\": 1} ");
        let raw = message(b"\xFF");
        assert_eq!((raw.raw(), &*raw.data), (&b"\xFF"[..], &b"\xFF"[..]));
        assert_eq!(format!("{:?}", raw.data), "b\"\\xff\"");
        assert_eq!(raw.into_raw(), b"\xFF");
    }

    #[test]
    fn a_payload_can_be_borrowed_from() {
        #[derive(Deserialize)]
        struct Card<'a> {
            name: &'a str,
        }
        let event = message(b"{\"name\":\"ada\"}");
        assert_eq!(event.json::<Card>().unwrap().name, "ada");
    }
}
