//! An event: one message with its CloudEvents attributes, decoded once.
//!
//! Sources: CloudEvents 1.0.2 with its JSON format and NATS binding (structured), and the binary mode of the NATS binding
//! 1.0.3-wip (`ce-*` headers, percent-coded values). Both are read; binary is written.

use std::borrow::Cow;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::limits::MAX_HOPS;
use crate::message::Message;

/// The type of an event whose message says none.
pub const PLAIN_TYPE: &str = "nats.message";
/// How many plugins an event has gone through.
pub const HOPS_HEADER: &str = "Wasmill-Hops";
/// Set by the bus on a message whose headers cannot be read: what is wrong with them.
pub const MALFORMED_HEADER: &str = "Wasmill-Malformed";
/// The id under which a stream drops repeats.
pub const MSG_ID_HEADER: &str = "Nats-Msg-Id";
const STRUCTURED_TYPE: &str = "application/cloudevents+json";
const BATCH_TYPE: &str = "application/cloudevents-batch";

/// What a header value must not hold as it is: the binding percent-codes it.
const CODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

/// One event, as handlers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Identifies it within its source.
    pub id: String,
    /// Where it comes from.
    pub source: String,
    /// What kind it is.
    pub kind: String,
    /// The subject it was published to.
    pub subject: String,
    /// When it happened, nanoseconds since the Unix epoch.
    pub time_ns: u64,
    /// Its key: the CloudEvents `partitionkey`.
    pub key: Option<String>,
    /// Headers that are not attributes above.
    pub headers: Vec<(String, String)>,
    /// The payload.
    pub data: Bytes,
    /// Which delivery this is, from 1.
    pub attempt: u32,
    /// Where the publisher waits for an answer.
    pub reply_to: Option<String>,
    /// How many plugins it has gone through.
    pub hops: u32,
}

/// What a message does not say about itself, from its place on the bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The id if the message has none.
    pub id: String,
    /// The source if the message has none.
    pub source: String,
    /// The time if the message has none, nanoseconds since the Unix epoch.
    pub time_ns: u64,
    /// Which delivery this is, from 1.
    pub attempt: u32,
}

/// Why a message that claims to be a CloudEvent is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// The envelope of a structured event is not JSON of the right shape.
    #[error("the structured CloudEvent is malformed: {0}")]
    Envelope(String),
    /// `data_base64` is not base64.
    #[error("data_base64 of the structured CloudEvent is not base64")]
    Base64,
    /// Version 0.x or 2.
    #[error("specversion {0:?} is not one of CloudEvents 1.x")]
    Version(String),
    /// A batch: one message must be one event.
    #[error("a batch of CloudEvents came as one message\n  hint: publish one event a message")]
    Batch,
    /// Headers that no client can read.
    #[error("the headers of the message are malformed: {0}")]
    Headers(String),
    /// It has gone round.
    #[error(
        "the event has gone through {0} plugins, the most that one may\n  hint: two plugins feed each other, or one itself"
    )]
    Hops(u32),
}

impl Event {
    /// Decodes a message. One that is no CloudEvent still becomes an event.
    ///
    /// # Errors
    /// Only where a message claims to be a CloudEvent and is not, or has made too many hops.
    pub fn decode(message: &Message, origin: &Origin) -> Result<Self, EventError> {
        let hops = message.headers.get(HOPS_HEADER).and_then(|hops| hops.parse().ok()).unwrap_or(0);
        if hops >= MAX_HOPS {
            return Err(EventError::Hops(hops));
        }
        if let Some(fault) = message.headers.get(MALFORMED_HEADER) {
            return Err(EventError::Headers(fault.to_owned()));
        }
        let content_type = message.headers.get("content-type").unwrap_or_default().to_ascii_lowercase();
        if content_type.starts_with(BATCH_TYPE) {
            return Err(EventError::Batch);
        }
        let mut event = Self {
            id: String::new(),
            source: String::new(),
            kind: String::new(),
            subject: message.subject.as_str().to_owned(),
            time_ns: 0,
            key: None,
            headers: Vec::with_capacity(message.headers.len()),
            data: message.payload.clone(),
            attempt: origin.attempt,
            reply_to: message.reply_to.as_ref().map(|subject| subject.as_str().to_owned()),
            hops,
        };
        let structured = content_type.starts_with(STRUCTURED_TYPE);
        for (name, value) in message.headers.iter() {
            if structured && name.eq_ignore_ascii_case("content-type") {
                continue;
            }
            event.take_header(name, value)?;
        }
        if structured {
            event.open_envelope()?;
        }
        event.fill_from(origin);
        Ok(event)
    }

