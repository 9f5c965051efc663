//! What each key's events come to.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context as _, Result};

use super::Entry;
use crate::checker::read::Stored;

/// Nanoseconds in a millisecond.
const MS: u64 = 1_000_000;

/// All keys.
pub type Accounts = BTreeMap<String, Account>;

/// What one key must come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// The events that count, in the order of the stream.
    pub counted: Vec<Counted>,
    /// Timers that must fire, by name and by the number of the event that set them.
    pub fires: BTreeMap<(String, u64), Due>,
    /// The place of its last event in the stream, whatever became of that.
    pub last: u64,
    timers: HashMap<String, (u64, Due)>,
}

/// One event that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// The event's number.
    pub n: u64,
    /// Its place in the stream.
    pub sequence: u64,
    /// When it was stored, nanoseconds since the Unix epoch.
    pub stored_ns: u64,
    /// The outputs that it causes.
    pub outputs: u32,
    /// The chain of the key's events up to this one.
    pub chain: u64,
}

/// One setting of a timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// When it is due, nanoseconds since the Unix epoch.
    pub due_ns: u64,
    /// The how-many-th event that counts set it, from 1.
    pub since: u64,
}

impl Account {
    fn enter(&mut self, event: &Stored, entry: &Entry) {
        self.last = event.sequence;
        if !entry.is_counted() {
            return;
        }
        self.fire(event.stored_ns);
        let chain = fold(self.counted.last().map_or(0, |last| last.chain), entry.n);
        let Entry { n, outputs, .. } = *entry;
        let (sequence, stored_ns) = (event.sequence, event.stored_ns);
        self.counted.push(Counted { n, sequence, stored_ns, outputs, chain });
        let since = self.counted.len() as u64;
        for (name, after_ms) in &entry.set {
            let due = Due { due_ns: stored_ns + after_ms * MS, since };
            self.timers.insert(name.clone(), (n, due));
        }
        for name in &entry.cancel {
            self.timers.remove(name);
        }
    }

    /// What is due at or before the time of an event fires before it.
    fn fire(&mut self, by_ns: u64) {
        let due = self.timers.extract_if(|_, (_, due)| due.due_ns <= by_ns);
        self.fires.extend(due.map(|(name, (set_by, due))| ((name, set_by), due)));
    }
}

/// Works out what the events in a stream come to.
///
/// # Errors
/// If one of them is none of ours.
pub fn settle(events: &[Stored]) -> Result<Accounts> {
    let mut accounts = Accounts::new();
    for event in events {
        let entry: Entry = serde_json::from_slice(&event.payload)
            .with_context(|| format!("the event at {} is none", event.sequence))?;
        accounts.entry(entry.key.clone()).or_default().enter(event, &entry);
    }
    accounts.values_mut().for_each(|account| account.fire(u64::MAX));
    Ok(accounts)
}

/// The next number of a chain, as the guest makes it: whatever is left out, repeated or out of order makes another.
#[must_use]
pub fn fold(chain: u64, n: u64) -> u64 {
    (chain ^ n).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23)
}
