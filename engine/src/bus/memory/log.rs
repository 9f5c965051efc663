//! One stream in memory: an ordered log of messages, bounded in bytes and age, that drops repeated ids.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::bus::{BusError, Retention, StreamInfo, StreamSpec};
use crate::message::Message;
use crate::subject::Pattern;

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
    /// In the order of their sequences, of which some may be missing.
    entries: VecDeque<Entry>,
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
    pub(super) fn new(spec: &StreamSpec, incarnation_ms: u64) -> Self {
        Self {
            subjects: spec.subjects.clone(),
            incarnation_ms,
            retention: spec.retention,
            entries: VecDeque::new(),
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

    /// Stores a message and returns its sequence, and whether it is a repeat that was there already.
    pub(super) fn append(&mut self, message: Arc<Message>, now: Instant, stored_ns: u64) -> (u64, bool) {
        if let Some(id) = message.headers.get(MESSAGE_ID).filter(|id| !id.is_empty()) {
            self.forget_old_ids(now);
            if let Some(sequence) = self.ids.get(id) {
                return (*sequence, true);
            }
            self.ids.insert(id.to_owned(), self.last_sequence + 1);
            self.id_order.push_back((now, id.to_owned()));
        }
        self.last_sequence += 1;
        let bytes = message.wire_bytes() as u64 + message.subject.as_str().len() as u64 + OVERHEAD_BYTES;
        let sequence = self.last_sequence;
        self.entries.push_back(Entry { sequence, stored_ns, message, stored_at: now, bytes });
        self.bytes += bytes;
        self.trim(now);
        (sequence, false)
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
        while let Some(oldest) = self.entries.front() {
            let too_old = now.duration_since(oldest.stored_at) >= max_age;
            if !too_old && self.bytes <= self.max_bytes {
                break;
            }
            self.bytes -= oldest.bytes;
            self.entries.pop_front();
        }
    }

    /// The message at a sequence, if it is still kept.
    pub(super) fn at(&self, sequence: u64) -> Option<&Entry> {
        self.entries.get(self.place(sequence)?)
    }

    fn place(&self, sequence: u64) -> Option<usize> {
        self.entries.binary_search_by_key(&sequence, |entry| entry.sequence).ok()
    }

    /// Takes a message out; says whether it was there.
    pub(super) fn erase(&mut self, sequence: u64) -> bool {
        let erased = self.place(sequence).and_then(|place| self.entries.remove(place));
        self.bytes -= erased.as_ref().map_or(0, |entry| entry.bytes);
        erased.is_some()
    }

    /// All messages kept from a sequence on.
    pub(super) fn from(&self, sequence: u64) -> impl Iterator<Item = &Entry> {
        self.entries.range(self.entries.partition_point(|entry| entry.sequence < sequence)..)
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
    use crate::subject::Subject;

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
        Log::new(&spec, 1)
    }

    fn message(id: &'static str) -> Arc<Message> {
        let mut message = Message::new(Subject::new("a").unwrap(), "x");
        message.headers.push(MESSAGE_ID, id);
        Arc::new(message)
    }

    #[tokio::test(start_paused = true)]
    async fn ids_are_remembered_for_the_window_only() {
        let mut log = log(|_| {});
        assert_eq!(log.append(message("1"), Instant::now(), 0), (1, false));
        tokio::time::advance(Duration::from_secs(9)).await;
        assert_eq!(log.append(message("1"), Instant::now(), 0), (1, true));
        assert_eq!(log.append(message("2"), Instant::now(), 0), (2, false));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(log.append(message("1"), Instant::now(), 0), (3, false));
        assert_eq!(log.append(message("2"), Instant::now(), 0), (2, true));
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_go_first() {
        let mut small = log(|spec| spec.max_bytes = Some(2 * (OVERHEAD_BYTES + 64)));
        for id in ["1", "2", "3"] {
            small.append(message(id), Instant::now(), 0);
        }
        assert!(small.at(1).is_none());
        assert_eq!(small.from(1).map(|entry| entry.sequence).collect::<Vec<_>>(), [2, 3]);
        let mut young = log(|spec| spec.max_age = Some(Duration::from_secs(5)));
        young.append(message("1"), Instant::now(), 0);
        tokio::time::advance(Duration::from_secs(5)).await;
        young.trim(Instant::now());
        assert_eq!((young.from(0).count(), young.last_sequence()), (0, 1));
    }
}
