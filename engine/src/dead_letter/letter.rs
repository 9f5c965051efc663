//! What a dead letter says, written and read back. A letter read back is hostile input: whoever may publish may have
//! written it.

use std::time::Duration;

use jiff::Timestamp;

use super::wrap::{WrapError, Wrapped, bad, number, required};
use super::{
    ATTEMPTS_HEADER, BACKTRACE_HEADER, DETAIL_HEADER, EDITED_FROM_HEADER, FIRST_TIME_HEADER, LETTER_HEADER,
    LIMIT_HEADER, PART_HEADER, REASON_HEADER, REDRIVE_HEADER, SUBJECT_PREFIX, TIME_HEADER, TOOK_HEADER,
    subject,
};
use crate::bus::{BusError, StoredMessage};
use crate::effects::{DIGEST_HEADER, PLUGIN_HEADER, VERSION_HEADER};
use crate::limits::{MAX_BACKTRACE_FRAMES, MAX_FRAME_CHARS, MAX_REASON_BYTES};
use crate::manifest::PluginName;
use crate::message::Message;
use crate::outcome::cut;

/// The most bytes of one of a letter's short texts: names, versions, times.
const MAX_SHORT_BYTES: usize = 256;
/// The most bytes of a backtrace: a character has up to four.
const MAX_BACKTRACE_BYTES: usize = MAX_BACKTRACE_FRAMES * MAX_FRAME_CHARS * 4;
/// The value of [`PART_HEADER`] on a letter whose second half stands elsewhere.
pub(super) const FIRST_OF_TWO: &str = "1/2";
/// That of the second half.
pub(super) const SECOND_OF_TWO: &str = "2/2";

/// The redrive that a letter came of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RedriveOf {
    /// The sequence of the letter that was redriven.
    pub letter: u64,
    /// Which redrive of it that was, from 1.
    pub number: u32,
}

/// A dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// The event that failed.
    pub event: Wrapped,
    /// The plugin that failed.
    pub plugin: PluginName,
    /// Its version.
    pub version: String,
    /// The digest of its component.
    pub digest: String,
    /// The failure's stable name.
    pub reason: String,
    /// The failure's text.
    pub detail: String,
    /// The setting that was exceeded, with its value.
    pub limit: Option<String>,
    /// Where in the guest it ended, innermost first.
    pub backtrace: Option<String>,
    /// How long the guest had it the last time.
    pub took: Option<Duration>,
    /// Deliveries made.
    pub attempts: u32,
    /// When the engine saw it fail for the first time.
    pub first_time: Option<Timestamp>,
    /// When it failed for the last time.
    pub last_time: Option<Timestamp>,
    /// The redrive that it came of.
    pub redrive_of: Option<RedriveOf>,
    /// The sequence of the letter that this one corrects.
    pub edited_from: Option<u64>,
}

/// A letter with its place in the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filed {
    /// Its sequence.
    pub sequence: u64,
    /// When the stream stored it.
    pub stored: Timestamp,
    /// What it says.
    pub letter: Letter,
    /// The second half of the payload stands elsewhere and has not been fetched.
    pub is_half: bool,
}

/// What stands at a place where a letter is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A letter; boxed for being far larger than the others.
    Letter(Box<Filed>),
    /// A message that is no letter, though it stands where letters do.
    Unreadable {
        /// Its sequence.
        sequence: u64,
        /// When the stream stored it.
        stored: Timestamp,
        /// Its subject.
        subject: String,
        /// What is wrong with it.
        fault: WrapError,
    },
    /// Nothing, or what belongs to another letter.
    Missing {
        /// The sequence.
        sequence: u64,
    },
}

/// What stands in the place of the reason for a message that is no letter.
pub const UNREADABLE: &str = "unreadable";

