//! What a key keeps of its windows: one JSON value.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::time::to_ns;

/// All open windows of a key: plain data, to be kept as one state value. [`super::Windows`] works on it.
///
/// JSON, times in milliseconds since the Unix epoch, what is empty left out: `{"w": watermark, "l": late events, "p":
/// [[start, aggregate], ...], "s": [[start, end, aggregate, [[start, end], ...]], ...], "c": the windows they were cut for}`: `p`
/// are the panes of tumbling and sliding windows, `s` the sessions, each with the windows told of it that the next telling
/// replaces. See [`super::Windows::check`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(bound(serialize = "A: Serialize", deserialize = "A: Deserialize<'de>"), deny_unknown_fields)]
pub struct Open<A> {
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    pub(super) watermark: Option<i64>,
    #[serde(rename = "l", default, skip_serializing_if = "is_zero")]
    pub(super) late: u64,
    #[serde(rename = "p", default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    pub(super) panes: Vec<Pane<A>>,
    #[serde(rename = "s", default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    pub(super) sessions: Vec<Session<A>>,
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub(super) shape: Option<String>,
}

// Not expected: where pointers have 32 bits, as in a component, it is no fault.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
pub fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl<A> Default for Open<A> {
    fn default() -> Self {
        Self { watermark: None, late: 0, panes: Vec::new(), sessions: Vec::new(), shape: None }
    }
}

impl<A> Open<A> {
    /// The time up to which this key's windows are closed, nanoseconds since the Unix epoch; `None` before the first event.
    #[must_use]
    pub fn watermark(&self) -> Option<u64> {
        self.watermark.map(to_ns)
    }

    /// How many events came too late for all their windows.
    #[must_use]
    pub fn late(&self) -> u64 {
        self.late
    }

    /// How many pieces (panes or sessions) are kept.
    #[must_use]
    pub fn pieces(&self) -> usize {
        self.panes.len() + self.sessions.len()
    }
}

/// The events from `start` on for the length of a pane. Sorted by start, and never empty.
#[derive(Debug, Clone, PartialEq)]
pub struct Pane<A> {
    pub start: i64,
    pub value: A,
}

impl<A: Serialize> Serialize for Pane<A> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.start, &self.value).serialize(serializer)
    }
}

impl<'de, A: Deserialize<'de>> Deserialize<'de> for Pane<A> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (start, value) = Deserialize::deserialize(deserializer)?;
        Ok(Self { start, value })
    }
}

/// From the first event to a gap after the last. Sorted by start; no two overlap.
#[derive(Debug, Clone, PartialEq)]
pub struct Session<A> {
    pub start: i64,
    pub end: i64,
    pub value: A,
    /// What was told of it, or of the sessions it was made of.
    pub told: Vec<(i64, i64)>,
}

impl<A: Serialize> Serialize for Session<A> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.start, self.end, &self.value, &self.told).serialize(serializer)
    }
}

impl<'de, A: Deserialize<'de>> Deserialize<'de> for Session<A> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (start, end, value, told) = Deserialize::deserialize(deserializer)?;
        Ok(Self { start, end, value, told })
    }
}
