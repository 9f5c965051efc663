//! One event that waits for its turn.

use std::sync::Arc;

use super::Keyed;
use super::ground::Ground;
use super::redrives::Redrive;
use crate::event::{Event, Origin};
use crate::faults::mutant;
use crate::flow::Taken;
use crate::message::Message;
use crate::outcome::Outcome;
use crate::record::{Reached, Record};

/// Why one came in and comes again, though nothing failed: the partition was let go.
const RELEASED: &str = "released";

/// One event that waits for its turn.
pub(super) struct Queued {
    pub event: Arc<Event>,
    /// As it came, for the dead letters.
    pub message: Message,
    pub origin: Origin,
    /// Names its place on the bus: the ids of its outputs are made of it.
    pub input: String,
    /// Which of the plugin's streams, and where in it.
    pub source: usize,
    pub sequence: u64,
    /// The redrive that it comes by, in place of a stream.
    pub redrive: Option<Redrive>,
    /// The plugin clock when it was read.
    pub clock_ns: u64,
    /// That it came in, until it is known what became of it.
    pub delivery: Delivery,
    /// What it takes of the budget.
    pub _taken: Taken,
}

/// One that came in and has not ended. It ends once, whatever happens to it.
pub(super) struct Delivery(Option<Arc<Keyed>>);

impl Delivery {
    /// Counts that it came in.
    pub fn new(keyed: &Arc<Keyed>) -> Self {
        keyed.plugin.metrics.received();
        Self(Some(Arc::clone(keyed)))
    }

    /// Counts how it ended, unless that is known.
    pub fn end(&mut self, outcome: Outcome, reason: &'static str) {
        if let Some(keyed) = self.0.take() {
            keyed.plugin.metrics.ended(outcome, reason);
        }
    }

    /// Counts that it failed and comes again.
    pub fn again(&mut self, reason: &'static str) {
        let Some(keyed) = &self.0 else { return };
        keyed.plugin.metrics.ended(Outcome::Retried, reason);
        keyed.plugin.metrics.received();
    }
}

impl Drop for Delivery {
    /// Whoever owns the partition next reads it again.
    fn drop(&mut self) {
        self.end(Outcome::Retried, RELEASED);
    }
}

impl Queued {
    /// Names what it comes from as records do, and how far that has come with it.
    fn place(&self, ground: &Ground) -> Option<(String, Reached)> {
        if let Some(redrive) = &self.redrive {
            return Some(redrive.place());
        }
        let stream = ground.streams.get(self.source)?;
        Some((stream.name.clone(), Reached { sequence: self.sequence, ..stream.reached() }))
    }

    /// Whether a record holds it already.
    pub fn is_applied(&self, ground: &Ground, record: &Record) -> bool {
        if mutant!("applied-ignored") {
            return false;
        }
        self.place(ground).is_some_and(|(name, at)| record.has_applied(&name, at.incarnation_ms, at.sequence))
    }

    /// Takes note in a record that it is in there.
    pub fn apply(&self, ground: &Ground, record: &mut Record) {
        if let Some((name, at)) = self.place(ground) {
            record.apply(&name, at);
        }
    }
}
