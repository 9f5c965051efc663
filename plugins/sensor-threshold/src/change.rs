//! How fast a sensor may change: the swing between the least and the greatest value of the last so much time.

use std::time::Duration;

use serde::Deserialize;
use wasmill_sdk::Failure;
use wasmill_sdk::aggregate::{Max, Min};
use wasmill_sdk::state;
use wasmill_sdk::window::{Buckets, Rolling};

use crate::{Kind, Told};

type Swing = (Min, Max);

const RECENT: state::Value<Buckets<Swing>> = state::Value::new("recent");
const CHANGING: state::Value<bool> = state::Value::new("changing");

/// The `[config.change]` table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    over: f64,
    within_s: u64,
    bucket_s: u64,
}

impl Change {
    /// Takes a reading. A swing is told once; the next one only after the swing was down to half of what is allowed. One from
    /// before the latest bucket counts in what comes after it, and is not judged itself: as of its time, which is past, the
    /// sensor may seem calm in the middle of a swing.
    pub fn take(&self, time: u64, value: f64) -> Result<Option<Told>, Failure> {
        let (span, bucket) = (Duration::from_secs(self.within_s), Duration::from_secs(self.bucket_s));
        let rolling = Rolling::new(span, bucket, Swing::default())?;
        let mut kept = RECENT.get()?.unwrap_or_default();
        let is_latest = kept.latest().is_none_or(|latest| time >= latest);
        rolling.add(&mut kept, time, |(least, greatest)| {
            least.add(value);
            greatest.add(value);
        });
        RECENT.set(&kept)?;
        let (least, greatest) = rolling.over(&kept, time, span);
        let (Some(least), Some(greatest), true) = (least.get(), greatest.get(), is_latest) else {
            return Ok(None);
        };
        let swing = greatest - least;
        let was_changing = CHANGING.get()?.unwrap_or_default();
        let is_changing = swing > if was_changing { self.over / 2.0 } else { self.over };
        if is_changing == was_changing {
            return Ok(None);
        }
        CHANGING.set(&is_changing)?;
        Ok(is_changing.then(|| Told {
            kind: Kind::Change,
            value,
            limit: Some(self.over),
            seconds: Some(self.within_s),
            reached: vec![least, greatest],
        }))
    }
}
