//! One durable consumer in memory: what it has delivered and what is owed again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::log::{Entry, Log};
use crate::bus::{DurableSpec, Settlement, Start};
use crate::subject::Pattern;

/// A message delivered and not settled for good.
struct Unsettled {
    attempt: u32,
    /// When it is due again.
    due: Instant,
}

/// The consumer.
pub(super) struct Consumer {
    filters: Vec<Pattern>,
    ack_wait: Duration,
    max_ack_pending: usize,
    next_sequence: u64,
    unsettled: BTreeMap<u64, Unsettled>,
    /// The same by when they are due.
    due: BTreeSet<(Instant, u64)>,
    /// Rings when something may have become deliverable.
    pub(super) bell: Arc<Notify>,
}

/// What a consumer has for who asks.
pub(super) enum Offer {
    /// A message and which delivery of it this is.
    Message(Entry, u32),
    /// Nothing until then, unless the bell rings.
    Nothing(Option<Instant>),
}

impl Consumer {
    pub(super) fn new(spec: &DurableSpec, last_sequence: u64) -> Self {
        Self {
            filters: spec.filters.clone(),
            ack_wait: spec.ack_wait,
            max_ack_pending: spec.max_ack_pending as usize,
            next_sequence: match spec.start {
                Start::All => 1,
                Start::New => last_sequence + 1,
            },
            unsettled: BTreeMap::new(),
            due: BTreeSet::new(),
            bell: Arc::default(),
        }
    }

    /// Takes over what may change, as the server does.
    pub(super) fn update(&mut self, spec: &DurableSpec) {
        self.filters.clone_from(&spec.filters);
        self.ack_wait = spec.ack_wait;
        self.max_ack_pending = spec.max_ack_pending as usize;
        self.bell.notify_waiters();
    }

    /// Whether some subject is for both this one and a consumer with the given filters.
    pub(super) fn overlaps(&self, filters: &[Pattern]) -> bool {
        let all = self.filters.is_empty() || filters.is_empty();
        all || self.filters.iter().any(|mine| filters.iter().any(|theirs| mine.overlaps(theirs)))
    }

    fn wants(&self, subject: &str) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|pattern| pattern.matches(subject))
    }

    /// The next message to deliver. What is due again comes before what is new.
    pub(super) fn offer(&mut self, log: &Log, now: Instant) -> Offer {
        while let Some((due, sequence)) = self.due.first().copied().filter(|(due, _)| *due <= now) {
            self.due.remove(&(due, sequence));
            // What the stream no longer keeps cannot be delivered again.
            let Some(mut unsettled) = self.unsettled.remove(&sequence) else { continue };
            let Some(entry) = log.at(sequence).cloned() else { continue };
            unsettled.attempt = unsettled.attempt.saturating_add(1);
            return self.hand_out(entry, unsettled.attempt, now);
        }
        if self.unsettled.len() < self.max_ack_pending {
            let next = log.from(self.next_sequence).find(|entry| self.wants(entry.message.subject.as_str()));
            self.next_sequence = next.map_or(log.last_sequence(), |entry| entry.sequence) + 1;
            if let Some(entry) = next.cloned() {
                return self.hand_out(entry, 1, now);
            }
        }
        Offer::Nothing(self.due.first().map(|(due, _)| *due))
    }

    fn hand_out(&mut self, entry: Entry, attempt: u32, now: Instant) -> Offer {
        self.set_due(entry.sequence, attempt, later(now, self.ack_wait));
        Offer::Message(entry, attempt)
    }

    fn set_due(&mut self, sequence: u64, attempt: u32, due: Instant) {
        self.due.insert((due, sequence));
        self.unsettled.insert(sequence, Unsettled { attempt, due });
    }

    /// Settles a delivery, and says whether its message is done with. One that is settled already, or is under way again, is
    /// left alone, as the server does.
    pub(super) fn settle(
        &mut self,
        sequence: u64,
        attempt: u32,
        settlement: Settlement,
        now: Instant,
    ) -> bool {
        let Some(unsettled) = self.unsettled.get(&sequence) else { return false };
        let (current, due) = (unsettled.attempt, unsettled.due);
        let again_at = match settlement {
            Settlement::Ack | Settlement::Term => None,
            Settlement::Nak(_) | Settlement::InProgress if current != attempt => return false,
            Settlement::Nak(delay) => Some(later(now, delay)),
            Settlement::InProgress => Some(later(now, self.ack_wait)),
        };
        self.due.remove(&(due, sequence));
        match again_at {
            Some(due) => self.set_due(sequence, current, due),
            None => {
                self.unsettled.remove(&sequence);
            }
        }
        self.bell.notify_waiters();
        again_at.is_none()
    }
}

/// A time after another. One that is too far off to be told is as good as any other that far.
fn later(now: Instant, after: Duration) -> Instant {
    const FAR_OFF: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
    now.checked_add(after.min(FAR_OFF)).unwrap_or(now)
}
