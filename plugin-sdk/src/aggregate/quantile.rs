//! Quantiles of any numbers, within a relative error.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Aggregate;

/// The bits of a double below those that name its bucket: the exponent and six bits of the mantissa are left, which makes
/// 64 buckets between a power of two and the next.
const SHIFT: u32 = 46;
/// The most buckets beside that of zero: 16 powers of two, so values that differ by a factor of 65,536.
const BUCKETS: usize = 1_024;

/// Quantiles: median, 99th percentile and so on, of positive and negative numbers. An answer is within 0.8 % of a value
/// that was added at that rank; the least and the greatest are exact. What is kept depends on the values only, not on
/// their order.
///
/// This is `DDSketch` (Masson, Rim, Lee 2019) whose buckets are cut linearly between powers of two, so that a bucket's
/// number is the head of the double's bits and no logarithm is needed. Past 1,024 buckets the values nearest to zero count as
/// zero: values of one sign that differ by a factor of up to 65,536 keep their precision.
///
/// JSON: `null` of nothing, else `{"m": [least, greatest], "b": [bucket, count, bucket, count, ...]}`, ascending. The bucket
/// of x is the bits of |x| shifted right by 46, negative where x is.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Quantile {
    ends: Option<(f64, f64)>,
    buckets: BTreeMap<i32, u64>,
}

impl Quantile {
    /// Adds a value; one that is not finite is left out.
    pub fn add(&mut self, value: f64) {
        if value.is_finite() {
            self.widen(value, value);
            self.count(bucket(value), 1);
        }
    }

    /// The value that the fraction `q` of the values, 0 to 1, does not pass: that of rank `q * (n - 1)`, rounded down.
    /// `None` of nothing.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank among 2^53 values has no use for its last bit, and is never negative"
    )]
    pub fn get(&self, q: f64) -> Option<f64> {
        let (least, greatest) = self.ends?;
        let last = self.len().saturating_sub(1);
        let rank = (q.clamp(0.0, 1.0) * last as f64) as u64;
        if rank == 0 || rank >= last {
            return Some(if rank == 0 { least } else { greatest });
        }
        let mut below = 0_u64;
        let found = self.buckets.iter().find(|(_, count)| {
            below = below.saturating_add(**count);
            below > rank
        });
        Some(found.map_or(greatest, |(bucket, _)| middle(*bucket)).max(least).min(greatest))
    }

    /// How many values were added.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.buckets.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Whether none was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_none()
    }

    fn widen(&mut self, least: f64, greatest: f64) {
        let (low, high) = self.ends.unwrap_or((least, greatest));
        self.ends = Some((low.min(least), high.max(greatest)));
    }

    fn count(&mut self, bucket: i32, more: u64) {
        let count = self.buckets.entry(bucket).or_default();
        *count = count.saturating_add(more);
        if self.buckets.len() > BUCKETS {
            self.give_up_smallest();
        }
    }

    /// Which buckets are left depends on those ever used only: always the 1,024 furthest from zero.
    fn give_up_smallest(&mut self) {
        let below = self.buckets.range(..0).next_back().map(|(bucket, _)| *bucket);
        let above = self.buckets.range(1..).next().map(|(bucket, _)| *bucket);
        let used = self.buckets.len() - usize::from(self.buckets.contains_key(&0));
        let smallest = below.into_iter().chain(above).min_by_key(|bucket| bucket.unsigned_abs());
        if used > BUCKETS
            && let Some(given_up) = smallest.and_then(|bucket| self.buckets.remove(&bucket))
        {
            let zero = self.buckets.entry(0).or_default();
            *zero = zero.saturating_add(given_up);
        }
    }
}

impl Aggregate for Quantile {
    fn merge(&mut self, other: &Self) {
        if let Some((least, greatest)) = other.ends {
            self.widen(least, greatest);
        }
        other.buckets.iter().for_each(|(bucket, count)| self.count(*bucket, *count));
    }
}

/// The bucket of a finite value: at most 2^17 in size.
fn bucket(value: f64) -> i32 {
    let head = (value.abs().to_bits() >> SHIFT) as i32;
    if value < 0.0 { -head } else { head }
}