impl Letter {
    /// The letter as a message, without an id.
    pub(super) fn to_message(&self) -> Result<Message, BusError> {
        let mut headers = self.event.headers();
        headers.push(REASON_HEADER, self.reason.as_str());
        headers.push(DETAIL_HEADER, self.detail.as_str());
        headers.push(PLUGIN_HEADER, self.plugin.as_str());
        headers.push(VERSION_HEADER, self.version.as_str());
        headers.push(DIGEST_HEADER, self.digest.as_str());
        headers.push(ATTEMPTS_HEADER, self.attempts.to_string());
        let mut optional = |name, value: Option<String>| {
            if let Some(value) = value {
                headers.push(name, value);
            }
        };
        optional(LIMIT_HEADER, self.limit.clone());
        optional(BACKTRACE_HEADER, self.backtrace.as_ref().map(|frames| frames.replace('\n', " < ")));
        optional(TOOK_HEADER, self.took.map(|took| took.as_micros().to_string()));
        optional(FIRST_TIME_HEADER, self.first_time.map(|time| time.to_string()));
        optional(TIME_HEADER, self.last_time.map(|time| time.to_string()));
        optional(LETTER_HEADER, self.redrive_of.map(|of| of.letter.to_string()));
        optional(REDRIVE_HEADER, self.redrive_of.map(|of| of.number.to_string()));
        optional(EDITED_FROM_HEADER, self.edited_from.map(|sequence| sequence.to_string()));
        Ok(Message {
            subject: subject(format!("{SUBJECT_PREFIX}.{}", self.plugin))?,
            reply_to: None,
            headers,
            payload: self.event.message.payload.clone(),
        })
    }

    fn read(message: Message) -> Result<Self, WrapError> {
        let headers = &message.headers;
        let text = |name, most_bytes| {
            headers.get(name).map(|text| {
                let mut text = text.to_owned();
                cut(&mut text, most_bytes);
                text
            })
        };
        let short = |name| text(name, MAX_SHORT_BYTES);
        let time = |name| match headers.get(name) {
            None => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|_| bad(name, text)),
        };
        let redrive_of = match (number(headers, LETTER_HEADER)?, number(headers, REDRIVE_HEADER)?) {
            (Some(letter), Some(number)) => Some(RedriveOf { letter, number }),
            _ => None,
        };
        required(headers, REASON_HEADER)?;
        Ok(Self {
            plugin: plugin_of(message.subject.as_str())
                .ok_or_else(|| bad(PLUGIN_HEADER, message.subject.as_str()))?,
            version: short(VERSION_HEADER).unwrap_or_default(),
            digest: short(DIGEST_HEADER).unwrap_or_default(),
            reason: short(REASON_HEADER).unwrap_or_default(),
            detail: text(DETAIL_HEADER, MAX_REASON_BYTES).unwrap_or_default(),
            limit: short(LIMIT_HEADER),
            backtrace: text(BACKTRACE_HEADER, MAX_BACKTRACE_BYTES).map(|frames| frames.replace(" < ", "\n")),
            took: number(headers, TOOK_HEADER)?.map(Duration::from_micros),
            attempts: number(headers, ATTEMPTS_HEADER)?.unwrap_or(1),
            first_time: time(FIRST_TIME_HEADER)?,
            last_time: time(TIME_HEADER)?,
            redrive_of,
            edited_from: number(headers, EDITED_FROM_HEADER)?,
            event: Wrapped::read(headers, message.payload)?,
        })
    }
}

impl Found {
    /// Reads a message of the stream.
    pub(super) fn read(stored: StoredMessage) -> Self {
        let StoredMessage { sequence, stored_ns, message } = stored;
        let stored = Timestamp::from_nanosecond(i128::from(stored_ns)).unwrap_or_default();
        let subject = message.subject.as_str().to_owned();
        if subject.split('.').count() != SUBJECT_PREFIX.split('.').count() + 1 {
            return Self::Missing { sequence };
        }
        let is_half = message.headers.get(PART_HEADER) == Some(FIRST_OF_TWO);
        match Letter::read(message) {
            Ok(letter) => Self::Letter(Box::new(Filed { sequence, stored, letter, is_half })),
            Err(fault) => Self::Unreadable { sequence, stored, subject, fault },
        }
    }

