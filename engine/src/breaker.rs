//! A circuit breaker: a plugin most of whose events fail is kept from more of them until it does better.
//!
//! Closed, it counts over a sliding window. Open, nothing passes for a while. Half open, a few events pass one at a time:
//! if they do well it closes, and the first that fails opens it again for twice as long. Time is a duration since whatever
//! moment the caller likes.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The window is counted in so many parts, so that it slides.
const PARTS: usize = 10;

/// When a plugin is quarantined, and how it gets out: `[breaker]` of a manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BreakerSettings {
    /// How far back failures count, in milliseconds.
    #[schemars(range(min = 10))]
    pub window_ms: u64,
    /// At least so many failures within the window open it. 0 turns it off.
    pub failures: u32,
    /// And at least this part of all events within the window.
    #[schemars(range(min = 0.01, max = 1.0))]
    pub rate: f64,
    /// How long nothing passes, in milliseconds. It doubles each time a probe fails.
    #[schemars(range(min = 1))]
    pub pause_ms: u64,
    /// The longest that nothing passes, in milliseconds.
    pub max_pause_ms: u64,
    /// So many events must do well, one after the other, before all pass again.
    #[schemars(range(min = 1))]
    pub probes: u32,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self { window_ms: 10_000, failures: 20, rate: 0.5, pause_ms: 5_000, max_pause_ms: 30_000, probes: 3 }
    }
}

impl BreakerSettings {
    /// What is wrong with the figures, if anything is.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        const DAY_MS: u64 = 86_400_000;
        if !(10..=DAY_MS).contains(&self.window_ms) {
            return Some(format!(
                "breaker.window_ms is {}, not between 10 and {DAY_MS} (a day)",
                self.window_ms
            ));
        }
        if !(0.01..=1.0).contains(&self.rate) {
            return Some(format!("breaker.rate is {}, not between 0.01 and 1", self.rate));
        }
        if self.pause_ms == 0 || self.pause_ms > self.max_pause_ms || self.max_pause_ms > DAY_MS {
            return Some(format!(
                "breaker: pause_ms is {} and max_pause_ms {}\n  hint: the first is at least 1 and at most the second, which is at most {DAY_MS} (a day)",
                self.pause_ms, self.max_pause_ms
            ));
        }
        (self.probes == 0).then(|| "breaker.probes is 0: it would never close again".to_owned())
    }
}

/// What passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// Everything.
    Open,
    /// Nothing until then.
    Shut {
        /// When a probe is due.
        until: Duration,
    },
    /// One event at a time.
    Probing,
}

#[derive(Debug, Clone, Copy, Default)]
struct Part {
    /// Which part of all time it counts.
    number: u64,
    good: u32,
    failed: u32,
}

/// The breaker of one plugin.
#[derive(Debug)]
pub struct Breaker {
    settings: BreakerSettings,
    gate: Gate,
    parts: [Part; PARTS],
    pause: Duration,
    /// Probes that did well since the last that did not.
    good_probes: u32,
}

impl Breaker {
    /// One through which everything passes.
    #[must_use]
    pub fn new(settings: BreakerSettings) -> Self {
        let pause = Duration::from_millis(settings.pause_ms);
        Self { settings, gate: Gate::Open, parts: Default::default(), pause, good_probes: 0 }
    }

    /// What passes now.
    #[must_use]
    pub fn gate(&self) -> Gate {
        self.gate
    }

    /// An event ended. What passes now may be something else than before.
    pub fn record(&mut self, now: Duration, failed: bool) {
        match (self.gate, failed) {
            // It began before the gate was shut.
            (Gate::Shut { .. }, _) => {}
            (Gate::Open, _) => self.count(now, failed),
            (Gate::Probing, true) => {
                let longest = Duration::from_millis(self.settings.max_pause_ms);
                self.pause = (self.pause * 2).min(longest);
                self.shut(now);
            }
            (Gate::Probing, false) => {
                self.good_probes += 1;
                if self.good_probes >= self.settings.probes {
                    *self = Self::new(self.settings.clone());
                }
            }
        }
    }

    /// Lets probes through if they are due.
    pub fn look(&mut self, now: Duration) {
        if matches!(self.gate, Gate::Shut { until } if until <= now) {
            self.good_probes = 0;
            self.gate = Gate::Probing;
        }
    }

