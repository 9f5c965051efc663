//! An event inside a message of ours: what it was is kept, and nothing of it acts on the server or the engine meanwhile.

use bytes::Bytes;

use super::{
    INPUT_HEADER, KEPT_PREFIX, ORIGIN_ID_HEADER, ORIGIN_SOURCE_HEADER, ORIGIN_TIME_HEADER, POSITION_HEADER,
    SUBJECT_HEADER,
};
use crate::event::{Origin, format_time};
use crate::message::{Headers, Message};
use crate::subject::Subject;

/// How many headers of ours a wrapped event has at most, those of a letter included.
const HEADERS_ADDED: usize = 24;

/// An event as it was delivered, with all that its position told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrapped {
    /// The message as it came.
    pub message: Message,
    /// Names its place on the bus; the ids of its outputs are made of it.
    pub input: String,
    /// What it is taken to be where its message does not say.
    pub origin: Origin,
    /// The stream and sequence that it came from, if from one.
    pub position: Option<String>,
}

/// Why a message is no wrapped event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WrapError {
    /// One of the headers that each must have.
    #[error("it has no header {0}")]
    Missing(&'static str),
    /// A header that makes no sense.
    #[error("its header {name} is {value:?}")]
    Bad {
        /// The header.
        name: &'static str,
        /// Its value, cut short.
        value: String,
    },
}

impl Wrapped {
    /// The headers of a message that holds this event.
    pub(super) fn headers(&self) -> Headers {
        let mut headers = Headers::with_capacity(self.message.headers.len() + HEADERS_ADDED);
        for (name, value) in self.message.headers.iter() {
            if begins(name, "nats-") || begins(name, "wasmill-") {
                headers.push_received(format!("{KEPT_PREFIX}{name}"), value);
            } else {
                headers.push_received(name, value);
            }
        }
        headers.push(SUBJECT_HEADER, self.message.subject.as_str());
        headers.push(INPUT_HEADER, self.input.as_str());
        headers.push(ORIGIN_ID_HEADER, self.origin.id.as_str());
        headers.push(ORIGIN_SOURCE_HEADER, self.origin.source.as_str());
        headers.push(ORIGIN_TIME_HEADER, format_time(self.origin.time_ns));
        if let Some(position) = &self.position {
            headers.push(POSITION_HEADER, position.as_str());
        }
        headers
    }

    /// Takes the event out of a message that holds one.
    pub(super) fn read(holding: &Headers, payload: Bytes) -> Result<Self, WrapError> {
        let time = required(holding, ORIGIN_TIME_HEADER)?;
        let time_ns = time.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_nanosecond);
        let time_ns = time_ns.and_then(|time| u64::try_from(time).ok());
        let origin = Origin {
            id: required(holding, ORIGIN_ID_HEADER)?.to_owned(),
            source: required(holding, ORIGIN_SOURCE_HEADER)?.to_owned(),
            time_ns: time_ns.ok_or_else(|| bad(ORIGIN_TIME_HEADER, time))?,
            attempt: 1,
        };
        let message = Message {
            subject: Subject::received(required(holding, SUBJECT_HEADER)?),
            reply_to: None,
            headers: restored(holding),
            payload,
        };
        Ok(Self {
            message,
            input: required(holding, INPUT_HEADER)?.to_owned(),
            origin,
            position: holding.get(POSITION_HEADER).map(str::to_owned),
        })
    }
}

/// The headers that the event came with, in the order in which the bus hands headers out.
fn restored(holding: &Headers) -> Headers {
    let mut found: Vec<(&str, &str)> = holding
        .iter()
        .filter_map(|(name, value)| match begins(name, KEPT_PREFIX) {
            true => Some((name.get(KEPT_PREFIX.len()..)?, value)),
            false => (!begins(name, "nats-") && !begins(name, "wasmill-")).then_some((name, value)),
        })
        .collect();
    found.sort_by_key(|(name, _)| *name);
    let mut headers = Headers::with_capacity(found.len());
    for (name, value) in found {
        headers.push_received(name, value);
    }
    headers
}

fn begins(name: &str, prefix: &str) -> bool {
    name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// A header that must be there.
pub(super) fn required<'a>(headers: &'a Headers, name: &'static str) -> Result<&'a str, WrapError> {
    headers.get(name).ok_or(WrapError::Missing(name))
}

/// A header that makes no sense.
pub(super) fn bad(name: &'static str, value: &str) -> WrapError {
    WrapError::Bad { name, value: value.chars().take(64).collect() }
}

/// A header that is a number if it is there.
pub(super) fn number<T: std::str::FromStr>(
    headers: &Headers,
    name: &'static str,
) -> Result<Option<T>, WrapError> {
    headers.get(name).map(|text| text.parse().map_err(|_| bad(name, text))).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrapped_comes_out_as_it_went_in() {
        let mut headers = Headers::new();
        // In the order of their names, as the bus delivers them.
        for (name, value) in [
            ("Nats-Expected-Stream", "OTHER"),
            ("Nats-Msg-Id", "m1"),
            ("Wasmill-Hops", "3"),
            ("Wasmill-Kept-Wasmill-Kept-X", "nested"),
            ("X", "1"),
            ("X", "2"),
            ("wasmill-input", "not ours"),
            ("é", "ü"),
        ] {
            headers.push_received(name, value);
        }
        let wrapped = Wrapped {
            message: Message {
                headers,
                ..Message::new(Subject::received("payments card"), &b"\xff\0\r\n"[..])
            },
            input: "PAYMENTS@1:7".into(),
            origin: Origin {
                id: "PAYMENTS:7".into(),
                source: "nats:PAYMENTS".into(),
                time_ns: 1_700_000_000_123_456_789,
                attempt: 1,
            },
            position: Some("PAYMENTS:7".into()),
        };
        let holding = wrapped.headers();
        assert_eq!(holding.get("Nats-Expected-Stream"), None, "it would be refused");
        assert_eq!(Wrapped::read(&holding, wrapped.message.payload.clone()), Ok(wrapped));
    }

    #[test]
    fn what_holds_no_event_is_named() {
        assert_eq!(Wrapped::read(&Headers::new(), Bytes::new()), Err(WrapError::Missing(ORIGIN_TIME_HEADER)));
        let mut headers = Headers::new();
        headers.push(ORIGIN_TIME_HEADER, "yesterday");
        headers.push(ORIGIN_ID_HEADER, "1");
        headers.push(ORIGIN_SOURCE_HEADER, "s");
        assert_eq!(
            Wrapped::read(&headers, Bytes::new()),
            Err(WrapError::Bad { name: ORIGIN_TIME_HEADER, value: "yesterday".into() })
        );
    }
}
