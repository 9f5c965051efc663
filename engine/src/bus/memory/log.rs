//! One stream in memory: an ordered log of messages, bounded in bytes and age, that drops repeated ids.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::bus::post::{LAST_OF_SUBJECT_HEADER, LAST_SEQUENCE_HEADER, SUBJECT_HEADER};
use crate::bus::{BusError, Retention, StreamInfo, StreamSpec};
use crate::message::Message;
use crate::subject::{Pattern, Subject};

/// What a stream keeps at most if nobody says: 256 MiB.
pub const DEFAULT_MAX_BYTES: u64 = 256 * 1_024 * 1_024;
/// The header that names a message, so that a repeat is not stored again.
const MESSAGE_ID: &str = "Nats-Msg-Id";
/// What one stored message takes beside its text, about: places in the log and in the table of ids.
const OVERHEAD_BYTES: u64 = 128;

/// A message with its place.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) sequence: u64,
    pub(super) stored_ns: u64,
    pub(super) message: Arc<Message>,
    stored_at: Instant,
    bytes: u64,
}

/// The log.
pub(super) struct Log {
    pub(super) subjects: Vec<Pattern>,
    pub(super) incarnation_ms: u64,
    pub(super) retention: Retention,
    /// By sequence, of which some may be missing.
    entries: BTreeMap<u64, Entry>,
    /// In a bucket, which keeps one message a subject: where it is.
    kept: Option<HashMap<Subject, u64>>,
    last_sequence: u64,
    bytes: u64,
    max_bytes: u64,
    max_age: Option<Duration>,
    duplicate_window: Duration,
    pub(super) atomic: bool,
    ids: HashMap<String, u64>,
    /// When each id was seen, oldest first.
    id_order: VecDeque<(Instant, String)>,
}

impl Log {
    pub(super) fn new(spec: &StreamSpec, incarnation_ms: u64, bucket: bool) -> Self {
        Self {
            subjects: spec.subjects.clone(),
            incarnation_ms,
            retention: spec.retention,
            entries: BTreeMap::new(),
            kept: bucket.then(HashMap::new),
            last_sequence: 0,
            bytes: 0,
            max_bytes: spec.max_bytes.unwrap_or(DEFAULT_MAX_BYTES),
            max_age: spec.max_age,
            duplicate_window: spec.duplicate_window,
            atomic: spec.atomic,
            ids: HashMap::new(),
            id_order: VecDeque::new(),
        }
    }

    /// Whether it keeps one message a subject.
    pub(super) fn is_bucket(&self) -> bool {
        self.kept.is_some()
    }

    /// Stores a message and returns its sequence, and whether it is a repeat that was there already.
    pub(super) fn append(
        &mut self,
        message: Arc<Message>,
        now: Instant,
        stored_ns: u64,
    ) -> Result<(u64, bool), BusError> {
        self.forget_old_ids(now);
        let id = message.headers.get(MESSAGE_ID).filter(|id| !id.is_empty());
        if let Some(sequence) = id.and_then(|id| self.ids.get(id)) {
            return Ok((*sequence, true));
        }
        let bytes = message.wire_bytes() as u64 + message.subject.as_str().len() as u64 + OVERHEAD_BYTES;
        self.admit(&message, bytes)?;
        if let Some(id) = id {
            self.ids.insert(id.to_owned(), self.last_sequence + 1);
            self.id_order.push_back((now, id.to_owned()));
        }
        self.last_sequence += 1;
        let sequence = self.last_sequence;
        let subject = self.is_bucket().then(|| message.subject.clone());
        self.entries.insert(sequence, Entry { sequence, stored_ns, message, stored_at: now, bytes });
        self.bytes += bytes;
        if let Some(overwritten) = subject.and_then(|subject| self.kept.as_mut()?.insert(subject, sequence)) {
            self.take_out(overwritten);
        }
        self.trim(now);
        Ok((sequence, false))
    }

    /// What keeps a message out, if anything does.
    fn admit(&self, message: &Message, bytes: u64) -> Result<(), BusError> {
        let subject = message.subject.as_str();
        let expected = |name: &str| message.headers.get(name).and_then(|text| text.parse::<u64>().ok());
        let overtaken = |last| Err(BusError::Overtaken { subject: subject.to_owned(), last: Some(last) });
        if expected(LAST_SEQUENCE_HEADER).is_some_and(|expected| expected != self.last_sequence) {
            return overtaken(self.last_sequence);
        }
        if let Some(expected) = expected(LAST_OF_SUBJECT_HEADER) {
            let other = message.headers.get(SUBJECT_HEADER).map(Subject::received);
            let last =
                self.last(other.as_ref().unwrap_or(&message.subject)).map_or(0, |entry| entry.sequence);
            if last != expected {
                return overtaken(last);
            }
        }
        if self.is_bucket() && self.bytes + bytes > self.max_bytes {
            return Err(BusError::Refused {
                operation: format!("publish to {subject:?}"),
                reason: "maximum bytes exceeded".to_owned(),
            });
        }
        Ok(())
    }

    /// Whether some of the messages have an id that is known, or share one.
    pub(super) fn repeats(&mut self, messages: &[Message], now: Instant) -> bool {
        self.forget_old_ids(now);
        let mut seen = HashSet::new();
        let ids = messages.iter().filter_map(|message| message.headers.get(MESSAGE_ID));
        ids.filter(|id| !id.is_empty()).any(|id| self.ids.contains_key(id) || !seen.insert(id))
    }

