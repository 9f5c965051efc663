//! A record as a line of an export. What is exported gives back every byte of fields, timers and outputs.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, anyhow, ensure};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::cli::payload::Payload;
use crate::effects::Output;
use crate::key::MAX_KEY_BYTES;
use crate::keyed::survey::Filed;
use crate::manifest::OutputDelivery;
use crate::message::{Headers, Message};
use crate::record::{Reached, Record};
use crate::state::{KeyState, Timer, is_name};
use crate::subject::Subject;

/// The format that is written, and read.
const FORMAT: u32 = 1;

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    /// The format of what follows.
    pub wasmill_state: u32,
    pub plugin: String,
    /// When it was made, RFC 3339.
    pub exported: String,
    pub partitions: u32,
    /// Up to where each stream was done in all partitions, before the first record was read.
    pub cursor: BTreeMap<String, Reached>,
    /// The clock of the events there, nanoseconds since the Unix epoch.
    pub clock_ns: u64,
}

impl Head {
    pub(super) fn new(
        plugin: &str,
        partitions: u32,
        cursor: BTreeMap<String, Reached>,
        clock_ns: u64,
    ) -> Self {
        let exported = jiff::Timestamp::now().to_string();
        Self { wasmill_state: FORMAT, plugin: plugin.to_owned(), exported, partitions, cursor, clock_ns }
    }

    pub(super) fn read(text: &[u8]) -> anyhow::Result<Self> {
        let head: Self = serde_json::from_slice(text).map_err(|error| {
            anyhow!("it is no export: {error}\n  hint: its first line says what it is; `wasmill state export` writes it")
        })?;
        let format = head.wasmill_state;
        ensure!(
            format == FORMAT,
            "it has format {format}, this engine reads format {FORMAT}\n  hint: an engine of a later version wrote it"
        );
        Ok(head)
    }
}

/// Any other line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Line {
    pub key: String,
    version: String,
    touched_ns: u64,
    applied: BTreeMap<String, Reached>,
    fields: BTreeMap<String, Payload>,
    timers: BTreeMap<String, TimerLine>,
    /// How many timers the key has ever had set.
    settings: u64,
    /// Outputs that may not be stored yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    outbox: Vec<OutputLine>,
    /// After how many seconds without a change the server drops it by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ttl_s: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct TimerLine {
    due_ns: u64,
    setting: u64,
    data: Payload,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct OutputLine {
    subject: String,
    delivery: OutputDelivery,
    headers: Vec<(String, String)>,
    payload: Payload,
}

impl Line {
    pub(super) fn of(filed: &Filed, record: &Record) -> Self {
        let state = &record.state;
        let timer = |(name, timer): (&Arc<str>, &Timer)| {
            let Timer { due_ns, setting, data } = timer;
            (name.to_string(), TimerLine { due_ns: *due_ns, setting: *setting, data: Payload::exact(data) })
        };
        let outbox = if filed.settled { &[][..] } else { &record.outbox };
        Self {
            key: record.key.clone(),
            version: record.version.clone(),
            touched_ns: record.touched_ns,
            applied: record.applied.clone(),
            fields: state.fields().map(|(name, value)| (name.to_string(), Payload::exact(value))).collect(),
            timers: state.timers().map(timer).collect(),
            settings: state.settings(),
            outbox: outbox.iter().map(OutputLine::of).collect(),
            ttl_s: filed.ttl_s,
        }
    }

    /// The record that it tells, and after how many seconds the server drops it.
    pub(super) fn read(text: &[u8]) -> anyhow::Result<(Record, Option<u64>)> {
        let line: Self = serde_json::from_slice(text)?;
        let bytes = line.key.len();
        ensure!(
            (1..=MAX_KEY_BYTES).contains(&bytes),
            "the key has {bytes} bytes, not between 1 and {MAX_KEY_BYTES}"
        );
        let named = |name: &str, value: &Payload| -> anyhow::Result<(Arc<str>, Bytes)> {
            ensure!(is_name(name), "{name:?} is no name of a field or timer: it has 1 to 256 bytes");
            let bytes = value.bytes().with_context(|| format!("{name:?} is not base64"))?;
            Ok((Arc::from(name), bytes.into()))
        };
        let fields = line.fields.iter().map(|(name, value)| named(name, value));
        let timers = line.timers.iter().map(|(name, timer)| {
            let (name, data) = named(name, &timer.data)?;
            Ok((name, Timer { due_ns: timer.due_ns, setting: timer.setting, data }))
        });
        let (fields, timers) =
            (fields.collect::<anyhow::Result<Vec<_>>>()?, timers.collect::<anyhow::Result<Vec<_>>>()?);
        let outbox = line.outbox.iter().map(OutputLine::read).collect::<anyhow::Result<_>>()?;
        let state = KeyState::new(fields, timers, line.settings);
        let (version, touched_ns, applied) = (line.version, line.touched_ns, line.applied);
        Ok((Record { key: line.key, version, touched_ns, applied, state, outbox }, line.ttl_s))
    }
}