    fn take_header(&mut self, name: &str, value: &str) -> Result<(), EventError> {
        match attribute_name(name) {
            None => {
                if name.eq_ignore_ascii_case(MSG_ID_HEADER) && self.id.is_empty() {
                    value.clone_into(&mut self.id);
                }
                self.headers.push((name.to_owned(), value.to_owned()));
                Ok(())
            }
            Some(attribute) => {
                let value = percent_decode_str(value).decode_utf8_lossy();
                self.take_attribute(attribute, value)
            }
        }
    }

    fn take_attribute(&mut self, name: &str, value: Cow<'_, str>) -> Result<(), EventError> {
        match name.to_ascii_lowercase().as_str() {
            "specversion" if value.starts_with("1.") => {}
            "specversion" => return Err(EventError::Version(value.into_owned())),
            "id" => self.id = value.into_owned(),
            "source" => self.source = value.into_owned(),
            "type" => self.kind = value.into_owned(),
            "time" => match parse_time(&value) {
                Some(time) => self.time_ns = time,
                None => self.headers.push(("ce-time".to_owned(), value.into_owned())),
            },
            "datacontenttype" => self.headers.push(("content-type".to_owned(), value.into_owned())),
            other => {
                if other == "partitionkey" {
                    self.key = Some(value.clone().into_owned());
                }
                self.headers.push((format!("ce-{other}"), value.into_owned()));
            }
        }
        Ok(())
    }

    fn open_envelope(&mut self) -> Result<(), EventError> {
        let envelope = std::mem::take(&mut self.data);
        let parsed: Envelope<'_> =
            serde_json::from_slice(&envelope).map_err(|err| EventError::Envelope(err.to_string()))?;
        for required in ["specversion", "id", "source", "type"] {
            if !matches!(parsed.attributes.get(required), Some(serde_json::Value::String(text)) if !text.is_empty())
            {
                return Err(EventError::Envelope(format!("attribute {required:?} is missing or no text")));
            }
        }
        for (name, value) in &parsed.attributes {
            let text = match value {
                serde_json::Value::String(text) => text.clone(),
                serde_json::Value::Null => continue,
                other => other.to_string(),
            };
            self.take_attribute(name, Cow::Owned(text))?;
        }
        self.data = match (parsed.data, parsed.data_base64) {
            (_, Some(text)) => Bytes::from(BASE64_STANDARD.decode(text).map_err(|_| EventError::Base64)?),
            (Some(json), None) => Bytes::from(self.data_of(json)),
            (None, None) => Bytes::new(),
        };
        Ok(())
    }

    /// JSON data stands in the envelope as it is; text of another type stands there as a JSON string.
    fn data_of(&self, json: &RawValue) -> Vec<u8> {
        let content_type = self.headers.iter().find(|(name, _)| name == "content-type");
        let is_json = content_type.is_none_or(|(_, kind)| kind.contains("json"));
        match serde_json::from_str::<String>(json.get()) {
            Ok(text) if !is_json => text.into_bytes(),
            _ => json.get().as_bytes().to_vec(),
        }
    }

    fn fill_from(&mut self, origin: &Origin) {
        if self.id.is_empty() {
            self.id.clone_from(&origin.id);
        }
        if self.source.is_empty() {
            self.source.clone_from(&origin.source);
        }
        if self.kind.is_empty() {
            PLAIN_TYPE.clone_into(&mut self.kind);
        }
        if self.time_ns == 0 {
            self.time_ns = origin.time_ns;
        }
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    data_base64: Option<String>,
    #[serde(flatten)]
    attributes: serde_json::Map<String, serde_json::Value>,
}

/// `id` of `ce-id`.
fn attribute_name(header: &str) -> Option<&str> {
    let (prefix, name) = header.split_at_checked(3)?;
    (prefix.eq_ignore_ascii_case("ce-") && !name.is_empty()).then_some(name)
}

fn parse_time(text: &str) -> Option<u64> {
    let time: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(time.as_nanosecond()).ok()
}

/// A time as CloudEvents write it: RFC 3339 in UTC.
#[must_use]
pub fn format_time(time_ns: u64) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(time_ns))
        .map_or_else(|_| "1970-01-01T00:00:00Z".to_owned(), |t| t.to_string())
}