    fn forget_old_ids(&mut self, now: Instant) {
        while let Some((seen, _)) = self.id_order.front()
            && now.duration_since(*seen) >= self.duplicate_window
            && let Some((_, id)) = self.id_order.pop_front()
        {
            self.ids.remove(&id);
        }
    }

    /// Lets the oldest messages go until size and age are within bounds.
    pub(super) fn trim(&mut self, now: Instant) {
        let max_age = self.max_age.unwrap_or(Duration::MAX);
        while let Some((sequence, oldest)) = self.entries.first_key_value() {
            let too_old = now.duration_since(oldest.stored_at) >= max_age;
            if !too_old && self.bytes <= self.max_bytes {
                break;
            }
            self.erase(*sequence);
        }
    }

    /// The message at a sequence, if it is still kept.
    pub(super) fn at(&self, sequence: u64) -> Option<&Entry> {
        self.entries.get(&sequence)
    }

    /// Takes a message out; says whether it was there.
    pub(super) fn erase(&mut self, sequence: u64) -> bool {
        let erased = self.take_out(sequence);
        if let (Some(entry), Some(kept)) = (&erased, &mut self.kept) {
            kept.remove(&entry.message.subject);
        }
        erased.is_some()
    }

    fn take_out(&mut self, sequence: u64) -> Option<Entry> {
        let entry = self.entries.remove(&sequence)?;
        self.bytes -= entry.bytes;
        Some(entry)
    }

    /// All messages kept from a sequence on.
    pub(super) fn from(&self, sequence: u64) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.range(sequence..).map(|(_, entry)| entry)
    }

    /// The last message kept under a subject.
    pub(super) fn last(&self, subject: &Subject) -> Option<&Entry> {
        match &self.kept {
            Some(kept) => self.at(*kept.get(subject)?),
            None => self.from(0).rev().find(|entry| entry.message.subject == *subject),
        }
    }

    pub(super) fn last_sequence(&self) -> u64 {
        self.last_sequence
    }

    pub(super) fn stores(&self, subject: &str) -> bool {
        self.subjects.iter().any(|pattern| pattern.matches(subject))
    }

    pub(super) fn info(&self, name: &str) -> StreamInfo {
        StreamInfo {
            name: name.to_owned(),
            subjects: self.subjects.clone(),
            duplicate_window: self.duplicate_window,
            incarnation_ms: self.incarnation_ms,
            messages: self.entries.len() as u64,
            last_sequence: self.last_sequence,
            atomic: self.atomic,
            max_message_bytes: None,
        }
    }
}

/// Why a stream cannot be created, if it cannot.
pub(super) fn check(spec: &StreamSpec) -> Result<(), BusError> {
    let refused = |reason: &str| {
        Err(BusError::Refused {
            operation: format!("create stream {:?}", spec.name),
            reason: reason.to_owned(),
        })
    };
    if spec.subjects.is_empty() {
        return refused("it has no subjects");
    }
    if spec.max_age.is_some_and(|age| age < spec.duplicate_window) {
        return refused("duplicates window can not be larger then max age");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(change: impl FnOnce(&mut StreamSpec)) -> Log {
        let mut spec = StreamSpec {
            name: "S".into(),
            subjects: vec![Pattern::new("a").unwrap()],
            retention: Retention::Limits,
            duplicate_window: Duration::from_secs(10),
            max_bytes: None,
            max_age: None,
            replicas: 1,
            atomic: false,
        };
        change(&mut spec);
        Log::new(&spec, 1, false)
    }

    fn message(id: &'static str) -> Arc<Message> {
        let mut message = Message::new(Subject::new("a").unwrap(), "x");
        message.headers.push(MESSAGE_ID, id);
        Arc::new(message)
    }

    #[tokio::test(start_paused = true)]
    async fn ids_are_remembered_for_the_window_only() {
        let mut log = log(|_| {});
        assert_eq!(log.append(message("1"), Instant::now(), 0).unwrap(), (1, false));
        tokio::time::advance(Duration::from_secs(9)).await;
        assert_eq!(log.append(message("1"), Instant::now(), 0).unwrap(), (1, true));
        assert_eq!(log.append(message("2"), Instant::now(), 0).unwrap(), (2, false));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(log.append(message("1"), Instant::now(), 0).unwrap(), (3, false));
        assert_eq!(log.append(message("2"), Instant::now(), 0).unwrap(), (2, true));
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_go_first() {
        let mut small = log(|spec| spec.max_bytes = Some(2 * (OVERHEAD_BYTES + 64)));
        for id in ["1", "2", "3"] {
            small.append(message(id), Instant::now(), 0).unwrap();
        }
        assert!(small.at(1).is_none());
        assert_eq!(small.from(1).map(|entry| entry.sequence).collect::<Vec<_>>(), [2, 3]);
        let mut young = log(|spec| spec.max_age = Some(Duration::from_secs(5)));
        young.append(message("1"), Instant::now(), 0).unwrap();
        tokio::time::advance(Duration::from_secs(5)).await;
        young.trim(Instant::now());
        assert_eq!((young.from(0).count(), young.last_sequence()), (0, 1));
    }
}
