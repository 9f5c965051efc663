//! A letter in words and as JSON. What a letter holds comes from guests and from whoever may publish: nothing of it may
//! reach a terminal as a control character.

use serde::Serialize;

use crate::dead_letter::{Filed, Found, Letter, Marks, UNREADABLE};
use crate::message::Headers;
use crate::outcome::one_line;

/// A letter as JSON.
#[derive(Debug, Serialize)]
pub(super) struct Told<'a> {
    pub(super) sequence: u64,
    stored: String,
    state: String,
    redrives: u32,
    edits: u32,
    plugin: &'a str,
    version: &'a str,
    digest: &'a str,
    reason: &'a str,
    detail: &'a str,
    limit: Option<&'a str>,
    backtrace: Option<&'a str>,
    took_us: Option<u64>,
    attempts: u32,
    first_time: Option<String>,
    last_time: Option<String>,
    subject: &'a str,
    position: Option<&'a str>,
    input: &'a str,
    redriven_from: Option<u64>,
    redrive: Option<u32>,
    edited_from: Option<u64>,
}

/// What stands in the place of a letter, as JSON.
#[derive(Debug, Serialize)]
pub(super) struct NoLetter<'a> {
    sequence: u64,
    stored: String,
    state: &'static str,
    subject: &'a str,
    fault: String,
}

/// The letter as JSON.
pub(super) fn told(filed: &Filed, marks: Marks) -> Told<'_> {
    let Filed { sequence, stored, letter, .. } = filed;
    Told {
        sequence: *sequence,
        stored: stored.to_string(),
        state: state(marks),
        redrives: marks.redrives,
        edits: marks.edits,
        plugin: letter.plugin.as_str(),
        version: &letter.version,
        digest: &letter.digest,
        reason: &letter.reason,
        detail: &letter.detail,
        limit: letter.limit.as_deref(),
        backtrace: letter.backtrace.as_deref(),
        took_us: letter.took.map(|took| u64::try_from(took.as_micros()).unwrap_or(u64::MAX)),
        attempts: letter.attempts,
        first_time: letter.first_time.map(|time| time.to_string()),
        last_time: letter.last_time.map(|time| time.to_string()),
        subject: letter.event.message.subject.as_str(),
        position: letter.event.position.as_deref(),
        input: &letter.event.input,
        redriven_from: letter.redrive_of.map(|of| of.letter),
        redrive: letter.redrive_of.map(|of| of.number),
        edited_from: letter.edited_from,
    }
}

/// One line of JSON about what was found; none for what is missing.
pub(super) fn line(found: &Found, marks: Marks) -> Option<serde_json::Result<String>> {
    match found {
        Found::Letter(filed) => Some(serde_json::to_string(&told(filed, marks))),
        Found::Unreadable { sequence, stored, subject, fault } => Some(serde_json::to_string(&NoLetter {
            sequence: *sequence,
            stored: stored.to_string(),
            state: UNREADABLE,
            subject,
            fault: fault.to_string(),
        })),
        Found::Missing { .. } => None,
    }
}

/// What has become of a letter, in a word.
pub(super) fn state(marks: Marks) -> String {
    match marks {
        Marks { count: 0, .. } => "open".to_owned(),
        Marks { redrives: 0, edits: 0, .. } => "done".to_owned(),
        Marks { redrives: 0, .. } => "edited".to_owned(),
        Marks { redrives: 1, .. } => "redriven".to_owned(),
        Marks { redrives, .. } => format!("redriven x{redrives}"),
    }
}

/// All about a letter, its payload aside: names and values.
pub(super) fn rows(filed: &Filed, marks: Marks) -> Vec<Vec<String>> {
    let Letter { event, plugin, version, digest, reason, detail, limit, .. } = &filed.letter;
    let letter = &filed.letter;
    let mut rows = Vec::new();
    let mut row = |name: &str, value: String| rows.push(vec![name.to_owned(), one_line(value)]);
    row("letter", filed.sequence.to_string());
    row("state", state(marks));
    row("plugin", format!("{plugin} {version}").trim_end().to_owned());
    row("digest", digest.clone());
    row("reason", reason.clone());
    row("detail", detail.clone());
    let mut optional = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            row(name, value);
        }
    };
    optional("limit", limit.clone());
    optional("time used", letter.took.map(|took| format!("{took:?}")));
    optional("attempts", Some(letter.attempts.to_string()));
    optional("first failed", letter.first_time.map(|time| time.to_string()));
    optional("last failed", letter.last_time.map(|time| time.to_string()));
    optional("stored", Some(filed.stored.to_string()));
    let redriven = |of: crate::dead_letter::RedriveOf| format!("{} (redrive {})", of.letter, of.number);
    optional("redriven from", letter.redrive_of.map(redriven));
    optional("edited from", letter.edited_from.map(|sequence| sequence.to_string()));
    optional("subject", Some(event.message.subject.as_str().to_owned()));
    optional("position", event.position.clone());
    optional("input", Some(event.input.clone()));
    for (at, frame) in letter.backtrace.iter().flat_map(|frames| frames.lines()).enumerate() {
        row(if at == 0 { "backtrace" } else { "" }, frame.to_owned());
    }
    rows
}

/// Headers, one a line.
pub(super) fn headers(headers: &Headers) -> String {
    let lines: Vec<_> = headers.iter().map(|(name, value)| one_line(format!("{name}: {value}"))).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_a_word() {
        for (marks, wanted) in [
            (Marks::default(), "open"),
            (Marks { count: 1, redrives: 1, edits: 0 }, "redriven"),
            (Marks { count: 3, redrives: 2, edits: 1 }, "redriven x2"),
            (Marks { count: 1, redrives: 0, edits: 1 }, "edited"),
            (Marks { count: 1, redrives: 0, edits: 0 }, "done"),
        ] {
            assert_eq!(state(marks), wanted);
        }
    }
}
