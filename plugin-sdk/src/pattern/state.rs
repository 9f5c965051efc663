//! What is remembered of a pattern between events, in its stored form.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Which variable took which event, by its number.
pub(super) type Take = (usize, u64);

/// A time in nanoseconds: text in JSON, since not every language's numbers hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Time(pub u64);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map(Self).map_err(de::Error::custom)
    }
}

/// An event that unfinished matches hold: its number, its time, itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Stored<E>(pub u64, pub Time, pub E);

/// An unfinished match: the ways on that are open, a bit for the number of each stage and one for the end; whether it
/// was a match as it stands; what it took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Run(pub u32, pub bool, pub Vec<Take>);

impl Run {
    /// The number of its first event.
    pub(super) fn start(&self) -> u64 {
        start(&self.2)
    }
}

/// A match that waits for those that began before it: when it was done, what it took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Held(pub Time, pub Vec<Take>);

impl Held {
    /// The number of its first event.
    pub(super) fn start(&self) -> u64 {
        start(&self.1)
    }
}

fn start(takes: &[Take]) -> u64 {
    takes.first().map_or(0, |take| take.1)
}

/// What one key has of a pattern: plain data, to be stored as one JSON value between events. Nothing of it is the
/// author's but the events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State<E> {
    #[serde(rename = "p")]
    pub(super) shape: String,
    /// The number of the next event.
    #[serde(rename = "n")]
    pub(super) next: u64,
    /// The latest time seen.
    #[serde(rename = "t")]
    pub(super) clock: Time,
    #[serde(rename = "e")]
    pub(super) events: Vec<Stored<E>>,
    /// Ordered by first event.
    #[serde(rename = "r")]
    pub(super) runs: Vec<Run>,
    /// Ordered by first event, then by when they were done.
    #[serde(rename = "h", default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    pub(super) held: Vec<Held>,
}

impl<E> Default for State<E> {
    fn default() -> Self {
        Self {
            shape: String::new(),
            next: 0,
            clock: Time(0),
            events: Vec::new(),
            runs: Vec::new(),
            held: Vec::new(),
        }
    }
}

impl<E> State<E> {
    /// Whether nothing is under way: such a state need not be stored.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.runs.is_empty() && self.held.is_empty()
    }

    /// How many unfinished matches there are.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        self.runs.len()
    }

    pub(super) fn event(&self, number: u64) -> Option<&Stored<E>> {
        let index = self.events.binary_search_by_key(&number, |event| event.0).ok()?;
        self.events.get(index)
    }
}
