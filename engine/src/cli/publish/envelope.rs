//! Makes a message of a row: subject, ids, CloudEvents attributes.

use bytes::Bytes;

use super::rows::Row;
use super::template::{Template, TemplateError};
use crate::event::{MSG_ID_HEADER, encode_attribute, format_time};
use crate::message::{HeaderError, Message};

/// How rows become messages. The indexes point into what a row picks.
#[derive(Debug, Clone)]
pub(super) struct Envelope {
    /// Makes the subject.
    pub(super) subject: Template,
    /// The field whose value is the id.
    pub(super) id: Option<usize>,
    /// The field whose value is the event's time.
    pub(super) time: Option<usize>,
    /// What ids of rows without an id field begin with.
    pub(super) id_prefix: String,
    /// Whether the stream is to drop repeats.
    pub(super) repeatable: bool,
    /// CloudEvents `source` and `type`; none for plain messages.
    pub(super) cloud_event: Option<(String, String)>,
    /// The most bytes that the server takes.
    pub(super) max_bytes: usize,
}

/// Why a row makes no message.
#[derive(Debug, thiserror::Error)]
pub(super) enum EnvelopeError {
    /// No subject.
    #[error(transparent)]
    Subject(#[from] TemplateError),
    /// The id or another value that fits no header.
    #[error("{0}")]
    Header(#[from] HeaderError),
    /// The id field has no value.
    #[error("the id field is empty")]
    NoId,
    /// The time field has no time.
    #[error(
        "{0:?} is no time\n  hint: RFC 3339, `2018-04-01 00:00:31` (taken as UTC), or Unix seconds or milliseconds"
    )]
    NoTime(String),
    /// Bigger than the server takes.
    #[error("a message of {bytes} bytes is over the server's max_payload of {limit}")]
    TooLarge {
        /// Headers and payload.
        bytes: usize,
        /// The server's limit.
        limit: usize,
    },
}

impl Envelope {
    /// The message of one row.
    pub(super) fn seal(&self, row: &Row) -> Result<Message, EnvelopeError> {
        let subject = self.subject.fill(&row.picked)?;
        let mut message = Message::new(subject, Bytes::copy_from_slice(&row.json));
        let id = self.id_of(row, &message)?;
        if self.repeatable {
            message.headers.try_push(MSG_ID_HEADER, &encode_attribute(&id))?;
        }
        if let Some((source, kind)) = &self.cloud_event {
            message.headers.push("ce-specversion", "1.0");
            message.headers.try_push("ce-id", &encode_attribute(&id))?;
            message.headers.try_push("ce-source", source)?;
            message.headers.try_push("ce-type", kind)?;
            if let Some(text) = self.time.and_then(|at| row.picked.get(at)) {
                let time = parse_time(text).ok_or_else(|| EnvelopeError::NoTime(text.clone()))?;
                message.headers.push("ce-time", time);
            }
        }
        message.headers.push("content-type", "application/json");
        let bytes = message.wire_bytes();
        if bytes > self.max_bytes {
            return Err(EnvelopeError::TooLarge { bytes, limit: self.max_bytes });
        }
        Ok(message)
    }

    /// A row's own id, or else one made of its place and its content: publishing the same file again within the stream's
    /// duplicate window stores nothing twice, while a row that was changed in between is stored.
    fn id_of(&self, row: &Row, message: &Message) -> Result<String, EnvelopeError> {
        match self.id.and_then(|at| row.picked.get(at)) {
            Some(id) if id.is_empty() => Err(EnvelopeError::NoId),
            Some(id) => Ok(id.clone()),
            None => {
                let content = fnv1a(message.subject.as_str().as_bytes(), fnv1a(&message.payload, FNV_START));
                Ok(format!("{}:{}:{content:016x}", self.id_prefix, row.number))
            }
        }
    }
}

