//! Windows over event time, per key: tumbling, sliding (hopping) and session windows.
//!
//! A window is an aggregate ([`crate::aggregate`]) of the events whose time is in it. It closes when time is past its end,
//! and then its value is told once. [`Spec`] says what the windows are, [`Windows`] works on what a key keeps of them,
//! [`Open`], which is plain data: one state value.
//!
//! ```
//! use std::time::Duration;
//! use wasmill_sdk::aggregate::Count;
//! use wasmill_sdk::window::{Open, Spec};
//!
//! const S: u64 = 1_000_000_000;
//! # fn main() -> Result<(), wasmill_sdk::window::Error> {
//! let minutes = Spec::tumbling(Duration::from_secs(60)).disorder(Duration::from_secs(5)).of(Count::default())?;
//! let mut open = Open::default();
//! assert!(minutes.add(&mut open, 30 * S, |count| count.add(1)).closed.is_empty());
//! assert!(minutes.add(&mut open, 64 * S, |count| count.add(1)).closed.is_empty(), "events 5 s late may come");
//! assert!(minutes.add(&mut open, 59 * S, |count| count.add(1)).closed.is_empty(), "and one did");
//! let closed = minutes.add(&mut open, 65 * S, |count| count.add(1)).closed;
//! assert_eq!((closed[0].window.end, closed[0].value.get()), (60 * S, 2));
//! assert!(minutes.add(&mut open, 58 * S, |count| count.add(1)).late);
//! # Ok(())
//! # }
//! ```
//!
//! # Time
//!
//! Each key has a watermark: the highest event time it saw, less the `disorder` of the windows. It says that no event before
//! it is expected any more. A window `[start, end)` closes when the watermark reaches its end. A quiet key has no event to
//! close its last window: set a timer for [`Windows::due`], and when it fires let [`Windows::advance`] move the watermark by
//! the plugin clock. With `clock = "event"` that clock is the highest event time of all keys; with `clock = "wall"` it is
//! the time of day, so that events which come later than `disorder` after they happened are late.
//!
//! Times are rounded down to the millisecond. The time of an event is what the handler passes: `event.time`, a field of the
//! payload, or `clock::now()` for windows over processing time.
//!
//! # Late events
//!
//! An event is late if its windows are closed. What becomes of it:
//!
//! | policy | what to write |
//! |---|---|
//! | drop, counted | nothing: [`Open::late`] counts |
//! | side output | emit the event elsewhere if [`Added::late`] |
//! | correction | [`Spec::lateness`]: for so long a closed window is kept; a late event tells it anew, with [`Closed::replaces`] naming what was told before. Past that one of the two above |
//!
//! A late event that belongs to several sliding windows counts in those that are open or within their lateness, and is late
//! only if there are none. A late event joins a session that is still open, and may join a closed one within its lateness to
//! an open one: when that closes, it replaces the one told before.
//!
//! # Bounds
//!
//! A key keeps what lies between the watermark, less size and lateness, and the latest event: at most `(size + disorder +
//! lateness) / pane + 2` panes, a pane being the greatest common divisor of size and slide, or `(gap + disorder + lateness) /
//! gap + 2` sessions. A definition for which this is over 10,000 is refused. The aggregates have their own bounds. An event
//! whose time is far ahead moves the watermark there, and those after it are late: reject a time that cannot be, before it
//! is added.
//!
//! # Another definition
//!
//! What is stored says which size, slide and offset, or which gap, it was cut for. With others it is refused as
//! [`Error::Changed`], a retry, so that events wait: give the state field another name, and the old windows are never told; or
//! bring the old definition back until they are closed. Disorder and lateness may change at any time.
//!
//! # Sources
//!
//! Windows, watermarks, allowed lateness and late firings are those of Apache Flink ("Windows", "Generating Watermarks") and
//! of Apache Beam ("Windowing", "Watermarks and late data"; accumulating panes), after Akidau et al., "The Dataflow Model",
//! 2015. Two differ in what a session is if an event comes exactly `gap` after the last: here it begins the next one, as in
//! Beam. `WINDOWS.md` has the rules in full, for all languages.

mod open;
mod panes;
mod rolling;
mod sessions;
mod spec;
mod stored;
mod time;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use open::Open;
pub use rolling::{Buckets, Rolling};
pub use spec::{Error, MOST_PIECES, Spec};

pub(crate) use open::is_zero;
pub(crate) use time::{length, to_ms, to_ns};

use crate::aggregate::Aggregate;
use spec::Cut;

/// From `start` up to, but not including, `end`: nanoseconds since the Unix epoch, whole milliseconds. A window that begins
/// before the epoch is said to begin at it. JSON: `{"start_ms": ..., "end_ms": ...}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Window {
    /// The first time in it.
    pub start: u64,
    /// The first time after it.
    pub end: u64,
}

