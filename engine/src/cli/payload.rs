//! Bytes that plugins and publishers wrote, for people and as JSON. Nothing of them may reach a terminal as a control character.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// As many bytes that are no text as are shown.
const HEX_BYTES: usize = 1_024;
const HEX_ROW: usize = 16;
/// How deep a document may be nested to stand inside of another one, which a reader has to take too.
const MAX_DEPTH: usize = 64;

/// Bytes as JSON: in the plainest of three ways.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payload {
    /// They are JSON.
    Data(Value),
    /// They are a text.
    Text(String),
    /// Anything else.
    Base64(String),
}

impl Payload {
    /// The plainest that fits.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        match (serde_json::from_slice(bytes), std::str::from_utf8(bytes)) {
            (Ok(value), _) => Self::Data(value),
            (Err(_), Ok(text)) => Self::Text(text.to_owned()),
            (Err(_), Err(_)) => Self::Base64(BASE64_STANDARD.encode(bytes)),
        }
    }

    /// The plainest that gives back every byte.
    #[must_use]
    pub fn exact(bytes: &[u8]) -> Self {
        match Self::of(bytes) {
            Self::Data(value) if depth(&value) > MAX_DEPTH || value.to_string().as_bytes() != bytes => {
                // Spaces, numbers and escapes can be written in several ways; JSON is always a text.
                Self::Text(String::from_utf8_lossy(bytes).into_owned())
            }
            exact => exact,
        }
    }

    /// The bytes that [`Payload::exact`] told.
    ///
    /// # Errors
    /// If what should be base64 is not.
    pub fn bytes(&self) -> Result<Vec<u8>, base64::DecodeError> {
        match self {
            Self::Data(value) => Ok(value.to_string().into_bytes()),
            Self::Text(text) => Ok(text.clone().into_bytes()),
            Self::Base64(text) => BASE64_STANDARD.decode(text),
        }
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// Whether a text is one for people: it has no control characters but those that set lines out or colour them.
#[must_use]
pub fn is_readable(text: &str) -> bool {
    !text.contains(|c: char| c.is_ascii_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{1b}'))
}

/// Bytes for people: JSON set out in lines, text without what a terminal would act on, anything else as hexadecimal digits, of
/// which there are only so many; `whole` says how to see the rest.
pub fn shown(bytes: &[u8], whole: &str) -> String {
    match Payload::of(bytes) {
        Payload::Data(value) => harmless(&serde_json::to_string_pretty(&value).unwrap_or_default()),
        Payload::Text(text) if is_readable(&text) => harmless(&text),
        Payload::Text(_) | Payload::Base64(_) => hex(bytes, whole),
    }
}

/// A text of several lines without what a terminal would act on.
fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && c != '\n' && c != '\t' {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

fn hex(bytes: &[u8], whole: &str) -> String {
    let mut text = String::new();
    for (row, some) in bytes.iter().take(HEX_BYTES).copied().collect::<Vec<_>>().chunks(HEX_ROW).enumerate() {
        let digits: Vec<_> = some.iter().map(|byte| format!("{byte:02x}")).collect();
        let letters: String =
            some.iter().map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '.' }).collect();
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{:06x}  {:<width$}  {letters}",
            row * HEX_ROW,
            digits.join(" "),
            width = 3 * HEX_ROW - 1
        );
    }
    if bytes.len() > HEX_BYTES {
        let _ = write!(text, "… {} bytes in all; {whole}", bytes.len());
    }
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const W: &str = "--payload writes them";

    #[test]
    fn payloads_are_shown_as_plainly_as_they_can_be() {
        assert_eq!(shown(b"{\"a\":[1]}", W), "{\n  \"a\": [\n    1\n  ]\n}");
        assert_eq!(shown("t\u{1b}[2J\n\u{9b}x\té".as_bytes(), W), "t\\u{1b}[2J\n\\u{9b}x\té");
        assert_eq!(shown("\"\u{9b}\"".as_bytes(), W), "\"\\u{9b}\"");
        assert_eq!(shown(&[b'a', 0xff, 0, b'\n'], W), format!("000000  {:<47}  a...", "61 ff 00 0a"));
        assert_eq!(shown(&[0, 0, b'a'], W), format!("000000  {:<47}  ..a", "00 00 61"));
        assert!(shown(&[0xff; 5_000], W).ends_with("… 5000 bytes in all; --payload writes them"));
        assert_eq!(shown(b"", W), "");
    }

    #[test]
    fn what_is_told_exactly_gives_back_every_byte() {
        for (bytes, data) in [
            (&b"17"[..], true),
            (b"{\"b\":[1.5,-0.0],\"a\":\"\\u001b\"}", true),
            (b"{\"a\":1,\"a\":2}", false),
            (b" 17", false),
            (b"1.0e5", false),
            (b"\"\\u00e9\"", false),
            (b"", false),
            (b"plain", false),
            (&[0xff, 0x00, b'"'], false),
            (&[b'['; 200], false),
        ] {
            let told = serde_json::to_string(&Payload::exact(bytes)).unwrap();
            let read: Payload = serde_json::from_str(&told).unwrap();
            assert_eq!(read.bytes().unwrap(), bytes, "{told}");
            assert_eq!(matches!(read, Payload::Data(_)), data, "{told}");
        }
        let deep = [vec![b'['; 100], vec![b']'; 100]].concat();
        assert_eq!(Payload::exact(&deep), Payload::Text(String::from_utf8(deep).unwrap()));
        assert!(Payload::Base64("?".into()).bytes().is_err());
    }
}