/// A value as the binary mode writes it into a header: what is not visible ASCII is percent-coded.
#[must_use]
pub fn encode_attribute(value: &str) -> String {
    utf8_percent_encode(value, CODED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Headers;
    use crate::subject::Subject;

    fn origin() -> Origin {
        Origin { id: "ORDERS:7".into(), source: "nats:ORDERS".into(), time_ns: 5, attempt: 2 }
    }

    fn decode(headers: &[(&str, &str)], payload: &[u8]) -> Result<Event, EventError> {
        let mut all = Headers::new();
        for (name, value) in headers {
            all.push_received(*name, *value);
        }
        let message = Message {
            subject: Subject::received("orders.new"),
            reply_to: None,
            headers: all,
            payload: Bytes::copy_from_slice(payload),
        };
        Event::decode(&message, &origin())
    }

    #[test]
    fn a_plain_message_becomes_an_event() {
        let event = decode(&[("X", "1")], b"\xff\xfe").unwrap();
        assert_eq!((event.id.as_str(), event.source.as_str()), ("ORDERS:7", "nats:ORDERS"));
        assert_eq!((event.kind.as_str(), event.time_ns, event.attempt), (PLAIN_TYPE, 5, 2));
        assert_eq!(event.headers, [("X".to_owned(), "1".to_owned())]);
        assert_eq!(decode(&[("Nats-Msg-Id", "m1")], b"").unwrap().id, "m1");
    }

    #[test]
    fn binary_mode_is_read() {
        let event = decode(
            &[
                ("ce-specversion", "1.0"),
                ("Ce-Id", "a%20b"),
                ("ce-source", "/shop"),
                ("ce-type", "order.new"),
                ("ce-time", "2026-01-02T03:04:05.5Z"),
                ("ce-partitionkey", "c1"),
                ("Nats-Msg-Id", "other"),
            ],
            b"{}",
        )
        .unwrap();
        assert_eq!(
            (event.id.as_str(), event.source.as_str(), event.kind.as_str()),
            ("a b", "/shop", "order.new")
        );
        assert_eq!(event.time_ns, 1_767_323_045_500_000_000);
        assert_eq!(event.key.as_deref(), Some("c1"));
        assert_eq!(format_time(event.time_ns), "2026-01-02T03:04:05.5Z");
        assert_eq!(encode_attribute("a b"), "a%20b");
    }

    #[test]
    fn structured_mode_is_read() {
        let kind = ("Content-Type", "application/cloudevents+json; charset=utf-8");
        let event = decode(
            &[kind],
            br#"{"specversion":"1.0","id":"1","source":"/s","type":"t","ext":5,"data":{"a": 1.0}}"#,
        )
        .unwrap();
        assert_eq!(&event.data[..], br#"{"a": 1.0}"#);
        assert_eq!(event.headers, [("ce-ext".to_owned(), "5".to_owned())]);
        let text = br#"{"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"text/plain","data":"hi"}"#;
        assert_eq!(&decode(&[kind], text).unwrap().data[..], b"hi");
        let coded = br#"{"specversion":"1.0","id":"1","source":"/s","type":"t","data_base64":"//4="}"#;
        assert_eq!(&decode(&[kind], coded).unwrap().data[..], b"\xff\xfe");
    }

    #[test]
    fn false_cloud_events_are_named() {
        let kind = ("content-type", "application/cloudevents+json");
        assert!(matches!(decode(&[kind], b"{"), Err(EventError::Envelope(_))));
        assert!(matches!(decode(&[kind], br#"{"id":"1"}"#), Err(EventError::Envelope(_))));
        let bad = br#"{"specversion":"1.0","id":"1","source":"/s","type":"t","data_base64":"*"}"#;
        assert_eq!(decode(&[kind], bad), Err(EventError::Base64));
        assert!(matches!(decode(&[("ce-specversion", "0.3")], b""), Err(EventError::Version(_))));
        assert_eq!(
            decode(&[("content-type", "application/cloudevents-batch+json")], b"[]"),
            Err(EventError::Batch)
        );
        assert_eq!(decode(&[(HOPS_HEADER, "16")], b""), Err(EventError::Hops(16)));
        assert_eq!(decode(&[(MALFORMED_HEADER, "x")], b""), Err(EventError::Headers("x".into())));
    }
}
