//! What a key keeps of a join: one JSON value.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::window::{is_zero, to_ns};

/// The events of a key that may still meet others: plain data, to be kept as one state value. [`super::Join`] works on it.
///
/// JSON, times in milliseconds since the Unix epoch, what is empty left out: `{"w": watermark, "l": late events, "e": evicted
/// events, "a": left side, "b": right side}`, each side `[[time, value, whether it met another], ...]` by time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    bound(
        serialize = "L: Serialize, R: Serialize",
        deserialize = "L: Deserialize<'de>, R: Deserialize<'de>"
    ),
    deny_unknown_fields
)]
pub struct Held<L, R> {
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    pub(super) watermark: Option<i64>,
    #[serde(rename = "l", default, skip_serializing_if = "is_zero")]
    pub(super) late: u64,
    #[serde(rename = "e", default, skip_serializing_if = "is_zero")]
    pub(super) evicted: u64,
    #[serde(rename = "a", default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    pub(super) left: Vec<Kept<L>>,
    #[serde(rename = "b", default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    pub(super) right: Vec<Kept<R>>,
}

impl<L, R> Default for Held<L, R> {
    fn default() -> Self {
        Self { watermark: None, late: 0, evicted: 0, left: Vec::new(), right: Vec::new() }
    }
}

impl<L, R> Held<L, R> {
    /// The time before which events are late, nanoseconds since the Unix epoch; `None` before the first event.
    #[must_use]
    pub fn watermark(&self) -> Option<u64> {
        self.watermark.map(to_ns)
    }

    /// How many events came too late.
    #[must_use]
    pub fn late(&self) -> u64 {
        self.late
    }

    /// How many events gave way to others for want of room; what they would have met later is lost, and those that met nothing are
    /// never told as unmatched.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// How many events are kept, of both sides.
    #[must_use]
    pub fn pieces(&self) -> usize {
        self.left.len() + self.right.len()
    }

    pub(super) fn is_late(&mut self, at: i64) -> bool {
        let late = self.watermark.is_some_and(|watermark| at < watermark);
        self.late = self.late.saturating_add(u64::from(late));
        late
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept<T> {
    pub at: i64,
    pub value: T,
    pub met: bool,
}

impl<T: Serialize> Serialize for Kept<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.at, &self.value, self.met).serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Kept<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (at, value, met) = Deserialize::deserialize(deserializer)?;
        Ok(Self { at, value, met })
    }
}

/// The values from one time to another, both included; they have met another now.
pub fn meet<T: Clone>(side: &mut [Kept<T>], from: i64, to: i64) -> Vec<T> {
    let met = side.iter_mut().skip_while(|kept| kept.at < from).take_while(|kept| kept.at <= to);
    met.map(|kept| {
        kept.met = true;
        kept.value.clone()
    })
    .collect()
}

/// Keeps an event after those of its time. Says how many gave way.
pub fn keep<T>(side: &mut Vec<Kept<T>>, new: Kept<T>, capacity: usize) -> u64 {
    side.insert(side.partition_point(|kept| kept.at <= new.at), new);
    let over = side.len().saturating_sub(capacity);
    side.drain(..over);
    over as u64
}

/// Lets go of those before `until`; answers the ones that met no other.
pub fn let_go<T>(side: &mut Vec<Kept<T>>, until: i64) -> Vec<T> {
    let gone = side.drain(..side.partition_point(|kept| kept.at < until));
    gone.filter(|kept| !kept.met).map(|kept| kept.value).collect()
}
