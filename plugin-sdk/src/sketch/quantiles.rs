//! How large at which rank: a t-digest (Dunning, Ertl 2019).

use std::fmt;

use datasketches::tdigest::TDigestMut;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{from_text, to_text};

/// The compression: about twice as many centroids are kept.
const COMPRESSION: u16 = 100;

/// How large numbers are at a rank, such as their median, closest at both ends: within about 1 % of the rank in the middle
/// and 0.2 % at the ends, in at most 5 KiB of JSON. [`aggregate::Quantile`](crate::aggregate::Quantile) is the one for
/// windows and for all languages.
///
/// As JSON: `{"count":3,"min":1.0,"max":9.0,"tdigest":"..."}`.
#[derive(Clone)]
pub struct Quantiles(TDigestMut);

impl Quantiles {
    /// Nothing seen yet.
    #[must_use]
    #[expect(clippy::expect_used, reason = "10 and more are served, and this is a constant")]
    pub fn new() -> Self {
        Self(TDigestMut::new(COMPRESSION).expect("a compression that is served"))
    }

    /// Sees a number; what is no number, or endless, is left out.
    pub fn insert(&mut self, number: f64) {
        self.0.update(number);
    }

    /// About how large the number at this rank is: 0 is the smallest, 0.5 the median, 1 the largest. `None` if nothing was
    /// seen. Ranks beyond 0 and 1 count as those.
    #[must_use]
    pub fn at(&self, rank: f64) -> Option<f64> {
        let rank = if rank.is_nan() { 0.0 } else { rank.clamp(0.0, 1.0) };
        // The rank is one that is served.
        self.0.clone().quantile(rank).ok().flatten()
    }

    /// About which part of the numbers is below this one, from 0 to 1. `None` if nothing was seen.
    #[must_use]
    pub fn rank(&self, number: f64) -> Option<f64> {
        self.0.clone().rank(number).ok().flatten()
    }

    /// How many numbers were seen.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.total_weight()
    }

    /// The smallest number, exactly.
    #[must_use]
    pub fn min(&self) -> Option<f64> {
        self.0.min_value()
    }

    /// The largest number, exactly.
    #[must_use]
    pub fn max(&self) -> Option<f64> {
        self.0.max_value()
    }

    /// Sees all that another one saw.
    pub fn merge(&mut self, other: &Self) {
        self.0.merge(&other.0);
    }
}

impl Default for Quantiles {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Quantiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Quantiles").field("count", &self.count()).finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct Written {
    count: u64,
    min: Option<f64>,
    max: Option<f64>,
    #[serde(serialize_with = "to_text")]
    tdigest: Vec<u8>,
}

#[derive(Deserialize)]
struct Read {
    #[serde(deserialize_with = "from_text")]
    tdigest: Vec<u8>,
}

impl Serialize for Quantiles {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let written = Written {
            count: self.count(),
            min: self.min(),
            max: self.max(),
            tdigest: self.0.clone().serialize(),
        };
        written.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Quantiles {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = Read::deserialize(deserializer)?;
        TDigestMut::deserialize(&read.tdigest).map(Self).map_err(D::Error::custom)
    }
}
