//! What a partition keeps of its keys in memory, each part with its bound.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::unsync::Cache;

use super::ground::Ground;
use super::turn::Held;
use crate::faults::mutant;
use crate::record::Reached;

/// The most keys of which it is known that they have a record: eight bytes each. Beyond that, keys are looked up.
const MOST_KNOWN: usize = 16 * 1_024 * 1_024;
/// What a cached record takes beside its bytes.
const ENTRY_BYTES: u64 = 160;
/// About what a record takes, to size the cache's tables.
const USUAL_ENTRY_BYTES: u64 = 512;

/// A record at rest, as it would be stored without its outbox: all of that is stored already.
#[derive(Debug, Clone)]
struct Resting {
    record: Box<[u8]>,
    sequence: u64,
}

#[derive(Debug, Clone)]
struct Bytewise;

impl Weighter<Arc<str>, Resting> for Bytewise {
    fn weight(&self, key: &Arc<str>, resting: &Resting) -> u64 {
        (key.len() + resting.record.len()) as u64 + ENTRY_BYTES
    }
}

/// Records at rest, the keys that have one, and when their timers are due.
pub(super) struct Memory {
    cache: Cache<Arc<str>, Resting, Bytewise>,
    /// Hashes of the keys that have a record, once all are known.
    known: HashSet<u64>,
    hasher: RandomState,
    /// All keys are in `known`.
    all_known: bool,
    /// They would be too many.
    too_many: bool,
    /// Hashes of the keys that were written before all were known: what is found of them then is out of date.
    written: HashSet<u64>,
    scanned: bool,
    /// When the earliest timer of a key is due.
    wakes: BTreeSet<(u64, Arc<str>)>,
    /// The entry of a key there.
    due_of: HashMap<Arc<str>, u64>,
    /// What was handled without a trace in its record, until the cursor is past it.
    ahead: HashMap<Arc<str>, Vec<(usize, Reached)>>,
}

impl Memory {
    pub fn new(cache_bytes: u64) -> Self {
        let items = usize::try_from(cache_bytes / USUAL_ENTRY_BYTES).unwrap_or(usize::MAX);
        Self {
            cache: Cache::with_weighter(items, cache_bytes, Bytewise),
            known: HashSet::new(),
            hasher: RandomState::new(),
            all_known: false,
            too_many: false,
            written: HashSet::new(),
            scanned: false,
            wakes: BTreeSet::new(),
            due_of: HashMap::new(),
            ahead: HashMap::new(),
        }
    }

    /// The record of a key, as far as it is known without asking; to be put back after the turn.
    pub fn take(&mut self, key: &Arc<str>, ground: &Ground) -> Option<Held> {
        match self.cache.remove(key) {
            // It was read before it came to rest here.
            Some((_, resting)) => ground.held(&resting.record, resting.sequence).ok(),
            None if mutant!("unscanned-keys-are-new") => Some(Held::none(key)),
            None if self.all_known && !self.known.contains(&self.hash(key)) => Some(Held::none(key)),
            None => None,
        }
    }

    /// What of a key was handled without a trace in its record.
    pub fn ahead(&self, key: &str) -> Vec<(usize, Reached)> {
        self.ahead.get(key).cloned().unwrap_or_default()
    }

    /// Takes a record in after a turn.
    pub fn put(&mut self, key: Arc<str>, held: Held) {
        if !self.scanned {
            self.written.insert(self.hash(&key));
        }
        self.rest(key, held);
    }

    fn rest(&mut self, key: Arc<str>, mut held: Held) {
        self.note_due(&key, held.record.state.earliest().map(|(_, timer)| timer.due_ns));
        if let Some(sequence) = held.stored {
            self.know(&key);
            held.record.outbox = Vec::new();
            self.cache.insert(key, Resting { record: held.record.encode().into(), sequence });
        }
    }

    fn note_due(&mut self, key: &Arc<str>, due_ns: Option<u64>) {
        let known = match due_ns {
            Some(due_ns) => self.due_of.insert(Arc::clone(key), due_ns),
            None => self.due_of.remove(key),
        };
        if known == due_ns {
            return;
        }
        if let Some(known) = known {
            self.wakes.remove(&(known, Arc::clone(key)));
        }
        if let Some(due_ns) = due_ns {
            self.wakes.insert((due_ns, Arc::clone(key)));
        }
    }

    /// Takes note of a record that was found in the bucket, unless its key has had a turn since.
    pub fn found(&mut self, key: Arc<str>, held: Held) {
        if !self.written.contains(&self.hash(&key)) {
            self.rest(key, held);
        }
    }

    /// All records have been found.
    pub fn all_found(&mut self) {
        self.all_known = !self.too_many;
        self.scanned = true;
        self.written = HashSet::new();
    }

    /// Takes note that a key has a record.
    pub fn know(&mut self, key: &str) {
        if self.too_many {
            return;
        }
        let hash = self.hash(key);
        self.known.insert(hash);
        if self.known.len() > MOST_KNOWN {
            self.too_many = true;
            self.all_known = false;
            self.known = HashSet::new();
        }
    }

    fn hash(&self, key: &str) -> u64 {
        self.hasher.hash_one(key)
    }

    /// When the next timer is due.
    pub fn next_wake(&self) -> Option<u64> {
        self.wakes.first().map(|(due, _)| *due)
    }

    /// The next key with a timer due by then.
    pub fn wake(&mut self, by: u64) -> Option<Arc<str>> {
        if self.next_wake()? > by {
            return None;
        }
        let (_, key) = self.wakes.pop_first()?;
        self.due_of.remove(&key);
        Some(key)
    }

    /// Takes note of an event that left no trace in its key's record.
    pub fn traceless(&mut self, key: &Arc<str>, source: usize, reached: Reached) {
        let entries = self.ahead.entry(Arc::clone(key)).or_default();
        match entries.iter_mut().find(|(known, _)| *known == source) {
            Some((_, known)) => *known = reached,
            None => entries.push((source, reached)),
        }
    }

    /// The cursor of a stream is stored.
    pub fn passed(&mut self, source: usize, cursor: u64) {
        self.ahead.retain(|_, entries| {
            entries.retain(|(known, reached)| *known != source || reached.sequence > cursor);
            !entries.is_empty()
        });
    }
}
