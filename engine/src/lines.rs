//! Events and outputs as lines of JSON: what a command reads from its standard input and writes to its standard output.
//!
//! An event is one object: `id`, `source`, `type`, `subject`, `time` (RFC 3339), `headers` (pairs of name and value), `attempt`,
//! `key` and `reply_to` where there are such, and the payload as `data` if it is JSON, else as `text` if it is UTF-8, else as
//! `data_base64`.
//!
//! An output is `{"subject": …}` with the payload under one of the same three names, and `type`, `headers` and `event` (the id of
//! the event it answers, checked) where wanted. `{"retry": "why"}`, with `after_ms` where wanted, and `{"reject": "why"}` decline
//! the event.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::effects::Proposed;
use crate::event::Event;

#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    source: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    subject: &'a str,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    headers: &'a [(String, String)],
    attempt: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_base64: Option<String>,
}

/// An event as one line, with its end.
///
/// # Errors
/// If a header or the payload has no JSON form, which nothing that was decoded has.
pub fn event(event: &Event) -> Result<Vec<u8>, serde_json::Error> {
    let text = std::str::from_utf8(&event.data).ok();
    // A line must be one line. JSON has such characters between its tokens only, so a space means the same.
    let flat = text.filter(|text| text.contains(['\n', '\r'])).map(|text| text.replace(['\n', '\r'], " "));
    let json = flat.as_deref().or(text).and_then(|text| serde_json::from_str::<&RawValue>(text).ok());
    let line = Line {
        id: &event.id,
        source: &event.source,
        kind: &event.kind,
        subject: &event.subject,
        time: time(event.time_ns),
        key: event.key.as_deref(),
        headers: &event.headers,
        attempt: event.attempt,
        reply_to: event.reply_to.as_deref(),
        data: json,
        text: text.filter(|_| json.is_none()),
        data_base64: text.is_none().then(|| STANDARD.encode(&event.data)),
    };
    let mut bytes = serde_json::to_vec(&line)?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn time(ns: u64) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(ns)).map(|time| time.to_string()).unwrap_or_default()
}

/// What one line of output means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// An output.
    Output(Proposed),
    /// The event is to be delivered again.
    Retry {
        /// Why.
        reason: String,
        /// Not before so many milliseconds.
        after_ms: Option<u64>,
    },
    /// The event can never be handled.
    Reject(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer<'a> {
    event: Option<String>,
    subject: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    text: Option<String>,
    data_base64: Option<String>,
    retry: Option<String>,
    after_ms: Option<u64>,
    reject: Option<String>,
}

/// Reads one line that was written in answer to an event.
///
/// # Errors
/// Says what is wrong with it.
pub fn answer(line: &[u8], event_id: &str) -> Result<Said, String> {
    let answer: Answer<'_> = serde_json::from_slice(line).map_err(|err| err.to_string())?;
    if let Some(other) = answer.event.filter(|event| event != event_id) {
        return Err(format!(
            "it answers event {other:?}, but the event being handled is {event_id:?}\n  hint: write all outputs of an event, \
             and flush, before reading the next"
        ));
    }
    match (answer.subject, answer.retry, answer.reject) {
        (Some(subject), None, None) => {
            let data = payload(answer.data, answer.text, answer.data_base64)?;
            Ok(Said::Output(Proposed { subject, kind: answer.kind, headers: answer.headers, data }))
        }
        (None, Some(reason), None) => Ok(Said::Retry { reason, after_ms: answer.after_ms }),
        (None, None, Some(reason)) => Ok(Said::Reject(reason)),
        _ => Err("it has none, or more than one, of `subject`, `retry` and `reject`".to_owned()),
    }
}

fn payload(json: Option<&RawValue>, text: Option<String>, base64: Option<String>) -> Result<Vec<u8>, String> {
    match (json, text, base64) {
        (None, None, None) => Ok(Vec::new()),
        (Some(json), None, None) => Ok(json.get().as_bytes().to_vec()),
        (None, Some(text), None) => Ok(text.into_bytes()),
        (None, None, Some(base64)) => {
            STANDARD.decode(base64).map_err(|err| format!("`data_base64` is no base64: {err}"))
        }
        _ => Err("it has more than one of `data`, `text` and `data_base64`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn sample(data: &'static [u8]) -> Event {
        Event {
            id: "e1".into(),
            source: "nats:S".into(),
            kind: "nats.message".into(),
            subject: "a.b".into(),
            time_ns: 1_500_000_000,
            key: None,
            headers: vec![("x".into(), "1".into()), ("x".into(), "ü".into())],
            data: Bytes::from_static(data),
            attempt: 2,
            reply_to: None,
            hops: 0,
        }
    }

    #[test]
    fn an_event_is_one_line_whatever_its_payload() {
        for (data, wanted) in [
            (&b"{\"a\":\n 1.50}"[..], r#""data":{"a":  1.50}"#),
            (b"\"line\\n\"", r#""data":"line\n""#),
            (b"plain\ntext", r#""text":"plain\ntext""#),
            (b"", r#""text":"""#),
            (b"\xff\x00", r#""data_base64":"/wA=""#),
        ] {
            let line = String::from_utf8(event(&sample(data)).unwrap()).unwrap();
            assert_eq!(line.matches('\n').count(), 1, "{line}");
            assert!(line.ends_with(&format!("{wanted}}}\n")), "{line}");
            assert!(line.starts_with(r#"{"id":"e1","source":"nats:S","type":"nats.message","subject":"a.b","time":"1970-01-01T00:00:01.5Z","headers":[["x","1"],["x","ü"]],"attempt":2,"#), "{line}");
        }
    }

    #[test]
    fn answers_are_outputs_or_refusals() {
        let output = |data: &[u8]| {
            let (subject, headers) = ("o".to_owned(), vec![("h".to_owned(), "v".to_owned())]);
            Said::Output(Proposed { subject, kind: Some("t".into()), headers, data: data.to_vec() })
        };
        for (line, wanted) in [
            (
                r#"{"subject":"o","type":"t","headers":[["h","v"]],"data":{"a": 1.50}}"#,
                output(b"{\"a\": 1.50}"),
            ),
            (
                r#"{"event":"e1","subject":"o","type":"t","headers":[["h","v"]],"text":"a\nb"}"#,
                output(b"a\nb"),
            ),
            (r#"{"subject":"o","type":"t","headers":[["h","v"]],"data_base64":"/wA="}"#, output(b"\xff\x00")),
            (r#"{"subject":"o","type":"t","headers":[["h","v"]]}"#, output(b"")),
            (r#"{"retry":"later","after_ms":5}"#, Said::Retry { reason: "later".into(), after_ms: Some(5) }),
            (r#"{"reject":"never"}"#, Said::Reject("never".into())),
        ] {
            assert_eq!(answer(line.as_bytes(), "e1"), Ok(wanted), "{line}");
        }
    }

    #[test]
    fn what_is_no_answer_says_why() {
        for (line, wanted) in [
            ("hello", "expected value"),
            ("[]", "invalid length 0"),
            ("{}", "none, or more than one"),
            (r#"{"subject":"o","reject":"r"}"#, "more than one"),
            (r#"{"subject":"o","data":1,"text":"x"}"#, "more than one of `data`"),
            (r#"{"subject":"o","data_base64":"*"}"#, "no base64"),
            (r#"{"subjekt":"o"}"#, "unknown field `subjekt`"),
            (r#"{"event":"e0","subject":"o"}"#, "answers event \"e0\""),
        ] {
            let err = answer(line.as_bytes(), "e1").unwrap_err();
            assert!(err.contains(wanted), "{line}: {err}");
        }
    }
}
