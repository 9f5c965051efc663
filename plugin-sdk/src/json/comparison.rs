//! How two numbers compare.

use std::cmp::Ordering;
use std::fmt;

use serde::Deserialize;
use serde_json::Number;

/// A comparison of two numbers, written as `>`, `>=`, `<`, `<=`, `==` or `!=`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum Comparison {
    /// `>`
    #[default]
    #[serde(rename = ">")]
    Above,
    /// `>=`
    #[serde(rename = ">=")]
    AtLeast,
    /// `<`
    #[serde(rename = "<")]
    Below,
    /// `<=`
    #[serde(rename = "<=")]
    AtMost,
    /// `==`
    #[serde(rename = "==")]
    Equal,
    /// `!=`
    #[serde(rename = "!=")]
    NotEqual,
}

impl Comparison {
    /// Whether it holds between two numbers. Integers compare exactly, others as 64-bit floating point.
    #[must_use]
    pub fn holds(self, left: &Number, right: &Number) -> bool {
        let Some(ordering) = order(left, right) else { return false };
        match self {
            Self::Above => ordering.is_gt(),
            Self::AtLeast => ordering.is_ge(),
            Self::Below => ordering.is_lt(),
            Self::AtMost => ordering.is_le(),
            Self::Equal => ordering.is_eq(),
            Self::NotEqual => ordering.is_ne(),
        }
    }

    /// The comparison in words that go between two numbers: `is more than`.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Above => "is more than",
            Self::AtLeast => "is at least",
            Self::Below => "is less than",
            Self::AtMost => "is at most",
            Self::Equal => "equals",
            Self::NotEqual => "is not",
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

fn order(left: &Number, right: &Number) -> Option<Ordering> {
    match (left.as_i128(), right.as_i128()) {
        (Some(left), Some(right)) => Some(left.cmp(&right)),
        _ => left.as_f64()?.partial_cmp(&right.as_f64()?),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::from_str;

    use super::*;

    #[test]
    fn comparisons_hold_as_written() {
        for (left, sign, right, wanted) in [
            ("220", ">", "220", false),
            ("220.01", ">", "220", true),
            ("220", ">=", "220.0", true),
            ("-1", "<", "0", true),
            ("1e3", "<=", "1000", true),
            ("1", "==", "1.0", true),
            ("9007199254740993", "==", "9007199254740992", false),
            ("18446744073709551615", ">", "-9223372036854775808", true),
            ("1e300", "!=", "1", true),
        ] {
            let comparison: Comparison = from_str(&format!("\"{sign}\"")).unwrap();
            let (left, right): (Number, Number) = (from_str(left).unwrap(), from_str(right).unwrap());
            assert_eq!(comparison.holds(&left, &right), wanted, "{left} {sign} {right}");
        }
    }
}
