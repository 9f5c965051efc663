//! What plans of both kinds have in common.

use std::time::Duration;

use fastrand::Rng;
use wasmill::manifest::{ReasonPolicy, Retry};

/// The longest that anything is under way on the line.
pub(super) const LONGEST_WAY: Duration = Duration::from_secs(3);
/// The most attempts that a plan allows.
pub(super) const MOST_ATTEMPTS: u32 = 6;

/// Which faults strike, how often and for how long.
#[derive(Debug, Clone)]
pub struct Storm<F> {
    /// The kinds of faults there are.
    pub faults: Vec<F>,
    /// The probability of each that strikes an operation.
    pub(super) rate: f64,
    /// The mean time between two that strike at moments of their own.
    pub(super) gap: Duration,
    /// How long it lasts.
    pub(super) lasts: Duration,
}

impl<F: PartialEq> Storm<F> {
    pub(super) fn has(&self, fault: F) -> bool {
        self.faults.contains(&fault)
    }
}

pub(super) fn retry(rng: &mut Rng) -> Retry {
    let delays = |rng: &mut Rng| match rng.u32(0..3) {
        0 => (0..rng.usize(1..=4)).map(|_| rng.u64(0..=2_000)).collect(),
        _ => Vec::new(),
    };
    let reasons = ["trap", "retry", "unstorable"].into_iter().filter(|_| rng.u32(0..4) == 0);
    let reasons: Vec<&str> = reasons.collect();
    let policy = |rng: &mut Rng| ReasonPolicy {
        attempts: rng.bool().then(|| rng.u32(1..=MOST_ATTEMPTS)),
        delays_ms: delays(rng),
    };
    Retry {
        attempts: rng.u32(1..=MOST_ATTEMPTS),
        first_delay_ms: rng.u64(0..=500),
        max_delay_ms: rng.u64(100..=3_000),
        delays_ms: delays(rng),
        ack_wait_ms: rng.u64(1_000..=5_000),
        reasons: reasons.into_iter().map(|reason| (reason.to_owned(), policy(rng))).collect(),
    }
}

/// Until which attempt an event fails for a reason. Deliveries that never reach the plugin count as attempts too, so whoever
/// is to give up must never get better.
pub(super) fn fails_until(rng: &mut Rng, retry: &Retry, reason: &str) -> u32 {
    let most = retry.attempts_for(reason);
    Some(rng.u32(2..=most + 1)).filter(|until| *until <= most).unwrap_or(u32::MAX)
}

/// Outputs that may leave in a second; 0 for no bound.
pub(super) fn pace(rng: &mut Rng) -> u32 {
    if rng.bool() { 0 } else { rng.u32(5..=200) }
}

/// Events that all of one engine may have in flight.
pub(super) fn budget(rng: &mut Rng) -> u64 {
    if rng.bool() { 1_000 } else { rng.u64(2..=20) }
}