const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a with 64 bits, from the parameters in RFC 9923. It tells versions of one row apart; nobody attacks it but the
/// operator's own file.
fn fnv1a(bytes: &[u8], start: u64) -> u64 {
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    bytes.iter().fold(start, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
}

/// A time as CloudEvents want it. Numbers of 12 digits or more are milliseconds: as seconds they would lie after the
/// year 5000, and as milliseconds shorter ones lie before 1974.
fn parse_time(text: &str) -> Option<String> {
    const FIRST_IN_MILLISECONDS: u64 = 100_000_000_000;
    let text = text.trim();
    if let Ok(number) = text.parse::<u64>() {
        let per_unit = if number >= FIRST_IN_MILLISECONDS { 1_000_000 } else { 1_000_000_000 };
        return Some(format_time(number.checked_mul(per_unit)?));
    }
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Some(time.to_string());
    }
    let civil: jiff::civil::DateTime = text.parse().ok()?;
    Some(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(template: &str) -> Envelope {
        Envelope {
            subject: Template::parse(template).unwrap(),
            id: None,
            time: None,
            id_prefix: "pay.csv".into(),
            repeatable: true,
            cloud_event: None,
            max_bytes: 1_024,
        }
    }

    fn row(number: u64, json: &str, picked: &[&str]) -> Row {
        Row {
            number,
            line: number + 1,
            json: json.into(),
            picked: picked.iter().map(|value| (*value).to_owned()).collect(),
        }
    }

    fn id(message: &Message) -> String {
        message.headers.get(MSG_ID_HEADER).unwrap().to_owned()
    }

    #[test]
    fn the_default_id_names_place_and_content() {
        let seal = |number, json| id(&envelope("a").seal(&row(number, json, &[])).unwrap());
        assert!(seal(7, "{}").starts_with("pay.csv:7:"));
        assert_eq!(seal(7, "{}"), seal(7, "{}"));
        assert_ne!(seal(7, "{}"), seal(7, "{\"a\":1}"));
        assert_ne!(seal(7, "{}"), seal(8, "{}"));
        assert_eq!(fnv1a(b"foobar", FNV_START), 0x85944171f73967e8);
    }

    #[test]
    fn a_cloud_event_is_whole() {
        let mut envelope = envelope("p.{c}");
        envelope.id = Some(1);
        envelope.time = Some(2);
        envelope.cloud_event = Some(("pay.csv".into(), "card.payment".into()));
        let message = envelope.seal(&row(1, "{}", &["de", "a b", "2018-04-01 00:00:31"])).unwrap();
        assert_eq!(message.subject.as_str(), "p.de");
        for (name, value) in [
            ("Nats-Msg-Id", "a%20b"),
            ("ce-id", "a%20b"),
            ("ce-specversion", "1.0"),
            ("ce-source", "pay.csv"),
            ("ce-type", "card.payment"),
            ("ce-time", "2018-04-01T00:00:31Z"),
            ("content-type", "application/json"),
        ] {
            assert_eq!(message.headers.get(name), Some(value), "{name}");
        }
        for (picked, wanted) in [
            (["", "1", "0"], "is empty"),
            (["x", "", "0"], "id field is empty"),
            (["x", "1", "soon"], "\"soon\" is no time"),
        ] {
            let err = envelope.seal(&row(1, "{}", &picked)).unwrap_err().to_string();
            assert!(err.contains(wanted), "{err}");
        }
    }

    #[test]
    fn what_the_server_would_not_take_is_refused_here() {
        let err = envelope("a").seal(&row(1, &"x".repeat(2_000), &[])).unwrap_err();
        assert!(matches!(err, EnvelopeError::TooLarge { limit: 1_024, .. }));
    }

    #[test]
    fn times_of_many_kinds() {
        for (text, wanted) in [
            ("2018-04-01T00:00:31Z", Some("2018-04-01T00:00:31Z")),
            ("2018-04-01T02:00:31+02:00", Some("2018-04-01T00:00:31Z")),
            ("2018-04-01 00:00:31.5", Some("2018-04-01T00:00:31.5Z")),
            ("2018-04-01", Some("2018-04-01T00:00:00Z")),
            ("1522540831", Some("2018-04-01T00:00:31Z")),
            ("1522540831250", Some("2018-04-01T00:00:31.25Z")),
            ("99999999999999999999", None),
            ("", None),
        ] {
            assert_eq!(parse_time(text).as_deref(), wanted, "{text:?}");
        }
    }
}
