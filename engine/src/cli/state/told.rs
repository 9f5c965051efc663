//! Records in words. What they hold comes from guests: nothing of it may reach a terminal as a control character.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;

use super::{counted, shapes};
use crate::cli::out;
use crate::cli::payload::{self, Payload};
use crate::keyed::bucket::Owner;
use crate::keyed::survey::Filed;
use crate::outcome::one_line;
use crate::record::Record;
use crate::state::Timer;

/// The longest value that stands beside its name, in characters.
const SHORT: usize = 90;
/// The most lines of one value.
const MOST_LINES: usize = 60;
/// What says how to see the rest of a value.
const WHOLE: &str = "--field NAME writes it whole";

/// A time in nanoseconds since the Unix epoch.
pub(super) fn time(ns: u64) -> String {
    let time = Timestamp::from_nanosecond(i128::from(ns));
    time.map_or_else(|_| format!("{ns} ns"), |time| time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}

/// The same, to the second.
pub(super) fn second(ns: u64) -> String {
    let time = Timestamp::from_nanosecond(i128::from(ns));
    time.map_or_else(|_| "-".to_owned(), |time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// The time of day, nanoseconds since the Unix epoch.
pub(super) fn now_ns() -> u64 {
    u64::try_from(Timestamp::now().as_nanosecond()).unwrap_or_default()
}

/// How far one time is from another: `in 3m 20s`, `2h 5m ago`.
pub(super) fn from_now(ns: u64, now_ns: u64) -> String {
    let seconds = ns.abs_diff(now_ns) / 1_000_000_000;
    let units = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let first = units.iter().position(|(unit, _)| seconds >= *unit).unwrap_or(units.len() - 1);
    let mut left = seconds;
    let mut parts = Vec::new();
    for (unit, name) in units.iter().skip(first).take(2) {
        if left >= *unit || parts.is_empty() {
            parts.push(format!("{}{name}", left / unit));
        }
        left %= unit;
    }
    let span = parts.join(" ");
    if ns > now_ns { format!("in {span}") } else { format!("{span} ago") }
}

/// All about a record.
pub(super) fn whole(filed: &Filed, record: &Record, owner: Option<&Owner>, now_ns: u64) -> String {
    let mut text = out::table(&head(filed, record, owner, now_ns), &[]);
    let state = &record.state;
    text.push_str(&format!("\n\nfields ({})", state.fields().len()));
    for (name, value) in state.fields() {
        text.push_str(&field(name, value));
    }
    if state.timer_count() > 0 {
        text.push_str(&format!("\n\ntimers ({})\n{}", state.timer_count(), timers(record, now_ns)));
    }
    if !record.outbox.is_empty() {
        let stored = if filed.settled { "all stored" } else { "may not be stored yet" };
        text.push_str(&format!("\n\noutputs of the last write ({}, {stored})", record.outbox.len()));
        for output in &record.outbox {
            let id = output.message.headers.get("Nats-Msg-Id").unwrap_or_default();
            let head = one_line(format!("{}  {id}", output.message.subject));
            text.push_str(&format!("\n{}", head.trim_end()));
            text.push_str(&indented(&value(&output.message.payload)));
        }
    }
    text
}

fn head(filed: &Filed, record: &Record, owner: Option<&Owner>, now_ns: u64) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut row = |name: &str, value: String| rows.push(vec![name.to_owned(), one_line(value)]);
    let dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    row("key", record.key.clone());
    row("partition", filed.partition.to_string());
    row("version", dash(&record.version));
    row("touched", format!("{} ({})", time(record.touched_ns), from_now(record.touched_ns, now_ns)));
    row("stored", format!("{} as revision {}", time(filed.stored_ns), filed.sequence));
    row("bytes", out::grouped(filed.bytes as u64));
    if let Some(ttl_s) = filed.ttl_s {
        let ends_ns = filed.stored_ns.saturating_add(ttl_s.saturating_mul(1_000_000_000));
        row("dropped", format!("{} if nothing changes", from_now(ends_ns, now_ns)));
    }
    for (stream, reached) in &record.applied {
        row("applied", format!("{stream} up to {}", reached.sequence));
    }
    if let Some(owner) = owner {
        for (stream, reached) in &owner.cursor {
            row("cursor", format!("{stream} at {}", reached.sequence));
        }
        if owner.clock_ns > 0 {
            row("event clock", time(owner.clock_ns));
        }
    }
    rows
}

/// A field, on a line of its own or on several.
fn field(name: &str, bytes: &[u8]) -> String {
    let name = one_line(name.to_owned());
    if let Some(words) = shapes::words(bytes) {
        return format!("\n{name}  {}\n  {}", one_line(words), clipped(&String::from_utf8_lossy(bytes)));
    }
    let plain = match Payload::of(bytes) {
        Payload::Data(value) => Some(one_line(value.to_string())),
        Payload::Text(text) if text.is_empty() => Some("(empty)".to_owned()),
        Payload::Text(text) if payload::is_readable(&text) && !text.contains('\n') => Some(one_line(text)),
        Payload::Text(_) | Payload::Base64(_) => None,
    };
    match plain.filter(|plain| plain.chars().count() <= SHORT) {
        Some(plain) => format!("\n{name}  {plain}"),
        None => format!("\n{name}  ({}){}", counted(bytes.len() as u64, "byte"), indented(&value(bytes))),
    }
}

/// The beginning of a value that was told in words already.
fn clipped(text: &str) -> String {
    let begin: String = text.chars().take(SHORT).collect();
    if begin.len() == text.len() {
        return one_line(begin);
    }
    format!("{}… {} in all; {WHOLE}", one_line(begin), counted(text.len() as u64, "byte"))
}

/// A value in lines, of which there are only so many.
fn value(bytes: &[u8]) -> String {
    let text = payload::shown(bytes, WHOLE);
    let lines = text.lines().count();
    if lines <= MOST_LINES {
        return text;
    }
    let first: Vec<_> = text.lines().take(MOST_LINES).collect();
    format!("{}\n… {} more lines; {WHOLE}", first.join("\n"), lines - MOST_LINES)
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("\n  {line}")).collect()
}

fn timers(record: &Record, now_ns: u64) -> String {
    let mut by_due: Vec<_> = record.state.timers().collect();
    by_due.sort_by_key(|(_, timer)| (timer.due_ns, timer.setting));
    let mut rows = vec![["NAME", "DUE", "LEFT", "DATA"].map(str::to_owned).to_vec()];
    for (name, Timer { due_ns, data, .. }) in by_due {
        let mut data = match Payload::of(data) {
            Payload::Data(value) => value.to_string(),
            Payload::Text(text) if payload::is_readable(&text) => text,
            Payload::Text(_) | Payload::Base64(_) => {
                format!("{}, base64 {}", counted(data.len() as u64, "byte"), BASE64_STANDARD.encode(data))
            }
        };
        if data.chars().count() > SHORT {
            data = data.chars().take(SHORT).chain(['…']).collect();
        }
        let left = from_now(*due_ns, now_ns);
        rows.push([name.to_string(), time(*due_ns), left, data].map(one_line).to_vec());
    }
    out::table(&rows, &[])
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::state::KeyState;

    const S: u64 = 1_000_000_000;

    #[test]
    fn spans_have_two_units() {
        for (ns, now, wanted) in [
            (200 * S, 0, "in 3m 20s"),
            (0, 200 * S, "3m 20s ago"),
            (5, 0, "in 0s"),
            (0, 0, "0s ago"),
            (86_400 * S, 0, "in 1d"),
            (90_061 * S, 0, "in 1d 1h"),
            (3_605 * S, 0, "in 1h"),
        ] {
            assert_eq!(from_now(ns, now), wanted);
        }
        assert_eq!(time(0), "1970-01-01T00:00:00.000Z");
        assert!(time(u64::MAX).starts_with("2554-"));
    }

    #[test]
    fn a_record_is_told_readably() {
        let field = |name: &str, value: &str| (Arc::from(name), Bytes::copy_from_slice(value.as_bytes()));
        let long = format!("{{\"panes\":[{}]}}", vec!["1"; 200].join(","));
        let taken = r#"{"w":1700000060000,"p":[[1700000000000,[3,[1.5,0.0]]],[1700000060000,[1,[22.5,0.0]]]],"l":200000}"#;
        let timer = |due_ns, setting, data| Timer { due_ns, data: Bytes::from_static(data), setting };
        let record = Record {
            key: "a\u{1b}".into(),
            state: KeyState::new(
                [
                    field("count", "17"),
                    field("esc", "\u{9b}1m"),
                    field("window", &long),
                    field("taken", taken),
                    field("zeros", "\0\0"),
                    (Arc::from("raw"), Bytes::from_static(&[0xff])),
                ],
                [
                    (Arc::from("late"), timer(90 * S, 1, b"\0\0")),
                    (Arc::from("soon"), timer(70 * S, 2, b"\x1b")),
                ],
                2,
            ),
            ..Record::default()
        };
        let filed = Filed {
            partition: 0,
            key: record.key.clone(),
            sequence: 9,
            stored_ns: 50 * S,
            bytes: 1_234,
            ttl_s: Some(60),
            settled: true,
            record: Ok(record.clone()),
        };
        let text = whole(&filed, &record, None, 60 * S);
        for wanted in [
            "key        a\\u{1b}\n",
            "bytes      1,234\n",
            "dropped    in 50s if nothing changes",
            "\n\nfields (6)\ncount  17\nesc  \\u{9b}1m\nraw  (1 byte)\n  000000  ff",
            "\ntaken  2 panes from 2023-11-14T22:13:20.000Z to 2023-11-14T22:14:20.000Z, watermark 2023-",
            "\n  {\"w\":1700000060000,\"p\":[[1700000000000,[3,[1.5,0.0]]],[1700000060000,[1,[22.5,0.0]]]],\"l\":… 97 bytes in all; --field NAME writes it whole",
            "\nzeros  (2 bytes)\n  000000  00 00 ",
            "\nwindow  (411 bytes)\n  {\n    \"panes\": [\n",
            "\n  … 144 more lines; --field NAME writes it whole",
            "\n\ntimers (2)\nNAME  DUE                       LEFT    DATA\nsoon  1970-01-01T00:01:10.000Z  in 10s  \\u{1b}\nlate",
            "  in 30s  2 bytes, base64 AAA=",
        ] {
            assert!(text.contains(wanted), "no {wanted:?} in {text}");
        }
        assert!(!text.contains(['\u{1b}', '\u{9b}']), "{text}");
    }
}
