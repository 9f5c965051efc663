//! What is kept of many values: counts, sums, extremes, distinct members, quantiles, the most frequent.
//!
//! Each aggregate is plain data with a compact JSON form, so that it can be one state value or stand in a window
//! ([`crate::window`]). Each is bounded, and two of them merge into what one would be that had seen both inputs. The
//! forms and the arithmetic are those of `WINDOWS.md`, which the other languages follow too.
//!
//! | aggregate | answers | exact | bound |
//! |---|---|---|---|
//! | [`Count`] | how many | yes | one integer |
//! | [`Sum`], [`Mean`] | sum, mean | to about the last bit | two numbers |
//! | [`Min`], [`Max`] | extremes | yes | one number |
//! | [`Distinct`] | how many different members | to 256, then 1.6 % standard error | 4 KiB |
//! | [`Quantile`] | median, 99th percentile, ... | within 0.8 % of the value | 1,024 buckets |
//! | [`Top`] | the labels of greatest total weight | to `capacity` labels, then with a known error | `capacity` labels |
//! | [`Largest`] | the labels of greatest score | yes | `n` labels |
//! | [`Rows`] | the values themselves | the first `max`, the others are counted | `max` values |
//!
//! [`Distinct`] and [`Quantile`] have the same state in every language's SDK. [`crate::sketch`] has two of a like kind in
//! another format, for what shall be read outside of Wasmill.
//!
//! Several at once are a tuple, or a struct of one's own that implements [`Aggregate`]:
//!
//! ```
//! use wasmill_sdk::aggregate::{Aggregate, Count, Distinct, Sum};
//!
//! #[derive(Clone, Default, serde::Serialize, serde::Deserialize)]
//! struct Spending {
//!     payments: Count,
//!     amount: Sum,
//!     terminals: Distinct,
//! }
//!
//! impl Aggregate for Spending {
//!     fn merge(&mut self, other: &Self) {
//!         self.payments.merge(&other.payments);
//!         self.amount.merge(&other.amount);
//!         self.terminals.merge(&other.terminals);
//!     }
//! }
//!
//! let mut spending = Spending::default();
//! spending.payments.add(1);
//! spending.amount.add(9.5);
//! spending.terminals.add("terminal-7");
//! assert_eq!(serde_json::to_string(&spending.payments).unwrap(), "1");
//! ```

mod distinct;
mod largest;
mod numbers;
mod quantile;
mod rows;
mod top;

pub use distinct::Distinct;
pub use largest::{Largest, Scored};
pub use numbers::{Count, Max, Mean, Min, Sum};
pub use quantile::Quantile;
pub use rows::Rows;
pub use top::{Ranked, Top};

/// The longest label of [`Top`] and [`Largest`], in bytes; a longer one is cut at the last character that fits.
pub const LABEL_BYTES: usize = 256;

/// A summary of values that merges with another of its kind.
pub trait Aggregate: Clone {
    /// Takes in all that `other` has seen.
    fn merge(&mut self, other: &Self);
}

/// Tuples merge member by member.
macro_rules! tuples {
    ($($name:ident . $index:tt),+) => {
        impl<$($name: Aggregate),+> Aggregate for ($($name,)+) {
            fn merge(&mut self, other: &Self) {
                $(self.$index.merge(&other.$index);)+
            }
        }
    };
}

tuples!(A.0, B.1);
tuples!(A.0, B.1, C.2);
tuples!(A.0, B.1, C.2, D.3);
tuples!(A.0, B.1, C.2, D.3, E.4);
tuples!(A.0, B.1, C.2, D.3, E.4, F.5);

/// The label as it is kept.
fn cut(label: &str) -> &str {
    label.get(..label.floor_char_boundary(LABEL_BYTES)).unwrap_or(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tuples_merge_member_by_member() {
        let mut both = (Count::default(), Sum::default(), Max::default());
        both.0.add(2);
        both.1.add(1.5);
        let mut other = both;
        other.2.add(7.0);
        both.merge(&other);
        assert_eq!((both.0.get(), both.1.get(), both.2.get()), (4, 3.0, Some(7.0)));
    }

    #[test]
    fn a_long_label_is_cut_between_characters() {
        assert_eq!(cut(&"é".repeat(200)).len(), LABEL_BYTES);
        assert_eq!(cut(&format!("x{}", "é".repeat(200))).len(), LABEL_BYTES - 1);
        assert_eq!(cut("short"), "short");
    }
}
