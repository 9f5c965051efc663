//! What may not happen within a time.

use std::fmt::Display;
use std::time::Duration;

use serde::Deserialize;
use wasmill_sdk::window::Rolling;

use crate::seen::{Kept, Seen};

/// One measure and how much of it is allowed, the event itself included.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "Table")]
pub struct Limit {
    within_s: u64,
    measure: Measure,
}

#[derive(Debug, Clone, Copy)]
enum Measure {
    Payments(u64),
    Sum(f64),
    Members(u64),
    Suspects(u64),
    /// The amount over that many times the mean of the payments before it, once there are so many.
    TimesMean(f64, u64),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    within_s: u64,
    count_over: Option<u64>,
    sum_over: Option<f64>,
    distinct_over: Option<u64>,
    suspects_over: Option<u64>,
    times_mean_over: Option<f64>,
    after: Option<u64>,
}

impl TryFrom<Table> for Limit {
    type Error = String;

    fn try_from(table: Table) -> Result<Self, String> {
        let measures = [
            table.count_over.map(Measure::Payments),
            table.sum_over.map(Measure::Sum),
            table.distinct_over.map(Measure::Members),
            table.suspects_over.map(Measure::Suspects),
            table.times_mean_over.map(|times| Measure::TimesMean(times, table.after.unwrap_or(1))),
        ];
        let mut measures = measures.into_iter().flatten();
        let (Some(measure), None) = (measures.next(), measures.next()) else {
            return Err(
                "a limit needs exactly one of `count_over`, `sum_over`, `distinct_over`, `suspects_over` \
                        and `times_mean_over`"
                    .to_owned(),
            );
        };
        if table.after.is_some() && table.times_mean_over.is_none() {
            return Err("`after` belongs to `times_mean_over`".to_owned());
        }
        Ok(Self { within_s: table.within_s, measure })
    }
}

/// What a limit is held against.
pub struct Judged<'a> {
    pub rolling: &'a Rolling<Seen>,
    /// With the event.
    pub kept: &'a Kept,
    /// When the event happened, nanoseconds since the Unix epoch.
    pub time: u64,
    pub amount: f64,
}

impl Limit {
    /// How far back it looks, in seconds.
    pub fn within_s(&self) -> u64 {
        self.within_s
    }

    /// Whether it needs to know the different members.
    pub fn counts_members(&self) -> bool {
        matches!(self.measure, Measure::Members(_))
    }

    /// The reason for an alert, if there is one.
    pub fn broken_by(&self, judged: &Judged<'_>) -> Option<String> {
        let seen = judged.rolling.over(judged.kept, judged.time, Duration::from_secs(self.within_s));
        match self.measure {
            Measure::Payments(most) => self.reason("count", seen.payments(), most),
            Measure::Sum(most) => self.reason("sum", cents(seen.sum()), most),
            Measure::Members(most) => self.reason("distinct", seen.members(), most),
            Measure::Suspects(most) => self.reason("suspects", seen.suspects(), most),
            Measure::TimesMean(times, after) => {
                let before = seen.payments().saturating_sub(1);
                let mean = mean(seen.sum() - judged.amount, before).filter(|_| before >= after)?;
                let what = format!("times the mean of {}", cents(mean));
                self.reason(&what, cents(judged.amount / mean), times)
            }
        }
    }

    fn reason<T: PartialOrd + Display>(&self, what: &str, is: T, most: T) -> Option<String> {
        (is > most).then(|| format!("{what}: {is} within {} s, over {most}", self.within_s))
    }
}

#[expect(clippy::cast_precision_loss, reason = "a mean of 2^53 payments has no use for its last bit")]
fn mean(sum: f64, payments: u64) -> Option<f64> {
    let mean = sum / payments as f64;
    (mean > 0.0 && mean.is_finite()).then_some(mean)
}

/// To two decimals: what is judged is what is told.
fn cents(amount: f64) -> f64 {
    (amount * 100.0).round() / 100.0
}
