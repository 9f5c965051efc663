//! The key of an event: where the manifest says it stands, how it is written into a subject, and which partition it belongs to.

use std::fmt;

use schemars::JsonSchema;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::event::Event;

/// The longest key in bytes. Escaped it may have three times as many, which a subject still holds.
pub const MAX_KEY_BYTES: usize = 256;
/// The most tokens and the most steps of a pointer that are looked at.
const MAX_DEPTH: usize = 32;

/// Where the key of an event stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KeySource {
    /// A token of the subject, from 1.
    Token(u32),
    /// A header, without regard to case. `ce-partitionkey` is the CloudEvents extension of that name.
    Header(String),
    /// A JSON pointer (RFC 6901) into the payload, to a string, an integer or a boolean.
    Pointer(String),
}

/// Why an event has no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The subject is too short.
    #[error("subject {subject:?} has no token {token}\n  hint: key.token of the manifest")]
    Token {
        /// The subject.
        subject: String,
        /// The token asked for.
        token: u32,
    },
    /// The header is not there.
    #[error("header {0:?} is missing\n  hint: key.header of the manifest")]
    Header(String),
    /// The payload is no JSON, or holds nothing there that can be a key.
    #[error("{pointer:?} of the payload is no key: {why}\n  hint: key.pointer of the manifest")]
    Pointer {
        /// The pointer.
        pointer: String,
        /// What is wrong.
        why: String,
    },
    /// Empty, or over [`MAX_KEY_BYTES`].
    #[error("the key has {0} bytes, not between 1 and {MAX_KEY_BYTES}")]
    Length(usize),
}

impl KeySource {
    /// What is wrong with the setting, if anything is.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        match self {
            Self::Token(token) if !(1..=MAX_DEPTH).contains(&(*token as usize)) => {
                Some(format!("key.token is {token}, not between 1 and {MAX_DEPTH}"))
            }
            Self::Header(name) if name.is_empty() => Some("key.header is empty".to_owned()),
            Self::Pointer(text) if !text.starts_with('/') => {
                Some(format!("key.pointer is {text:?}, which does not begin with '/'"))
            }
            Self::Pointer(text) if text.matches('/').count() > MAX_DEPTH => {
                Some(format!("key.pointer has more than {MAX_DEPTH} steps"))
            }
            Self::Token(_) | Self::Header(_) | Self::Pointer(_) => None,
        }
    }

    /// The key of an event.
    ///
    /// # Errors
    /// Says why it has none: such an event can never be handled.
    pub fn of(&self, event: &Event) -> Result<String, KeyError> {
        let key = match self {
            Self::Token(token) => {
                let none = || KeyError::Token { subject: event.subject.clone(), token: *token };
                event.subject.split('.').nth(*token as usize - 1).ok_or_else(none)?.to_owned()
            }
            Self::Header(name) => {
                let found = event.headers.iter().find(|(have, _)| have.eq_ignore_ascii_case(name));
                found.ok_or_else(|| KeyError::Header(name.clone()))?.1.clone()
            }
            Self::Pointer(pointer) => pointed_at(pointer, &event.data)?,
        };
        if (1..=MAX_KEY_BYTES).contains(&key.len()) { Ok(key) } else { Err(KeyError::Length(key.len())) }
    }
}

fn pointed_at(pointer: &str, payload: &[u8]) -> Result<String, KeyError> {
    let steps: Vec<_> =
        pointer.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
    let fault = |why: String| KeyError::Pointer { pointer: pointer.to_owned(), why };
    let mut reader = serde_json::Deserializer::from_slice(payload);
    let found = Walk(&steps).deserialize(&mut reader).map_err(|err| fault(err.to_string()))?;
    found.ok_or_else(|| fault("it is not there".to_owned()))
}

