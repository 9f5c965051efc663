//! JSON decoding whose errors name the place. The way to it is scanned only once something is wrong: decoders that
//! track it always are slower and larger.

use std::fmt::Write;

use serde::Deserialize;

use crate::Failure;

/// The most bytes of a reason: a hostile payload must not become a hostile reason.
const REASON_MAX_BYTES: usize = 512;
/// The most bytes of one key in a path.
const KEY_MAX_BYTES: usize = 64;

/// Decodes an event's payload.
pub fn payload<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Failure> {
    serde_json::from_slice(bytes).map_err(|err| Failure::reject(explain("payload", bytes, &err)))
}

/// Decodes anything else than a payload; [`explain`] says what is wrong with it.
pub fn json<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(bytes)
}

/// A name as a reason tells it: it may be made of what came in.
pub fn short(name: &str) -> &str {
    name.get(..floor(name, KEY_MAX_BYTES)).unwrap_or_default()
}

/// Says what is wrong with `bytes`, and where.
#[cold]
#[inline(never)]
pub fn explain(what: &str, bytes: &[u8], err: &serde_json::Error) -> String {
    if bytes.is_empty() {
        return format!("{what}: it is empty, not JSON");
    }
    let path = path_at(bytes, err.line(), err.column());
    let mut reason =
        if path.is_empty() { format!("{what}: {err}") } else { format!("{what}: `{path}`: {err}") };
    if reason.len() > REASON_MAX_BYTES {
        let place = format!("... at line {} column {}", err.line(), err.column());
        cut(&mut reason, REASON_MAX_BYTES - place.len());
        reason.push_str(&place);
    }
    reason
}

/// The most bytes up to `max` that end with a character.
fn floor(text: &str, max: usize) -> usize {
    (0..=max.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

fn cut(text: &mut String, max: usize) {
    text.truncate(floor(text, max));
}

enum Frame {
    Object { key: String, in_key: bool },
    Array { index: usize },
}

/// The path to the value at a line and a column (both from 1), such as `items[2].amount`.
fn path_at(bytes: &[u8], line: usize, column: usize) -> String {
    let line_start: usize =
        bytes.split_inclusive(|&b| b == b'\n').take(line.saturating_sub(1)).map(<[u8]>::len).sum();
    let until = line_start.saturating_add(column).min(bytes.len());
    let mut frames = Vec::new();
    let mut rest = bytes.get(..until).unwrap_or_default().iter().copied();
    while let Some(byte) = rest.next() {
        match (byte, frames.last_mut()) {
            (b'{', _) => frames.push(Frame::Object { key: String::new(), in_key: true }),
            (b'[', _) => frames.push(Frame::Array { index: 0 }),
            (b'}' | b']', _) => drop(frames.pop()),
            (b'"', Some(Frame::Object { key, in_key: true })) => *key = string(&mut rest),
            (b'"', _) => drop(string(&mut rest)),
            (b':', Some(Frame::Object { in_key, .. })) => *in_key = false,
            (b',', Some(Frame::Object { key, in_key })) => {
                key.clear();
                *in_key = true;
            }
            (b',', Some(Frame::Array { index })) => *index += 1,
            _ => {}
        }
    }
    render(&frames)
}

/// The text of a string whose opening quote was read, shortened.
fn string(rest: &mut impl Iterator<Item = u8>) -> String {
    let mut text = Vec::new();
    while let Some(byte) = rest.next() {
        match byte {
            b'"' => break,
            b'\\' => text.extend([byte].into_iter().chain(rest.next())),
            _ => text.push(byte),
        }
    }
    let mut text = String::from_utf8_lossy(&text).into_owned();
    cut(&mut text, KEY_MAX_BYTES);
    text
}

fn render(frames: &[Frame]) -> String {
    let mut path = String::new();
    for frame in frames {
        match frame {
            Frame::Object { key, .. } if key.is_empty() => {}
            Frame::Object { key, .. } if path.is_empty() => path.push_str(key),
            Frame::Object { key, .. } => path.extend([".", key.as_str()]),
            // Writing to a String cannot fail.
            Frame::Array { index } => write!(path, "[{index}]").unwrap_or_default(),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only decoding is of interest")]
    struct Order {
        id: String,
        items: Vec<Item>,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only decoding is of interest")]
    struct Item {
        amount: f64,
    }

    #[test]
    fn faults_are_named_with_their_place() {
        for (text, wanted) in [
            ("", "payload: it is empty, not JSON"),
            ("nope", "payload: expected ident at line 1 column 2"),
            ("{\"id\":\"a\"", "EOF while parsing"),
            ("{\"id\":\"a\"}", "payload: missing field `items`"),
            ("{\"id\":7,\"items\":[]}", "payload: `id`: invalid type: integer `7`, expected a string"),
            (
                "{\"id\":\"\",\n \"items\":[{\"amount\":1},{\"amount\":\"x\"}]}",
                "`items[1].amount`: invalid type: string",
            ),
            ("{\"id\":\"\",\"items\":[{\"amount\":1},{}]}", "`items[1]`: missing field `amount`"),
            ("{\"id\":\"a,\\\"{[\",\"items\":{}}", "`items`: invalid type: map"),
            ("{\"id\":\"\",\"items\":[{\"amount\":1e999}]}", "`items[0].amount`: number out of range"),
            ("{\"id\":\"\",\"items\":[{\"amount\":NaN}]}", "`items[0].amount`: expected value"),
            ("{\"id\":\"\",\"items\":[],\"idd\":1}", "`idd`: unknown field `idd`"),
            ("{\"id\":\"\",\"items\":[]} x", "trailing characters"),
        ] {
            let failure = payload::<Order>(text.as_bytes()).unwrap_err();
            assert!(!failure.is_retry());
            assert!(failure.reason().contains(wanted), "{text:?} gave {failure}");
        }
        let failure = payload::<Order>(b"{\"id\":\"\xFF\"}").unwrap_err();
        assert!(failure.reason().contains("unicode"), "{failure}");
    }

    #[test]
    fn reasons_stay_short() {
        let key = "é".repeat(5_000);
        let text = format!("{{\"id\":\"\",\"{key}\":1}}");
        let failure = payload::<Order>(text.as_bytes()).unwrap_err();
        assert!(failure.reason().len() <= REASON_MAX_BYTES, "{}", failure.reason().len());
        assert!(failure.reason().contains("... at line 1 column"), "{failure}");
    }

    #[test]
    fn any_place_in_any_bytes_has_a_path() {
        let text = b"]}{\"a\\\":[1,{\"b\":\"\\";
        for line in 0..3 {
            for column in 0..40 {
                let _ = path_at(text, line, column);
            }
        }
        assert_eq!(path_at(b"{\"a\":[1,{\"b\":2}]}", 1, 13), "a[1].b");
    }
}