    /// Where it stands.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        match self {
            Self::Letter(filed) => filed.sequence,
            Self::Unreadable { sequence, .. } | Self::Missing { sequence } => *sequence,
        }
    }
}

/// The plugin whose letters stand under a subject. The header says it as well, but the subject is what is searched.
pub(super) fn plugin_of(subject: &str) -> Option<PluginName> {
    let rest = subject.strip_prefix(SUBJECT_PREFIX)?.strip_prefix('.')?;
    PluginName::new(rest.split('.').next()?).ok()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::event::Origin;
    use crate::message::Headers;
    use crate::subject::Subject;

    pub fn letter() -> Letter {
        let mut headers = Headers::new();
        headers.push("Nats-Msg-Id", "m1");
        headers.push("x-own", "1");
        Letter {
            event: Wrapped {
                message: Message {
                    headers,
                    ..Message::new(Subject::received("payments.card"), &b"\xff"[..])
                },
                input: "S@1:9".into(),
                origin: Origin {
                    id: "S:9".into(),
                    source: "nats:S".into(),
                    time_ns: 1_700_000_000_000_000_001,
                    attempt: 1,
                },
                position: Some("S:9".into()),
            },
            plugin: PluginName::new("p").unwrap(),
            version: "1.0.0".into(),
            digest: "ab".into(),
            reason: "cpu-limit".into(),
            detail: "too long".into(),
            limit: Some("limits.cpu_ms = 100".into()),
            backtrace: Some("inner\nouter".into()),
            took: Some(Duration::from_micros(100_007)),
            attempts: 5,
            first_time: Some("2026-11-21T00:00:00Z".parse().unwrap()),
            last_time: Some("2026-11-21T00:00:01.5Z".parse().unwrap()),
            redrive_of: Some(RedriveOf { letter: 3, number: 2 }),
            edited_from: Some(4),
        }
    }

    fn found(change: impl FnOnce(&mut Message)) -> Found {
        let mut message = letter().to_message().unwrap();
        change(&mut message);
        Found::read(StoredMessage { sequence: 7, stored_ns: 1, message })
    }

    #[test]
    fn a_letter_is_read_as_it_was_written() {
        let Found::Letter(filed) = found(|_| {}) else { panic!("no letter") };
        assert_eq!(filed.letter, letter());
        assert_eq!((filed.sequence, filed.is_half), (7, false));
    }

    #[test]
    fn what_is_no_letter_is_told_apart() {
        let fault = |change: fn(&mut Message)| match found(change) {
            Found::Unreadable { fault, .. } => fault.to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(fault(|message| message.headers = Headers::new()), "it has no header Wasmill-Reason");
        assert_eq!(
            fault(|message| message.headers.replace(TIME_HEADER, "soon".into())),
            "its header Wasmill-Time is \"soon\""
        );
        assert!(fault(|message| message.headers.replace(LETTER_HEADER, "-1".into())).contains("\"-1\""));
        assert!(
            fault(|message| message.subject = Subject::received("wasmill.dead-letter.a b")).contains("a b")
        );
        for subject in ["wasmill.dead-letter.p.done.3", "wasmill.dead-letter.p.rest.3"] {
            let of_another = found(|message| message.subject = Subject::received(subject));
            assert_eq!(of_another, Found::Missing { sequence: 7 });
        }
    }

    #[test]
    fn long_texts_are_cut() {
        let Found::Letter(filed) = found(|message| {
            message.headers.replace(REASON_HEADER, "é".repeat(10_000));
            message.headers.replace(DETAIL_HEADER, "x".repeat(10_000));
        }) else {
            panic!("no letter")
        };
        assert_eq!((filed.letter.reason.len(), filed.letter.detail.len()), (256, MAX_REASON_BYTES));
    }
}