impl Window {
    fn of(start: i64, end: i64) -> Self {
        Self { start: to_ns(start), end: to_ns(end) }
    }
}

#[derive(Serialize, Deserialize)]
struct InMs {
    start_ms: i64,
    end_ms: i64,
}

impl Serialize for Window {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        InMs { start_ms: to_ms(self.start), end_ms: to_ms(self.end) }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Window {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let InMs { start_ms, end_ms } = Deserialize::deserialize(deserializer)?;
        Ok(Self::of(start_ms, end_ms))
    }
}

/// A window that closed, or was corrected.
#[derive(Debug, Clone, PartialEq)]
pub struct Closed<A> {
    /// From when to when.
    pub window: Window,
    /// The aggregate of all its events so far.
    pub value: A,
    /// The windows told before that this one stands for now: none when it closes, itself when it is corrected, and for
    /// sessions also those that were joined.
    pub replaces: Vec<Window>,
}

/// What an event did.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Added<A> {
    /// The windows that it corrected or closed, in that order and by their end.
    pub closed: Vec<Closed<A>>,
    /// Whether it came too late for all its windows, and so is in none.
    pub late: bool,
}

/// Windows over an aggregate. Built by [`Spec::of`].
#[derive(Debug, Clone)]
pub struct Windows<A> {
    cut: Cut,
    disorder: i64,
    lateness: i64,
    empty: A,
}

impl<A: Aggregate> Windows<A> {
    /// Adds an event of this time, nanoseconds since the Unix epoch: `change` adds it to the aggregate of its window, and is
    /// not called if it is late. Of a stored state ask [`Windows::check`] before.
    pub fn add(&self, open: &mut Open<A>, time: u64, change: impl FnOnce(&mut A)) -> Added<A> {
        let ms = to_ms(time);
        let mut added = match &self.cut {
            Cut::Panes(panes) => panes.add(open, self.lateness, ms, &self.empty, change),
            Cut::Sessions { gap } => sessions::add(open, *gap, self.lateness, ms, &self.empty, change),
        };
        added.closed.extend(self.advance(open, time));
        self.mark(open);
        added
    }

    /// Lets time pass to `now` on the plugin clock, nanoseconds since the Unix epoch, and tells the windows that it closed, by
    /// their end. An earlier time than one before changes nothing.
    pub fn advance(&self, open: &mut Open<A>, now: u64) -> Vec<Closed<A>> {
        let watermark = to_ms(now) - self.disorder;
        let before = open.watermark;
        if before.is_some_and(|before| before >= watermark) {
            return Vec::new();
        }
        open.watermark = Some(watermark);
        let closed = match &self.cut {
            Cut::Panes(panes) => panes.close(open, self.lateness, before),
            Cut::Sessions { .. } => sessions::close(open, self.lateness, before),
        };
        self.mark(open);
        closed
    }

    /// Says whether what was stored is of these windows. With another size, slide, offset or gap its pieces would be read
    /// as what they are not; disorder and lateness may change. [`Windows::on_event`] and [`Windows::on_timer`] ask this first.
    ///
    /// # Errors
    /// [`Error::Changed`]. Never where nothing is kept but the watermark, or the state does not say what it is of.
    pub fn check(&self, open: &Open<A>) -> Result<(), Error> {
        let now = self.cut.shape();
        match &open.shape {
            Some(stored) if *stored != now && open.pieces() > 0 => {
                Err(Error::Changed { stored: stored.clone(), now })
            }
            _ => Ok(()),
        }
    }

    /// Notes what the pieces are of; without any the next definition is as good.
    fn mark(&self, open: &mut Open<A>) {
        open.shape = (open.pieces() > 0).then(|| self.cut.shape());
    }

    /// When [`Windows::advance`] has something to do, on the plugin clock, nanoseconds since the Unix epoch: a window closes,
    /// or, where all are closed, one can be forgotten. `None` if nothing is kept.
    #[must_use]
    pub fn due(&self, open: &Open<A>) -> Option<u64> {
        let due = match &self.cut {
            Cut::Panes(panes) => panes.due(open, self.lateness),
            Cut::Sessions { .. } => sessions::due(open, self.lateness),
        };
        due.map(|watermark| to_ns(watermark + self.disorder))
    }

    /// The windows that hold `time`, by their end, with their values so far; those without an event are left out.
    #[must_use]
    pub fn peek(&self, open: &Open<A>, time: u64) -> Vec<(Window, A)> {
        match &self.cut {
            Cut::Panes(panes) => panes.peek(open, to_ms(time)),
            Cut::Sessions { .. } => sessions::peek(open, to_ms(time)),
        }
    }
}

#[cfg(test)]
mod tests;
