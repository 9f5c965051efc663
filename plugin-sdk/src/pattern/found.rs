//! What a pattern tells its author: matches, and inside a condition what the match holds so far.

use super::define::Pattern;
use super::state::{State, Take};

/// One event of a match.
#[derive(Debug, Clone, PartialEq)]
pub struct Taken<E> {
    /// The name that the pattern gives it.
    pub name: String,
    /// When it came, nanoseconds; no earlier than the one before it.
    pub time: u64,
    /// The event as it was given.
    pub event: E,
}

/// A match, or an unfinished one that timed out or was evicted.
#[derive(Debug, Clone, PartialEq)]
pub struct Found<E> {
    /// When it was decided, nanoseconds: the time of the event that completed it, or the end of its time.
    pub at: u64,
    /// Its events, in order.
    pub events: Vec<Taken<E>>,
}

impl<E> Found<E> {
    /// The events of this name, in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl DoubleEndedIterator<Item = &'a E> {
        self.events.iter().filter(move |taken| taken.name == name).map(|taken| &taken.event)
    }

    /// The first event of this name.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<&E> {
        self.events.iter().find(|taken| taken.name == name).map(|taken| &taken.event)
    }

    /// The last event of this name.
    #[must_use]
    pub fn last(&self, name: &str) -> Option<&E> {
        self.events.iter().rfind(|taken| taken.name == name).map(|taken| &taken.event)
    }

    /// From its first event to its last, nanoseconds.
    #[must_use]
    pub fn span(&self) -> u64 {
        let ends = self.events.first().zip(self.events.last());
        ends.map_or(0, |(first, last)| last.time.saturating_sub(first.time))
    }
}

/// What an event or a timer brought about.
#[derive(Debug, Clone, PartialEq)]
pub struct Step<E> {
    /// The matches, in the order of their first events.
    pub matches: Vec<Found<E>>,
    /// The unfinished ones whose time ran out.
    pub timeouts: Vec<Found<E>>,
    /// The unfinished ones given up at the limit, oldest first.
    pub evicted: Vec<Found<E>>,
}

impl<E> Default for Step<E> {
    fn default() -> Self {
        Self { matches: Vec::new(), timeouts: Vec::new(), evicted: Vec::new() }
    }
}

/// The events that a run can speak of: those stored, and the present one.
pub(super) struct Events<'a, E> {
    pub state: &'a State<E>,
    /// Number, time, event.
    pub new: Option<(u64, u64, &'a E)>,
}

impl<E> Events<'_, E> {
    pub(super) fn get(&self, number: u64) -> Option<(u64, &E)> {
        match &self.new {
            Some((new, time, event)) if *new == number => Some((*time, event)),
            _ => self.state.event(number).map(|stored| (stored.1.0, &stored.2)),
        }
    }

    pub(super) fn time(&self, number: u64) -> u64 {
        self.get(number).map_or(0, |(time, _)| time)
    }
}

/// What a match holds so far, as a condition sees it.
pub struct Seen<'a, E> {
    pub(super) pattern: &'a Pattern<E>,
    pub(super) events: &'a Events<'a, E>,
    pub(super) takes: &'a [Take],
    pub(super) time: u64,
}

impl<'a, E> Seen<'a, E> {
    /// The events of this name so far, in order.
    pub fn all(&self, name: &str) -> impl DoubleEndedIterator<Item = &'a E> {
        let (pattern, events) = (self.pattern, self.events);
        let variable = pattern.variables.iter().position(|variable| variable.name == name);
        let taken = self.takes.iter().filter(move |take| Some(take.0) == variable);
        taken.filter_map(move |take| events.get(take.1).map(|(_, event)| event))
    }

    /// The first event of this name.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<&'a E> {
        self.all(name).next()
    }

    /// The last event of this name.
    #[must_use]
    pub fn last(&self, name: &str) -> Option<&'a E> {
        self.all(name).next_back()
    }

    /// The event taken last, of whatever name.
    #[must_use]
    pub fn latest(&self) -> Option<&'a E> {
        self.takes.last().and_then(|take| self.events.get(take.1)).map(|(_, event)| event)
    }

    /// When the event came that the condition is asked about, nanoseconds.
    #[must_use]
    pub fn time(&self) -> u64 {
        self.time
    }

    /// When the event came that was taken last, nanoseconds.
    #[must_use]
    pub fn latest_time(&self) -> Option<u64> {
        self.takes.last().map(|take| self.events.time(take.1))
    }
}
