//! The range a sensor should stay in. Hysteresis: it is back only when it is some way inside, so that a value that trembles at
//! a limit is told once.

use serde::{Deserialize, Serialize};
use wasmill_sdk::state;
use wasmill_sdk::{Failure, retry};

use crate::{Kind, Told};

const STANDING: state::Value<Standing> = state::Value::new("range");

/// The `[config.range]` table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    high: Option<f64>,
    high_clear: Option<f64>,
    low: Option<f64>,
    low_clear: Option<f64>,
}

/// How it stands with a sensor.
#[derive(Debug, Serialize, Deserialize)]
struct Standing {
    kind: Kind,
    /// Since when, nanoseconds since the Unix epoch.
    since: u64,
    /// The time of the last reading.
    last: u64,
    /// How far out of its range.
    peak: f64,
}

impl Range {
    /// Takes a reading. One from before the last is not judged: what it would say is past.
    pub fn take(&self, time: u64, value: f64) -> Result<Option<Told>, Failure> {
        self.check()?;
        let stored = STANDING.get()?;
        if stored.as_ref().is_some_and(|standing| time < standing.last) {
            return Ok(None);
        }
        let mut now = stored.unwrap_or(Standing { kind: Kind::Normal, since: time, last: time, peak: value });
        let kind = self.kind(now.kind, value);
        now.last = time;
        let told = if kind == now.kind {
            now.peak = if kind == Kind::Low { now.peak.min(value) } else { now.peak.max(value) };
            None
        } else {
            let told = self.told(kind, value, &now, time);
            now = Standing { kind, since: time, last: time, peak: value };
            Some(told)
        };
        STANDING.set(&now)?;
        Ok(told)
    }

    fn kind(&self, before: Kind, value: f64) -> Kind {
        let high = if before == Kind::High { self.high_clear.or(self.high) } else { self.high };
        let low = if before == Kind::Low { self.low_clear.or(self.low) } else { self.low };
        if high.is_some_and(|limit| value > limit) {
            Kind::High
        } else if low.is_some_and(|limit| value < limit) {
            Kind::Low
        } else {
            Kind::Normal
        }
    }

    fn told(&self, kind: Kind, value: f64, before: &Standing, time: u64) -> Told {
        let limit = match kind {
            Kind::High => self.high,
            Kind::Low => self.low,
            _ if before.kind == Kind::High => self.high_clear.or(self.high),
            _ => self.low_clear.or(self.low),
        };
        if before.kind == Kind::Normal {
            return Told { kind, value, limit, seconds: None, reached: Vec::new() };
        }
        let seconds = Some((time - before.since) / 1_000_000_000);
        Told { kind, value, limit, seconds, reached: vec![before.peak] }
    }

    fn check(&self) -> Result<(), Failure> {
        let low = [self.low, self.low_clear];
        let high = [self.high_clear, self.high];
        let limits: Vec<f64> = low.into_iter().chain(high).flatten().collect();
        let has_clear_alone = (self.high_clear.is_some() && self.high.is_none())
            || (self.low_clear.is_some() && self.low.is_none());
        if has_clear_alone || limits.is_empty() || !limits.is_sorted() {
            return retry(
                "config: `range` needs `high`, `low` or both, and low <= low_clear <= high_clear <= high",
            );
        }
        Ok(())
    }
}
