//! Aggregates of one or two numbers.

use serde::{Deserialize, Serialize};

use super::Aggregate;

/// How many. JSON: an integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Count(u64);

impl Count {
    /// Counts `more`; the count stops at its highest value rather than begin anew.
    pub fn add(&mut self, more: u64) {
        self.0 = self.0.saturating_add(more);
    }

    /// The count.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0
    }
}

impl Aggregate for Count {
    fn merge(&mut self, other: &Self) {
        self.add(other.0);
    }
}

/// A sum with the rounding error of its additions kept aside (Neumaier 1974), so that ten times 0.1 are 1. JSON:
/// `[sum, error]`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Sum(f64, f64);

impl Sum {
    /// Adds a value. One that is not finite is left out; a sum past the range of doubles stays at its end.
    pub fn add(&mut self, value: f64) {
        if !value.is_finite() {
            return;
        }
        let total = self.0 + value;
        if total.is_infinite() {
            *self = Self(f64::MAX.copysign(total), 0.0);
            return;
        }
        self.1 +=
            if self.0.abs() >= value.abs() { (self.0 - total) + value } else { (value - total) + self.0 };
        self.0 = total;
    }

    /// The sum; 0 of nothing.
    #[must_use]
    pub fn get(&self) -> f64 {
        self.0 + self.1
    }
}

impl Aggregate for Sum {
    fn merge(&mut self, other: &Self) {
        self.add(other.0);
        self.add(other.1);
    }
}

/// The arithmetic mean. JSON: `[count, [sum, error]]`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Mean(Count, Sum);

impl Mean {
    /// Adds a value; one that is not finite is left out.
    pub fn add(&mut self, value: f64) {
        if value.is_finite() {
            self.0.add(1);
            self.1.add(value);
        }
    }

    /// The mean; `None` of nothing.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a mean of 2^53 values has no use for its last bit")]
    pub fn get(&self) -> Option<f64> {
        (self.0.get() > 0).then(|| self.1.get() / self.0.get() as f64)
    }

    /// How many values it is the mean of.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.get()
    }
}

impl Aggregate for Mean {
    fn merge(&mut self, other: &Self) {
        self.0.merge(&other.0);
        self.1.merge(&other.1);
    }
}

macro_rules! extreme {
    ($name:ident, $better:tt, $doc:literal) => {
        #[doc = $doc]
        #[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Option<f64>);

        impl $name {
            /// Adds a value; one that is not finite is left out.
            pub fn add(&mut self, value: f64) {
                if value.is_finite() && self.0.is_none_or(|kept| value $better kept) {
                    self.0 = Some(value);
                }
            }

            /// The value; `None` of nothing.
            #[must_use]
            pub fn get(&self) -> Option<f64> {
                self.0
            }
        }

        impl Aggregate for $name {
            fn merge(&mut self, other: &Self) {
                if let Some(value) = other.0 {
                    self.add(value);
                }
            }
        }
    };
}

extreme!(Min, <, "The least value. JSON: a number, or `null` of nothing.");
extreme!(Max, >, "The greatest value. JSON: a number, or `null` of nothing.");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_keep_what_rounding_loses() {
        let mut sum = Sum::default();
        (0..10).for_each(|_| sum.add(0.1));
        assert_eq!(sum.get(), 1.0);
        let mut large = Sum::default();
        [1.0, 1e100, 1.0, -1e100].into_iter().for_each(|value| large.add(value));
        assert_eq!(large.get(), 2.0);
        sum.merge(&large);
        assert_eq!(sum.get(), 3.0);
    }

    #[test]
    fn nothing_makes_a_value_that_json_cannot_hold() {
        let mut sum = Sum::default();
        [f64::MAX, f64::MAX, f64::NAN, f64::INFINITY].into_iter().for_each(|value| sum.add(value));
        assert_eq!(sum.get(), f64::MAX);
        let (mut min, mut max, mut mean) = (Min::default(), Max::default(), Mean::default());
        for value in [f64::NAN, f64::NEG_INFINITY, f64::INFINITY] {
            min.add(value);
            max.add(value);
            mean.add(value);
        }
        assert_eq!((min.get(), max.get(), mean.get()), (None, None, None));
        let mut count = Count(u64::MAX);
        count.add(1);
        assert_eq!(count.get(), u64::MAX);
    }
}