/// The middle of a bucket; that of zero is zero.
fn middle(bucket: i32) -> f64 {
    if bucket == 0 {
        return 0.0;
    }
    let size = f64::from_bits((u64::from(bucket.unsigned_abs()) << SHIFT) | (1 << (SHIFT - 1)));
    if bucket < 0 { -size } else { size }
}

#[derive(Serialize, Deserialize)]
struct Stored {
    m: (f64, f64),
    b: Vec<i64>,
}

impl Serialize for Quantile {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let flat =
            |(bucket, count): (&i32, &u64)| [i64::from(*bucket), i64::try_from(*count).unwrap_or(i64::MAX)];
        let stored = self.ends.map(|m| Stored { m, b: self.buckets.iter().flat_map(flat).collect() });
        stored.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Quantile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Some(Stored { m, b }) = Option::deserialize(deserializer)? else { return Ok(Self::default()) };
        let mut quantile = Self { ends: Some(m), buckets: BTreeMap::new() };
        for pair in b.chunks(2) {
            let (bucket, count) = match pair {
                [bucket, count] => (i32::try_from(*bucket).ok(), u64::try_from(*count).ok()),
                _ => (None, None),
            };
            let (Some(bucket), Some(count)) = (bucket.filter(|bucket| bucket.abs() < 1 << 17), count) else {
                return Err(D::Error::custom("not what a quantile is stored as"));
            };
            quantile.count(bucket, count);
        }
        Ok(quantile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl IntoIterator<Item = f64>) -> Quantile {
        values.into_iter().fold(Quantile::default(), |mut quantile, value| {
            quantile.add(value);
            quantile
        })
    }

    #[test]
    fn answers_are_within_the_error() {
        let values: Vec<f64> =
            (-700..5_000).step_by(7).map(|i| f64::from(i) * f64::from(i).abs() / 777.0).collect();
        let quantile = of(values.iter().rev().copied());
        for (rank, value) in values.iter().enumerate() {
            let told = quantile.get(rank as f64 / (values.len() - 1) as f64 + 1e-12).unwrap();
            assert!((told - value).abs() <= value.abs() / 127.0, "{told} for {value}");
        }
        assert_eq!((quantile.get(0.0), quantile.get(1.0)), (values.first().copied(), values.last().copied()));
    }

    #[test]
    fn past_the_buckets_the_smallest_become_zero_in_any_order() {
        let value = |i: i32| if i % 3 == 0 { -1.02_f64.powi(i) } else { 1.02_f64.powi(i) };
        let quantile = of((0..2_000).map(value));
        assert_eq!(quantile, of((0..2_000).rev().map(value)));
        let mut merged = of((700..2_000).map(value));
        merged.merge(&of((0..700).map(value)));
        assert_eq!(merged, quantile);
        assert_eq!((quantile.buckets.len(), quantile.len()), (BUCKETS + 1, 2_000));
        let told = quantile.get(0.98).unwrap();
        let mut sorted: Vec<f64> = (0..2_000).map(value).collect();
        sorted.sort_by(f64::total_cmp);
        assert!((told / sorted[1_959] - 1.0).abs() < 0.008, "{told}");
        assert_eq!(quantile.get(0.5), Some(0.0));
    }

    #[test]
    fn it_comes_back_from_its_json() {
        let quantile = of([0.0, -1.5, 3.0, 3.01, f64::NAN, 1e300]);
        let text = serde_json::to_string(&quantile).unwrap();
        assert_eq!(serde_json::from_str::<Quantile>(&text).unwrap(), quantile);
        assert_eq!(serde_json::to_string(&Quantile::default()).unwrap(), "null");
        assert!(serde_json::from_str::<Quantile>("null").unwrap().is_empty());
        for text in [r#"{"m":[0,1],"b":[1]}"#, r#"{"m":[0,1],"b":[1,-1]}"#, r#"{"m":[0,1],"b":[9999999,1]}"#]
        {
            assert!(serde_json::from_str::<Quantile>(text).is_err(), "{text}");
        }
    }
}
