//! What becomes of an event that failed but may work later.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::MAX_WAIT_MS;
use crate::outcome::RETRIED;

/// How much longer than asked for a wait may be, so that events which failed together do not come back together.
pub const JITTER: f64 = 0.25;
/// How many more deliveries an event may have while its plugin is quarantined: time in which somebody may mend the plugin.
/// They are few, because the server delivers again what failed before it delivers what is new: each event that nothing mends
/// takes its probes before the good ones behind it come to theirs.
const MORE_IN_QUARANTINE: u32 = 3;
/// The most waits that a list may hold.
const MAX_DELAYS: usize = 100;

/// `[retry]` of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Retry {
    /// Deliveries in all, the first included. After the last the event becomes a dead letter.
    #[schemars(range(min = 1, max = 1_000))]
    pub attempts: u32,
    /// The wait before the second delivery, in milliseconds. It doubles with each further one.
    pub first_delay_ms: u64,
    /// The longest wait, in milliseconds; also the most that a guest may ask for.
    pub max_delay_ms: u64,
    /// The waits one by one, in milliseconds, in place of the doubling. The last one repeats.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub delays_ms: Vec<u64>,
    /// How long the server waits for a delivery to end before it delivers again, in milliseconds: what it costs when an
    /// engine is killed.
    #[schemars(range(min = 1_000))]
    pub ack_wait_ms: u64,
    /// Other figures for failures of one name, as in `[retry.reasons.trap]`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub reasons: BTreeMap<String, ReasonPolicy>,
}

/// What holds for failures of one name. What is not set is as for all others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReasonPolicy {
    /// Deliveries in all, the first included; 1 means no second try.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000))]
    pub attempts: Option<u32>,
    /// The waits one by one, in milliseconds. The last one repeats.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub delays_ms: Vec<u64>,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 5,
            first_delay_ms: 500,
            max_delay_ms: 30_000,
            delays_ms: Vec::new(),
            ack_wait_ms: 15_000,
            reasons: BTreeMap::new(),
        }
    }
}

impl Retry {
    /// How many deliveries there are in all if they fail under this name.
    #[must_use]
    pub fn attempts_for(&self, reason: &str) -> u32 {
        self.reasons.get(reason).and_then(|policy| policy.attempts).unwrap_or(self.attempts)
    }

    /// The same while the plugin is quarantined.
    #[must_use]
    pub fn attempts_in_quarantine(&self, reason: &str) -> u32 {
        self.attempts_for(reason) + MORE_IN_QUARANTINE
    }

    /// The wait after the given failed attempt (from 1), before jitter.
    #[must_use]
    pub fn delay_after(&self, reason: &str, attempt: u32) -> Duration {
        let own = self.reasons.get(reason).map(|policy| &policy.delays_ms).filter(|list| !list.is_empty());
        let list = own.unwrap_or(&self.delays_ms);
        let nth = attempt.saturating_sub(1) as usize;
        let wait = list.get(nth).or(list.last()).copied().unwrap_or_else(|| {
            let doublings = attempt.saturating_sub(1).min(32);
            self.first_delay_ms.saturating_mul(1_u64 << doublings).min(self.max_delay_ms)
        });
        Duration::from_millis(wait)
    }

    /// The wait that a guest asked for, within bounds.
    #[must_use]
    pub fn asked(&self, after: Duration) -> Duration {
        after.min(Duration::from_millis(self.max_delay_ms))
    }

    /// The longest that an event's deliveries may be apart from first to last: each runs into the ack wait, and each wait
    /// between them is as long as its jitter allows.
    #[must_use]
    pub fn horizon(&self) -> Duration {
        let of = |reason: &str| {
            let attempts = self.attempts_for(reason);
            let waits: Duration =
                (1..attempts).map(|attempt| self.delay_after(reason, attempt).mul_f64(1.0 + JITTER)).sum();
            Duration::from_millis(self.ack_wait_ms) * attempts + waits
        };
        self.reasons.keys().map(String::as_str).map(of).fold(of(""), Duration::max)
    }

    /// What is wrong with the figures, if anything is.
    pub(super) fn fault(&self) -> Option<String> {
        if !(1_000..=MAX_WAIT_MS).contains(&self.ack_wait_ms) {
            return Some(format!(
                "retry.ack_wait_ms is {}, not between 1000 and {MAX_WAIT_MS} (a day)",
                self.ack_wait_ms
            ));
        }
        if self.first_delay_ms.max(self.max_delay_ms) > MAX_WAIT_MS {
            return Some(format!("retry: a delay is over {MAX_WAIT_MS} ms (a day)"));
        }
        let all = ("retry".to_owned(), Some(self.attempts), &self.delays_ms);
        let by_reason = self
            .reasons
            .iter()
            .map(|(reason, policy)| (format!("retry.reasons.{reason}"), policy.attempts, &policy.delays_ms));
        let figures = std::iter::once(all).chain(by_reason);
        let unknown = self.reasons.keys().find(|reason| !RETRIED.contains(&reason.as_str()));
        let unknown = unknown.map(|reason| {
            format!(
                "retry.reasons.{reason}: nothing that is tried again fails under this name\n  hint: one of {}",
                RETRIED.join(", ")
            )
        });
        unknown.or_else(|| {
            figures.into_iter().find_map(|(key, attempts, delays)| figure_fault(&key, attempts, delays))
        })
    }
}

fn figure_fault(key: &str, attempts: Option<u32>, delays_ms: &[u64]) -> Option<String> {
    if let Some(attempts) = attempts.filter(|attempts| !(1..=1_000).contains(attempts)) {
        return Some(format!("{key}.attempts is {attempts}, not between 1 and 1000"));
    }
    if delays_ms.len() > MAX_DELAYS {
        return Some(format!("{key}.delays_ms has {} waits, more than {MAX_DELAYS}", delays_ms.len()));
    }
    let long = delays_ms.iter().find(|wait| **wait > MAX_WAIT_MS)?;
    Some(format!("{key}.delays_ms: a delay of {long} ms is over {MAX_WAIT_MS} ms (a day)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(retry: &Retry, reason: &str) -> Vec<u128> {
        (1..=6).map(|n| retry.delay_after(reason, n).as_millis()).collect()
    }

    #[test]
    fn backoff_doubles_up_to_its_bound() {
        let retry = Retry { attempts: 9, first_delay_ms: 100, max_delay_ms: 1_000, ..Retry::default() };
        assert_eq!(waits(&retry, "trap"), [100, 200, 400, 800, 1_000, 1_000]);
        assert_eq!(retry.delay_after("trap", u32::MAX).as_millis(), 1_000);
        let default_window = Duration::from_secs(120);
        assert!(Retry::default().horizon() < default_window, "the defaults fit the server's");
    }

    #[test]
    fn a_list_takes_its_place_and_a_reason_has_its_own() {
        let own = ReasonPolicy { attempts: Some(2), delays_ms: vec![7] };
        let mut retry = Retry { delays_ms: vec![10, 50], ..Retry::default() };
        retry.reasons.insert("trap".into(), own);
        assert_eq!(waits(&retry, "retry"), [10, 50, 50, 50, 50, 50]);
        assert_eq!(waits(&retry, "trap"), [7; 6]);
        assert_eq!((retry.attempts_for("trap"), retry.attempts_for("retry")), (2, 5));
        let long = ReasonPolicy { attempts: Some(50), delays_ms: Vec::new() };
        let before = retry.horizon();
        retry.reasons.insert("retry".into(), long);
        assert!(retry.horizon() > before, "the longest of them counts");
    }
}