    /// Failures and events of the window, for people.
    #[must_use]
    pub fn counts(&self, now: Duration) -> (u32, u32) {
        let oldest = self.number(now).saturating_sub(PARTS as u64 - 1);
        let live = self.parts.iter().filter(|part| part.number >= oldest);
        live.fold((0, 0), |(failed, all), part| (failed + part.failed, all + part.failed + part.good))
    }

    fn number(&self, now: Duration) -> u64 {
        let part_ms = u128::from((self.settings.window_ms / PARTS as u64).max(1));
        u64::try_from(now.as_millis() / part_ms).unwrap_or(u64::MAX)
    }

    fn count(&mut self, now: Duration, failed: bool) {
        let number = self.number(now);
        let place = usize::try_from(number % PARTS as u64).unwrap_or_default();
        if let Some(part) = self.parts.get_mut(place) {
            if part.number != number {
                *part = Part { number, ..Part::default() };
            }
            if failed { part.failed += 1 } else { part.good += 1 }
        }
        if !failed || self.settings.failures == 0 {
            return;
        }
        let (failures, all) = self.counts(now);
        if failures >= self.settings.failures && f64::from(failures) >= self.settings.rate * f64::from(all) {
            self.shut(now);
        }
    }

    fn shut(&mut self, now: Duration) {
        self.gate = Gate::Shut { until: now + self.pause };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn breaker() -> Breaker {
        Breaker::new(BreakerSettings {
            window_ms: 1_000,
            failures: 4,
            rate: 0.5,
            pause_ms: 100,
            max_pause_ms: 300,
            probes: 2,
        })
    }

    fn opened() -> Breaker {
        let mut breaker = breaker();
        (0..4).for_each(|ms| breaker.record(at(ms), true));
        breaker
    }

    #[test]
    fn it_opens_on_enough_failures_of_enough_events() {
        let mut few = breaker();
        (0..3).for_each(|ms| few.record(at(ms), true));
        assert_eq!(few.gate(), Gate::Open, "too few");
        let mut rare = breaker();
        (0..9).for_each(|ms| rare.record(at(ms), false));
        (10..14).for_each(|ms| rare.record(at(ms), true));
        assert_eq!((rare.gate(), rare.counts(at(14))), (Gate::Open, (4, 13)), "too small a part");
        assert_eq!(opened().gate(), Gate::Shut { until: at(103) });
    }

    #[test]
    fn failures_are_forgotten_with_the_window() {
        let mut breaker = breaker();
        for ms in [0, 600, 1_200, 1_800, 2_400, 3_000] {
            breaker.record(at(ms), true);
        }
        assert_eq!((breaker.gate(), breaker.counts(at(3_000)).0), (Gate::Open, 2));
    }

    #[test]
    fn probes_close_it_or_shut_it_for_longer() {
        let mut breaker = opened();
        breaker.look(at(102));
        assert!(matches!(breaker.gate(), Gate::Shut { .. }), "not yet due");
        breaker.record(at(102), false);
        assert!(matches!(breaker.gate(), Gate::Shut { .. }), "what began before is no probe");
        for (probe_at, until) in [(103, 303), (303, 603), (603, 903)] {
            breaker.look(at(probe_at));
            assert_eq!(breaker.gate(), Gate::Probing);
            breaker.record(at(probe_at), false);
            breaker.record(at(probe_at), true);
            assert_eq!(breaker.gate(), Gate::Shut { until: at(until) });
        }
        breaker.look(at(903));
        breaker.record(at(904), false);
        assert_eq!(breaker.gate(), Gate::Probing);
        breaker.record(at(905), false);
        assert_eq!(breaker.gate(), Gate::Open);
        (910..914).for_each(|ms| breaker.record(at(ms), true));
        assert_eq!(breaker.gate(), Gate::Shut { until: at(1_013) }, "the pause is short again");
    }

    #[test]
    fn it_can_be_turned_off() {
        let mut breaker = Breaker::new(BreakerSettings { failures: 0, ..BreakerSettings::default() });
        (0..1_000).for_each(|ms| breaker.record(at(ms), true));
        assert_eq!(breaker.gate(), Gate::Open);
    }
}