impl OutputLine {
    fn of(output: &Output) -> Self {
        let headers = output.message.headers.iter();
        Self {
            subject: output.message.subject.to_string(),
            delivery: output.delivery,
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            payload: Payload::exact(&output.message.payload),
        }
    }

    fn read(&self) -> anyhow::Result<Output> {
        let mut headers = Headers::with_capacity(self.headers.len());
        for (name, value) in &self.headers {
            headers.try_push(name, value)?;
        }
        let payload = self.payload.bytes().context("the payload of an output is not base64")?.into();
        let subject = Subject::new(self.subject.as_str())?;
        Ok(Output { message: Message { subject, reply_to: None, headers, payload }, delivery: self.delivery })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let mut message = Message::new(Subject::new("out.a").unwrap(), Bytes::from_static(&[0xff, 1]));
        message.headers.push("Nats-Msg-Id", "p:S@1:7:0");
        let timer = Timer { due_ns: u64::MAX, data: Bytes::from_static(b"{\"a\": 1}"), setting: 3 };
        let field = |name: &str, value: &'static [u8]| (Arc::<str>::from(name), Bytes::from_static(value));
        let mut record = Record {
            key: "käse \u{1b}".into(),
            version: "1.2.0".into(),
            touched_ns: 1_700_000_000_123_456_789,
            state: KeyState::new(
                [
                    field("count", b"17"),
                    field("odd", b"{\"x\":1e5, \"y\":2}"),
                    field("raw", &[0xff, 0]),
                    field("t", b"a\nb"),
                ],
                [(Arc::from("idle"), timer)],
                9,
            ),
            outbox: vec![Output { message, delivery: OutputDelivery::Core }],
            ..Record::default()
        };
        record.apply("S", Reached { incarnation_ms: 1, sequence: 7 });
        record
    }

    #[test]
    fn a_line_gives_back_every_byte() {
        let record = record();
        let mut filed = Filed {
            partition: 0,
            key: record.key.clone(),
            sequence: 1,
            stored_ns: 0,
            bytes: 0,
            ttl_s: Some(60),
            settled: false,
            record: Ok(record.clone()),
        };
        let text = serde_json::to_string(&Line::of(&filed, &record)).unwrap();
        assert!(
            text.contains(r#""fields":{"count":{"data":17},"odd":{"text":"{\"x\":1e5, \"y\":2}"}"#),
            "{text}"
        );
        assert!(!text.contains(['\n', '\u{1b}']), "{text}");
        let (read, ttl_s) = Line::read(text.as_bytes()).unwrap();
        assert_eq!((read.encode(), ttl_s), (record.encode(), Some(60)));
        filed.settled = true;
        let text = serde_json::to_string(&Line::of(&filed, &record)).unwrap();
        assert_eq!(Line::read(text.as_bytes()).unwrap().0, Record { outbox: Vec::new(), ..record });
    }

    #[test]
    fn what_is_no_line_is_refused_and_says_why() {
        let good =
            r#"{"key":"k","version":"","touched_ns":0,"applied":{},"fields":{},"timers":{},"settings":0}"#;
        assert!(Line::read(good.as_bytes()).is_ok());
        for (from, to, wanted) in [
            (r#""key":"k""#, r#""key":"""#, "the key has 0 bytes"),
            (r#""fields":{}"#, r#""fields":{"":{"text":""}}"#, "no name of a field"),
            (r#""fields":{}"#, r#""fields":{"a":{"base64":"?"}}"#, "is not base64"),
            (r#""fields":{}"#, r#""fields":{"a":{"hex":"?"}}"#, "unknown variant"),
            (r#""settings":0"#, r#""settings":-1"#, "invalid value"),
            ("}", "", "EOF"),
        ] {
            let text = good.replacen(from, to, 1);
            let error = format!("{:#}", Line::read(text.as_bytes()).unwrap_err());
            assert!(error.contains(wanted), "{text}: {error}");
        }
        let head = Head::new("p", 1, BTreeMap::new(), 0);
        let text = serde_json::to_string(&head).unwrap();
        assert_eq!(Head::read(text.as_bytes()).unwrap(), head);
        let later = text.replace("\"wasmill_state\":1", "\"wasmill_state\":2");
        assert!(Head::read(later.as_bytes()).unwrap_err().to_string().contains("format 2"));
        assert!(Head::read(good.as_bytes()).unwrap_err().to_string().contains("it is no export"));
    }
}
