//! Two streams joined within a time bound, per key: an order with the payment that follows within an hour, a click with the
//! view before it.
//!
//! An event of the right side meets those of the left side from which it is at most `before` earlier and at most `after`
//! later, both included. This is the interval join of Apache Flink ("Joining"), with the outer rows that a rule such as "no
//! payment within an hour" needs. `WINDOWS.md` has the rules in full, for all languages. To join what falls into the same
//! window, keep both sides in the aggregate of a window ([`crate::aggregate::Rows`]).
//!
//! ```
//! use std::time::Duration;
//! use wasmill_sdk::join::{Held, Join, Side};
//!
//! const S: u64 = 1_000_000_000;
//! # fn main() -> Result<(), wasmill_sdk::window::Error> {
//! let orders_and_payments = Join::within(Duration::ZERO, Duration::from_secs(3_600))?;
//! let mut held: Held<&str, u32> = Held::default();
//! assert!(orders_and_payments.left(&mut held, 10 * S, "order").pairs.is_empty());
//! assert_eq!(orders_and_payments.right(&mut held, 20 * S, 7).pairs, [("order", 7)]);
//! let _ = orders_and_payments.left(&mut held, 30 * S, "another order");
//! let missed = orders_and_payments.advance(&mut held, 3_631 * S);
//! assert_eq!(missed, [Side::Left("another order")]);
//! # Ok(())
//! # }
//! ```
//!
//! Time is as in [`crate::window`]: the key's watermark is its highest event time, of either side, less the disorder. An
//! event before the watermark is late: it meets nothing, is counted, and is told by [`Joined::late`]. An event is kept until
//! the watermark is past all that it could meet; if it met nothing until then it is told as unmatched. A timer set for
//! [`Join::due`] and [`Join::advance`] tell those of a quiet key.

mod held;
mod stored;

use std::time::Duration;

pub use held::Held;
use held::Kept;

use crate::window::{Error, length, to_ms, to_ns};

/// The events that each side keeps at most, unless [`Join::capacity`] says otherwise.
const CAPACITY: usize = 1_000;

/// An event of one side or the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Side<L, R> {
    /// Of the left side.
    Left(L),
    /// Of the right side.
    Right(R),
}

/// What an event did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Joined<L, R> {
    /// The pairs it makes with those kept of the other side, by their time.
    pub pairs: Vec<(L, R)>,
    /// Those kept that can meet no other any more and met none: the left side's by time, then the right side's.
    pub unmatched: Vec<Side<L, R>>,
    /// Whether it came before the watermark, and so met nothing.
    pub late: bool,
}

/// A join within a time bound.
#[derive(Debug, Clone, Copy)]
pub struct Join {
    before: i64,
    after: i64,
    disorder: i64,
    capacity: usize,
}

impl Join {
    /// Joins an event of the left side with those of the right side that are at most `before` earlier and at most `after`
    /// later.
    ///
    /// # Errors
    /// A length is over ten years, or no whole number of milliseconds.
    pub fn within(before: Duration, after: Duration) -> Result<Self, Error> {
        let (before, after) = (length("time before", before)?, length("time after", after)?);
        Ok(Self { before, after, disorder: 0, capacity: CAPACITY })
    }

    /// How far out of order events come: they are kept that much longer.
    ///
    /// # Errors
    /// It is over ten years, or no whole number of milliseconds.
    pub fn disorder(self, disorder: Duration) -> Result<Self, Error> {
        Ok(Self { disorder: length("disorder", disorder)?, ..self })
    }

    /// How many events each side keeps at most, 1,000 if not set. Without room the oldest gives way, and is counted in
    /// [`Held::evicted`]; it is never told as unmatched.
    #[must_use]
    pub fn capacity(self, events: usize) -> Self {
        Self { capacity: events, ..self }
    }

    /// Adds an event of the left side, of this time in nanoseconds since the Unix epoch.
    pub fn left<L: Clone, R: Clone>(&self, held: &mut Held<L, R>, time: u64, value: L) -> Joined<L, R> {
        let at = to_ms(time);
        if held.is_late(at) {
            return Joined { pairs: Vec::new(), unmatched: Vec::new(), late: true };
        }
        let met = held::meet(&mut held.right, at - self.before, at + self.after);
        let pairs = met.into_iter().map(|right| (value.clone(), right)).collect::<Vec<_>>();
        held.evicted += held::keep(&mut held.left, Kept { at, value, met: !pairs.is_empty() }, self.capacity);
        Joined { pairs, unmatched: self.advance(held, time), late: false }
    }

    /// Adds an event of the right side, of this time in nanoseconds since the Unix epoch.
    pub fn right<L: Clone, R: Clone>(&self, held: &mut Held<L, R>, time: u64, value: R) -> Joined<L, R> {
        let at = to_ms(time);
        if held.is_late(at) {
            return Joined { pairs: Vec::new(), unmatched: Vec::new(), late: true };
        }
        let met = held::meet(&mut held.left, at - self.after, at + self.before);
        let pairs = met.into_iter().map(|left| (left, value.clone())).collect::<Vec<_>>();
        held.evicted +=
            held::keep(&mut held.right, Kept { at, value, met: !pairs.is_empty() }, self.capacity);
        Joined { pairs, unmatched: self.advance(held, time), late: false }
    }

    /// Lets time pass to `now` on the plugin clock, nanoseconds since the Unix epoch, and tells those that can meet no other
    /// any more and met none. An earlier time than one before changes nothing.
    pub fn advance<L, R>(&self, held: &mut Held<L, R>, now: u64) -> Vec<Side<L, R>> {
        let watermark = to_ms(now) - self.disorder;
        if held.watermark.is_some_and(|before| before >= watermark) {
            return Vec::new();
        }
        held.watermark = Some(watermark);
        let left = held::let_go(&mut held.left, watermark - self.after).into_iter().map(Side::Left);
        let right = held::let_go(&mut held.right, watermark - self.before).into_iter().map(Side::Right);
        left.chain(right).collect()
    }

    /// When [`Join::advance`] has something to do, on the plugin clock, nanoseconds since the Unix epoch: an event can meet no
    /// other any more. `None` if nothing is kept.
    #[must_use]
    pub fn due<L, R>(&self, held: &Held<L, R>) -> Option<u64> {
        let left = held.left.first().map(|kept| kept.at + self.after);
        let right = held.right.first().map(|kept| kept.at + self.before);
        // The bound itself still joins; a millisecond later nothing does.
        left.into_iter().chain(right).min().map(|last| to_ns(last + self.disorder + 1))
    }
}

#[cfg(test)]
mod tests;
