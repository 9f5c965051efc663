//! A message as it travels on the bus: subject, headers, payload. Nothing here knows NATS the network protocol.

use std::borrow::Cow;

use bytes::Bytes;

use crate::subject::Subject;

/// The most headers that one message may carry, ours included.
pub const MAX_HEADERS: usize = 128;
/// The longest header name plus value, in bytes.
pub const MAX_HEADER_BYTES: usize = 8_192;

/// Why a header was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// A name is empty or has a character that ends it on the wire.
    #[error("header name {0:?} is not made of visible ASCII without ':'")]
    BadName(String),
    /// A value with CR, LF or NUL would let a guest write protocol lines of its own.
    #[error("the value of header {0:?} has a line break or NUL")]
    BadValue(String),
    /// Over [`MAX_HEADER_BYTES`].
    #[error("header {name:?} has {bytes} bytes, over the limit of {MAX_HEADER_BYTES}")]
    TooLong {
        /// The header's name, cut short.
        name: String,
        /// Name and value together.
        bytes: usize,
    },
    /// Over [`MAX_HEADERS`].
    #[error("{0} headers are over the limit of {MAX_HEADERS}")]
    TooMany(usize),
}

/// Headers in the order they were set, or for those of NATS in the order of their names. Names compare without regard to case; a name may stand more than once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(Cow<'static, str>, String)>);

impl Headers {
    /// No headers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// No headers yet, with room for some.
    #[must_use]
    pub fn with_capacity(count: usize) -> Self {
        Self(Vec::with_capacity(count))
    }

    /// Adds a header that comes from outside: a guest, a file, an operator.
    ///
    /// # Errors
    /// Names the rule that the name or the value breaks.
    pub fn try_push(&mut self, name: &str, value: &str) -> Result<(), HeaderError> {
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_graphic() && b != b':') {
            return Err(HeaderError::BadName(name.chars().take(64).collect()));
        }
        if value.contains(['\r', '\n', '\0']) {
            return Err(HeaderError::BadValue(name.to_owned()));
        }
        let bytes = name.len() + value.len();
        if bytes > MAX_HEADER_BYTES {
            return Err(HeaderError::TooLong { name: name.chars().take(64).collect(), bytes });
        }
        if self.0.len() >= MAX_HEADERS {
            return Err(HeaderError::TooMany(self.0.len() + 1));
        }
        self.0.push((Cow::Owned(name.to_owned()), value.trim().to_owned()));
        Ok(())
    }

    /// Adds a header of the engine's own: the name is a literal, and what would break the line is replaced by a space.
    pub fn push(&mut self, name: &'static str, value: impl Into<String>) {
        let mut value = value.into();
        if value.contains(['\r', '\n', '\0']) {
            value = value.replace(['\r', '\n', '\0'], " ");
        }
        self.0.push((Cow::Borrowed(name), value));
    }

    /// Gives a header of the engine's own another value.
    pub fn replace(&mut self, name: &'static str, value: String) {
        self.0.retain(|(have, _)| !have.eq_ignore_ascii_case(name));
        self.push(name, value);
    }

    /// Takes all headers of a name away; says whether there were any.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|(have, _)| !have.eq_ignore_ascii_case(name));
        self.0.len() < before
    }

    /// Adds a header as the bus delivered it.
    pub fn push_received(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.push((Cow::Owned(name.into()), value.into()));
    }

    /// The first value under a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(have, _)| have.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// All headers in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.as_str()))
    }

    /// All headers in order, with their names as they are held: a borrowed one is a literal of the engine's own.
    pub fn entries(&self) -> impl Iterator<Item = (&Cow<'static, str>, &str)> {
        self.0.iter().map(|(name, value)| (name, value.as_str()))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many bytes they take on the wire: `NATS/1.0`, then `name: value` lines, then an empty line.
    #[must_use]
    pub fn wire_bytes(&self) -> usize {
        const FIRST_LINE_AND_LAST_BREAK: usize = 12;
        const COLON_SPACE_AND_BREAK: usize = 4;
        self.0.iter().map(|(name, value)| name.len() + value.len() + COLON_SPACE_AND_BREAK).sum::<usize>()
            + FIRST_LINE_AND_LAST_BREAK
    }
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Where it was, or is to be, published.
    pub subject: Subject,
    /// Where an answer is awaited.
    pub reply_to: Option<Subject>,
    /// Its headers.
    pub headers: Headers,
    /// Its payload.
    pub payload: Bytes,
}

impl Message {
    /// A message without headers.
    #[must_use]
    pub fn new(subject: Subject, payload: impl Into<Bytes>) -> Self {
        Self { subject, reply_to: None, headers: Headers::new(), payload: payload.into() }
    }

    /// Headers and payload as the server counts them against `max_payload`.
    #[must_use]
    pub fn wire_bytes(&self) -> usize {
        self.payload.len() + if self.headers.is_empty() { 0 } else { self.headers.wire_bytes() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_headers_are_refused_by_name() {
        let mut headers = Headers::new();
        assert_eq!(headers.try_push("", "v"), Err(HeaderError::BadName(String::new())));
        assert_eq!(headers.try_push("a b", "v"), Err(HeaderError::BadName("a b".into())));
        assert_eq!(headers.try_push("a:", "v"), Err(HeaderError::BadName("a:".into())));
        assert_eq!(headers.try_push("a", "v\r\nNats-Msg-Id: 1"), Err(HeaderError::BadValue("a".into())));
        assert_eq!(headers.try_push("a", "\0"), Err(HeaderError::BadValue("a".into())));
        assert!(matches!(headers.try_push("a", &"x".repeat(9_000)), Err(HeaderError::TooLong { .. })));
        for _ in 0..MAX_HEADERS {
            headers.try_push("a", "v").unwrap();
        }
        assert_eq!(headers.try_push("a", "v"), Err(HeaderError::TooMany(MAX_HEADERS + 1)));
    }

    #[test]
    fn names_compare_without_case() {
        let mut headers = Headers::new();
        headers.push("Traceparent", "00-1");
        assert_eq!(headers.get("traceparent"), Some("00-1"));
        headers.push("x", "a\nb");
        assert_eq!(headers.get("X"), Some("a b"));
    }
}
