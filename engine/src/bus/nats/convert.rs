//! Between the client library's messages and ours.

use std::borrow::Cow;
use std::str::FromStr;

use async_nats::message::OutboundMessage;
use async_nats::{HeaderMap, HeaderName, HeaderValue};

use crate::bus::{BusError, Position, Receipt};
use crate::message::{Headers, Message};
use crate::subject::Subject;

/// A message to send. The reply subject is the caller's to set.
pub(super) fn outbound(message: Message) -> Result<OutboundMessage, BusError> {
    let headers = if message.headers.is_empty() { None } else { Some(header_map(&message)?) };
    Ok(OutboundMessage {
        subject: String::from(message.subject).into(),
        reply: None,
        payload: message.payload,
        headers,
    })
}

/// Headers as the client library wants them. Its string-typed methods panic on bad bytes, so only the fallible
/// constructors are used: a header that we received from somewhere may be of any shape.
fn header_map(message: &Message) -> Result<HeaderMap, BusError> {
    let mut map = HeaderMap::new();
    for (name, value) in message.headers.entries() {
        let refused = |reason: String| BusError::Refused {
            operation: format!("publish to {:?}", message.subject.as_str()),
            reason: format!("header {name:?}: {reason}"),
        };
        let name = match name {
            // Names that are literals of ours cost nothing; `from_static` cannot fail on them.
            Cow::Borrowed(name) => HeaderName::from_static(name),
            Cow::Owned(name) => HeaderName::from_str(name).map_err(|error| refused(error.to_string()))?,
        };
        let value = HeaderValue::from_str(value).map_err(|error| refused(error.to_string()))?;
        map.append(name, value);
    }
    Ok(map)
}

/// A message that came in. `reply_to` is passed separately: for a stream's message it is the receipt.
pub(super) fn inbound(message: async_nats::Message, reply_to: Option<Subject>) -> Message {
    Message {
        subject: Subject::received(message.subject.into_string()),
        reply_to,
        headers: message.headers.map_or_else(Headers::new, |map| headers(&map)),
        payload: message.payload,
    }
}

/// Headers that came in.
pub(super) fn headers(map: &HeaderMap) -> Headers {
    let mut received: Vec<_> = map
        .iter()
        .flat_map(|(name, values)| values.iter().map(move |value| (name.to_string(), value)))
        .collect();
    // The client library forgets the order between names. Any order will do for a handler, but a replay needs the same.
    received.sort_by(|(one, _), (other, _)| one.cmp(other));
    let mut headers = Headers::with_capacity(received.len());
    for (name, value) in received {
        headers.push_received(name, value.as_str());
    }
    headers
}

/// The prefix of the subject on which a stream's delivery is settled.
pub(super) const ACK_PREFIX: &str = "$JS.ACK.";

/// What the subject on which a delivery is settled says of it.
///
/// Format (ADR-15): `$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<stored ns>.<pending>`; from
/// eleven tokens on, a domain and an account hash stand before the stream.
pub(super) struct Told<'a> {
    stream: &'a str,
    attempt: u32,
    sequence: u64,
    /// Counts the consumer's deliveries, from 1.
    pub(super) delivered: u64,
    stored_ns: u64,
    /// How many messages the consumer had to deliver after it.
    pub(super) pending: u64,
}

impl<'a> Told<'a> {
    /// Reads it.
    pub(super) fn read(reply: &'a str) -> Option<Self> {
        const TOKENS_WITHOUT_DOMAIN: usize = 7;
        let rest = reply.strip_prefix(ACK_PREFIX)?;
        let mut tokens = rest.split('.');
        if rest.bytes().filter(|b| *b == b'.').count() + 1 > TOKENS_WITHOUT_DOMAIN + 1 {
            tokens.nth(1)?;
        }
        let stream = tokens.next()?;
        let _consumer = tokens.next()?;
        Some(Self {
            stream,
            attempt: tokens.next()?.parse().ok()?,
            sequence: tokens.next()?.parse().ok()?,
            delivered: tokens.next()?.parse().ok()?,
            stored_ns: tokens.next()?.parse().ok()?,
            pending: tokens.next()?.parse().ok()?,
        })
    }
}

/// Reads position and attempt out of the subject on which a delivery is settled.
pub(super) fn position(reply: &str, incarnation_ms: u64) -> Option<Position> {
    let Told { stream, attempt, sequence, stored_ns, .. } = Told::read(reply)?;
    Some(Position { stream: stream.to_owned(), incarnation_ms, sequence, stored_ns, attempt })
}

/// The receipt of a delivery whose settling subject this is.
pub(super) fn receipt(reply: async_nats::Subject) -> Receipt {
    Receipt(reply.into_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_read_in_both_formats() {
        let wanted =
            Position { stream: "S".into(), incarnation_ms: 9, sequence: 7, stored_ns: 1_700, attempt: 2 };
        for reply in [
            "$JS.ACK.S.c.2.7.11.1700.5",
            "$JS.ACK._.hash.S.c.2.7.11.1700.5",
            "$JS.ACK.dom.hash.S.c.2.7.11.1700.5.rnd",
        ] {
            assert_eq!(position(reply, 9).as_ref(), Some(&wanted), "{reply}");
        }
        for reply in ["", "$JS.ACK.S", "_INBOX.a", "$JS.ACK.S.c.x.7.11.1700.5", "$JS.ACK.S.c.2.7.11.1700"] {
            assert_eq!(position(reply, 9), None, "{reply}");
        }
    }

    #[test]
    fn hostile_headers_are_refused_and_do_not_panic() {
        let mut message = Message::new(Subject::new("a").unwrap(), "x");
        message.headers.push_received("bad name\r\n", "v");
        assert!(matches!(outbound(message), Err(BusError::Refused { .. })));
        let mut message = Message::new(Subject::new("a").unwrap(), "x");
        message.headers.push_received("X", "v\r\nPUB y");
        assert!(matches!(outbound(message), Err(BusError::Refused { .. })));
    }
}
