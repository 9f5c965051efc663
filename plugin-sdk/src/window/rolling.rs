//! The last hour, as of now: an aggregate that rolls on with every event.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Error;
use super::open::Pane;
use super::spec::MOST_PIECES;
use super::time::{floor, some_length, to_ms, to_ns};
use crate::aggregate::Aggregate;

/// An aggregate over the last so much time, as of any event: velocity rules ask "how many within 24 h, this one included".
/// Unlike a window it never closes: the handler asks when it wants to know.
///
/// It keeps one aggregate for each bucket of time, so a span is rounded to whole buckets: the one that `now` is in, and those
/// before it. Events may come in any order; one older than the span is late.
///
/// ```
/// use std::time::Duration;
/// use wasmill_sdk::aggregate::Sum;
/// use wasmill_sdk::window::{Buckets, Rolling};
///
/// const HOUR: Duration = Duration::from_secs(3_600);
/// const H: u64 = 3_600_000_000_000;
/// # fn main() -> Result<(), wasmill_sdk::window::Error> {
/// let spent = Rolling::new(24 * HOUR, HOUR / 12, Sum::default())?;
/// let mut kept = Buckets::default();
/// for (time, amount) in [(0, 5.0), (20 * H, 7.0), (24 * H, 9.0)] {
///     spent.add(&mut kept, time, |sum| sum.add(amount));
/// }
/// assert_eq!(spent.over(&kept, 24 * H, 24 * HOUR).get(), 16.0);
/// assert_eq!(spent.over(&kept, 24 * H, HOUR).get(), 9.0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Rolling<A> {
    span: i64,
    bucket: i64,
    empty: A,
}

/// What a key keeps of a rolling aggregate: plain data, to be kept as one state value.
///
/// JSON, times in milliseconds since the Unix epoch: `{"l": late events, "p": [[start, aggregate], ...]}`, `l` left out if
/// there were none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(bound(serialize = "A: Serialize", deserialize = "A: Deserialize<'de>"), deny_unknown_fields)]
pub struct Buckets<A> {
    #[serde(rename = "l", default, skip_serializing_if = "super::is_zero")]
    late: u64,
    #[serde(rename = "p")]
    panes: Vec<Pane<A>>,
}

impl<A> Default for Buckets<A> {
    fn default() -> Self {
        Self { late: 0, panes: Vec::new() }
    }
}

impl<A> Buckets<A> {
    /// How many events came when they were older than the span.
    #[must_use]
    pub fn late(&self) -> u64 {
        self.late
    }

    /// When the latest bucket begins, nanoseconds since the Unix epoch: an event from before it comes out of order. `None`
    /// before the first event.
    #[must_use]
    pub fn latest(&self) -> Option<u64> {
        self.panes.last().map(|pane| to_ns(pane.start))
    }

    /// How many buckets are kept: those of the span that hold an event.
    #[must_use]
    pub fn pieces(&self) -> usize {
        self.panes.len()
    }
}

impl<A: Aggregate> Rolling<A> {
    /// An aggregate over the last `span`, kept in buckets of this length; `empty` is what each begins with.
    ///
    /// # Errors
    /// A length is zero, too long or no whole number of milliseconds, the bucket does not divide the span, or there are more
    /// than 10,000 of them.
    pub fn new(span: Duration, bucket: Duration, empty: A) -> Result<Self, Error> {
        let (span, bucket) = (some_length("span", span)?, some_length("bucket", bucket)?);
        if span % bucket != 0 {
            return Err(Error::Uneven);
        }
        if span / bucket > MOST_PIECES {
            return Err(Error::TooFine(span / bucket));
        }
        Ok(Self { span, bucket, empty })
    }

    /// Adds an event of this time, nanoseconds since the Unix epoch: `change` adds it to the aggregate. Says whether it is
    /// counted: one older than the span, seen from the latest event, is late and is not.
    pub fn add(&self, kept: &mut Buckets<A>, time: u64, change: impl FnOnce(&mut A)) -> bool {
        let start = floor(to_ms(time), self.bucket, 0);
        let latest = kept.panes.last().map_or(start, |pane| pane.start.max(start));
        if start <= latest - self.span {
            kept.late = kept.late.saturating_add(1);
            return false;
        }
        kept.panes.retain(|pane| pane.start > latest - self.span);
        let place = kept.panes.partition_point(|pane| pane.start < start);
        if kept.panes.get(place).is_none_or(|pane| pane.start != start) {
            kept.panes.insert(place, Pane { start, value: self.empty.clone() });
        }
        if let Some(pane) = kept.panes.get_mut(place) {
            change(&mut pane.value);
        }
        true
    }

    /// The aggregate over the last `span` as of `now`, nanoseconds since the Unix epoch: the bucket that `now` is in and those
    /// before it, for `span` rounded up to whole buckets. Events after that bucket do not count.
    #[must_use]
    pub fn over(&self, kept: &Buckets<A>, now: u64, span: Duration) -> A {
        let now = floor(to_ms(now), self.bucket, 0);
        let span = i64::try_from(span.as_nanos().div_ceil(1_000_000)).unwrap_or(self.span).min(self.span);
        let from = kept.panes.partition_point(|pane| pane.start <= now - span);
        let to = kept.panes.partition_point(|pane| pane.start <= now);
        let mut value = self.empty.clone();
        kept.panes.get(from..to).unwrap_or_default().iter().for_each(|pane| value.merge(&pane.value));
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::{Count, Rows};

    const S: Duration = Duration::from_secs(1);
    const NS: u64 = 1_000_000_000;

    #[test]
    fn it_rolls_on_and_stays_bounded() {
        let rolling = Rolling::new(10 * S, S, Rows::new(100)).unwrap();
        let mut kept = Buckets::default();
        for time in [0, 3, 1, 9, 10, 9, 0, 19] {
            let counted = rolling.add(&mut kept, time * NS + 1, |rows| rows.add(time));
            assert_eq!(counted, time != 0 || kept.late() == 0);
        }
        assert_eq!(rolling.over(&kept, 19 * NS, 10 * S).get(), [10, 19]);
        assert_eq!(rolling.over(&kept, 18 * NS, 10 * S).get(), [10]);
        assert_eq!(rolling.over(&kept, 19 * NS, Duration::from_nanos(1)).get(), [19]);
        assert_eq!(rolling.over(&kept, 28 * NS, 1_000 * S).get(), [19]);
        assert_eq!((kept.pieces(), kept.late(), kept.latest()), (2, 1, Some(19 * NS)));
        let text = serde_json::to_string(&kept).unwrap();
        assert_eq!(
            text,
            r#"{"l":1,"p":[[10000,{"n":100,"r":[10],"o":0}],[19000,{"n":100,"r":[19],"o":0}]]}"#
        );
        assert_eq!(serde_json::from_str::<Buckets<Rows<u64>>>(&text).unwrap(), kept);
    }

    #[test]
    fn lengths_that_make_no_buckets_are_named() {
        let refused = |span, bucket| Rolling::new(span, bucket, Count::default()).unwrap_err();
        assert_eq!(refused(Duration::ZERO, S), Error::Zero("span"));
        assert_eq!(refused(S, Duration::ZERO), Error::Zero("bucket"));
        assert_eq!(refused(10 * S, 3 * S), Error::Uneven);
        assert_eq!(refused(S * 86_400, S), Error::TooFine(86_400));
    }
}
