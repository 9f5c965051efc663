//! What is remembered of events that failed and come again.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

/// So many events are remembered. One that failed is either tried again within its backoff or taken by another engine, which
/// leaves its entry behind. Past the bound all are forgotten: a dead letter then lacks the time of its first failure, and an
/// output that is stored already is published again, for the stream to drop.
const MOST: usize = 16_384;

/// What this engine knows of events that failed before. Nothing depends on it but what a stream no longer remembers.
#[derive(Debug, Default)]
pub struct Past(Mutex<HashMap<String, Event>>);

#[derive(Debug, Default)]
struct Event {
    first_failed: Option<Timestamp>,
    /// The outputs that were stored when others were not.
    stored: BTreeSet<usize>,
}

impl Past {
    /// An event failed and will be tried again.
    pub(super) fn failed(&self, input: &str, now: Timestamp) {
        self.change(input, |event| {
            event.first_failed.get_or_insert(now);
        });
    }

    /// Of the outputs of an event these were stored, and others were not.
    pub(super) fn partly_stored(&self, input: &str, stored: impl IntoIterator<Item = usize>) {
        self.change(input, |event| event.stored.extend(stored));
    }

    /// Which outputs of an event are stored, as far as is known.
    pub(super) fn stored(&self, input: &str) -> BTreeSet<usize> {
        self.lock().get(input).map(|event| event.stored.clone()).unwrap_or_default()
    }

    /// An event has come to its end: when it failed first, if it did before.
    pub(super) fn ended(&self, input: &str) -> Option<Timestamp> {
        self.lock().remove(input)?.first_failed
    }

    fn change(&self, input: &str, change: impl FnOnce(&mut Event)) {
        let mut events = self.lock();
        if events.len() >= MOST && !events.contains_key(input) {
            events.clear();
        }
        change(events.entry(input.to_owned()).or_default());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Event>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
