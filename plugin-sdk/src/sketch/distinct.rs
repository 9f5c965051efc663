//! How many different values there were: a HyperLogLog (Flajolet et al. 2007; the HIP estimate of Cohen 2014).

use std::fmt;

use datasketches::hash::value::raw_bytes;
use datasketches::hll::{HllSketch, HllType, HllUnion};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{from_text, to_text};

/// Two to this is the number of registers: 4,096, of 4 bits in the common case.
const LOG2_REGISTERS: u8 = 12;

/// How many different values there were, within about 1.3 % (one standard error), in at most 3 KiB of JSON; small numbers
/// take less and are next to exact. [`aggregate::Distinct`](crate::aggregate::Distinct) is the one for windows and for all
/// languages.
///
/// As JSON: `{"count":3,"hll":"..."}`.
#[derive(Clone)]
pub struct Distinct(HllSketch);

impl Distinct {
    /// Nothing seen yet.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "from 4 to 21 registers' logarithms are served, and this is a constant"
    )]
    pub fn new() -> Self {
        Self(HllSketch::new(LOG2_REGISTERS, HllType::Hll4).expect("a size that is served"))
    }

    /// Sees a value.
    pub fn insert(&mut self, value: impl AsRef<[u8]>) {
        self.0.update(raw_bytes::from_slice(value.as_ref()));
    }

    /// How many different values were seen, about.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate is a small positive number"
    )]
    pub fn count(&self) -> u64 {
        self.0.estimate().round() as u64
    }

    /// Sees all that another one saw.
    #[expect(clippy::expect_used, reason = "as for `new`")]
    pub fn merge(&mut self, other: &Self) {
        let mut union = HllUnion::new(LOG2_REGISTERS).expect("a size that is served");
        union.update(&self.0);
        union.update(&other.0);
        self.0 = union.to_sketch(HllType::Hll4);
    }
}

impl Default for Distinct {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Distinct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Distinct").field("count", &self.count()).finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct Written {
    count: u64,
    #[serde(serialize_with = "to_text")]
    hll: Vec<u8>,
}

#[derive(Deserialize)]
struct Read {
    #[serde(deserialize_with = "from_text")]
    hll: Vec<u8>,
}

impl Serialize for Distinct {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Written { count: self.count(), hll: self.0.serialize() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Distinct {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = Read::deserialize(deserializer)?;
        HllSketch::deserialize(&read.hll).map(Self).map_err(D::Error::custom)
    }
}