/// Goes down the steps of a pointer and passes over everything else.
struct Walk<'a>(&'a [String]);

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Walk<'_> {
    fn leaf<E: serde::de::Error>(&self, text: impl fmt::Display) -> Result<Option<String>, E> {
        Ok(self.0.is_empty().then(|| text.to_string()))
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, an integer or a boolean")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        self.leaf(text)
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Self::Value, E> {
        self.leaf(number)
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Self::Value, E> {
        self.leaf(number)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Self::Value, E> {
        self.leaf(value)
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Self::Value, E> {
        if self.0.is_empty() {
            return Err(E::custom(format!("{number} is neither a string nor an integer nor a boolean")));
        }
        Ok(None)
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Some((step, rest)) = self.0.split_first() else {
            return Err(A::Error::custom("it is an object"));
        };
        let mut found = None;
        while let Some(name) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            // The last of several, as everybody else reads JSON.
            if name == step.as_str() {
                found = map.next_value_seed(Walk(rest))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let Some((step, rest)) = self.0.split_first() else {
            return Err(A::Error::custom("it is an array"));
        };
        let wanted = step.parse::<usize>().ok();
        let (mut at, mut found) = (0, None);
        loop {
            if Some(at) == wanted {
                let Some(value) = list.next_element_seed(Walk(rest))? else { break };
                found = value;
            } else if list.next_element::<IgnoredAny>()?.is_none() {
                break;
            }
            at += 1;
        }
        Ok(found)
    }
}

/// A key as one token of a subject, and as a key of NATS KV: letters, digits, `-` and `_` as they are, any other byte as `=`
/// and two hexadecimal digits.
#[must_use]
pub fn escape(key: &str) -> String {
    let mut escaped = String::with_capacity(key.len() + 8);
    for byte in key.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("={byte:02X}"));
        }
    }
    escaped
}

/// The key that [`escape`] wrote so; none if it wrote no such thing.
#[must_use]
pub fn unescape(escaped: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut rest = escaped.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        if byte == b'=' {
            let (digits, after) = after.split_at_checked(2)?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = after;
        } else {
            bytes.push(byte);
            rest = after;
        }
    }
    let key = String::from_utf8(bytes).ok()?;
    (escape(&key) == escaped).then_some(key)
}

/// The partition that a key belongs to, from 0: FNV-1a of its bytes, 64 bits, modulo their number. Every engine has to come to
/// the same answer, in every version.
#[must_use]
pub fn partition(key: &str, partitions: u32) -> u32 {
    let hash = key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    u32::try_from(hash % u64::from(partitions.max(1))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn event(subject: &str, data: &str) -> Event {
        Event {
            id: "1".into(),
            source: "s".into(),
            kind: "k".into(),
            subject: subject.into(),
            time_ns: 1,
            key: None,
            headers: vec![("Customer".into(), "c7".into())],
            data: Bytes::copy_from_slice(data.as_bytes()),
            attempt: 1,
            reply_to: None,
            hops: 0,
        }
    }

    #[test]
    fn keys_are_found_where_the_manifest_says() {
        let of = |source: KeySource, data: &str| source.of(&event("sensors.7.temp", data));
        assert_eq!(of(KeySource::Token(2), "").unwrap(), "7");
        assert_eq!(of(KeySource::Header("customer".into()), "").unwrap(), "c7");
        let json = r#"{"x":[1,{"id":"a"}],"customer":{"id":-5,"b~/":true,"n":null},"f":1.5}"#;
        for (pointer, wanted) in [("/customer/id", "-5"), ("/customer/b~0~1", "true"), ("/x/1/id", "a")] {
            assert_eq!(of(KeySource::Pointer(pointer.into()), json).unwrap(), wanted, "{pointer}");
        }
    }

    #[test]
    fn events_without_a_key_say_why() {
        let of = |source: KeySource, data: &str| source.of(&event("a.b", data)).unwrap_err().to_string();
        assert!(of(KeySource::Token(3), "").contains("no token 3"));
        assert!(of(KeySource::Header("x".into()), "").contains("\"x\" is missing"));
        for (pointer, data, wanted) in [
            ("/a", "{", "EOF"),
            ("/a", "{}", "not there"),
            ("/a", "[1]", "not there"),
            ("/a/0", "{\"a\":[]}", "not there"),
            ("/a", "{\"a\":{}}", "an object"),
            ("/a", "{\"a\":1.5}", "neither a string"),
            ("/a", "{\"a\":null}", "not there"),
            ("/a", "{\"a\":\"\"}", "0 bytes"),
        ] {
            let told = of(KeySource::Pointer(pointer.into()), data);
            assert!(told.contains(wanted), "{pointer} of {data}: {told}");
        }
    }

    #[test]
    fn every_key_has_one_name() {
        for key in ["a", "a.b", "ä=", "*", ">", " ", "A-_9", "\u{0}"] {
            let escaped = escape(key);
            assert!(
                escaped.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_=".contains(&b)),
                "{key:?} became {escaped}"
            );
            assert_eq!(unescape(&escaped).as_deref(), Some(key));
        }
        for none in ["=4", "=zz", "=FF", "=61", "a b"] {
            assert_eq!(unescape(none), None, "{none}");
        }
    }

    #[test]
    fn partitions_are_what_they_always_were() {
        assert_eq!([0, 1, 2, 3].map(|n| partition(&format!("c{n}"), 4)), [2, 1, 0, 3]);
        assert_eq!(partition("anything", 1), 0);
    }
}
