//! What becomes of an event that failed: another try, or a place among the dead letters.

use std::sync::Arc;
use std::time::Duration;

use super::input::Input;
use super::{Deliverer, Ended, Version};
use crate::bus::{BusError, Delivery, Settlement};
use crate::dead_letter::Failed;
use crate::faults::{failpoint, mutant};
use crate::manifest::{JITTER, Retry};
use crate::outcome::{Failure, Outcome, Remedy, Trouble};

/// The least wait before a delivery that failed for reasons outside of it.
pub(crate) const LEAST_WAIT: Duration = Duration::from_millis(100);

impl Deliverer {
    /// Decides what follows a failure, and does it.
    pub(super) async fn failed(
        &self,
        version: &Arc<Version>,
        delivery: &Delivery,
        input: &Input<'_>,
        trouble: Trouble,
    ) -> Ended {
        let attempt = input.origin.attempt;
        let failure = &trouble.failure;
        self.plugin.metrics.failed(failure, &input.name, attempt);
        let wait = again(&version.manifest.retry, failure, attempt)
            .or_else(|| self.plugin.guard.reprieve(&version.manifest.retry, attempt, failure));
        self.judge(version, delivery, failure);
        match wait.filter(|_| delivery.receipt.is_some()) {
            Some(wait) => {
                self.past.failed(&input.name, self.plugin.clock.now());
                failpoint!("retrying");
                let wait = if mutant!("retry-without-delay") { Duration::ZERO } else { wait };
                // If it does not arrive, the server delivers the event again after the ack wait.
                let _sent = self.settle(delivery, Settlement::Nak(wait)).await;
                failpoint!("retried");
                (Outcome::Retried, failure.name())
            }
            None => self.set_aside(version, delivery, input, &trouble).await,
        }
    }

    /// Tells the breaker.
    fn judge(&self, version: &Arc<Version>, delivery: &Delivery, failure: &Failure) {
        if self.counts(version, delivery) {
            self.plugin.guard.judge(&self.plugin.name, failure, &*self.plugin.clock);
        }
    }

    /// Gives an event back of which nothing has come.
    pub(super) async fn give_back(&self, delivery: &Delivery, why: &'static str) -> Ended {
        let _sent = self.settle(delivery, Settlement::Nak(jittered(LEAST_WAIT))).await;
        (Outcome::Retried, why)
    }

    /// Puts off a redriven event that could not be fetched.
    pub(super) async fn unread(&self, version: &Version, delivery: &Delivery, err: &BusError) -> Ended {
        tracing::warn!(plugin = self.plugin.name.as_str(), "a redriven event was not read: {err}");
        let wait = Duration::from_millis(version.manifest.retry.max_delay_ms).max(LEAST_WAIT);
        let _sent = self.settle(delivery, Settlement::Nak(jittered(wait))).await;
        (Outcome::Retried, "redrive-unread")
    }

    /// Stores a dead letter, and only then gives the event up.
    async fn set_aside(
        &self,
        version: &Version,
        delivery: &Delivery,
        input: &Input<'_>,
        trouble: &Trouble,
    ) -> Ended {
        let letter = Failed {
            message: &input.message,
            input: &input.name,
            origin: &input.origin,
            position: input.position(),
            redrive_of: input.redrive_of(),
            emitter: &version.emitter,
            trouble,
            first_time: self.past.ended(&input.name),
            time: self.plugin.clock.now(),
        };
        if mutant!("dead-letter-after-term") {
            let _sent = self.settle(delivery, Settlement::Term).await;
        }
        failpoint!("dead-lettering");
        match self.plugin.dead_letters.store(&self.plugin.name, letter).await {
            Ok(()) => {
                self.plugin.guard.dead_letter(Ok(()));
                failpoint!("dead-letter-stored");
                // If it does not arrive, the event fails once more, and the stream drops the repeated letter.
                let _sent = self.settle(delivery, Settlement::Term).await;
                failpoint!("terminated");
                (Outcome::DeadLettered, trouble.failure.name())
            }
            Err(err) => {
                tracing::error!(
                    plugin = self.plugin.name.as_str(),
                    event = input.name,
                    "its dead letter was not stored: {err}"
                );
                self.plugin.guard.dead_letter(Err(err.to_string()));
                if delivery.receipt.is_none() {
                    return (Outcome::Dropped, "dead-letter");
                }
                if mutant!("letter-error-swallowed") {
                    let _sent = self.settle(delivery, Settlement::Term).await;
                }
                let wait = Duration::from_millis(version.manifest.retry.max_delay_ms);
                let _sent = self.settle(delivery, Settlement::Nak(jittered(wait))).await;
                (Outcome::Retried, "dead-letter")
            }
        }
    }
}

/// How long to wait before the next try; none if there is to be none.
pub(crate) fn again(retry: &Retry, failure: &Failure, attempt: u32) -> Option<Duration> {
    let reason = failure.name();
    match failure.remedy() {
        Remedy::GiveUp => None,
        Remedy::Retry if attempt >= retry.attempts_for(reason) => None,
        Remedy::Retry => Some(match failure {
            Failure::Retry { after: Some(after), .. } if mutant!("asked-wait-unbounded") => *after,
            Failure::Retry { after: Some(after), .. } => retry.asked(*after),
            _ => jittered(retry.delay_after(reason, attempt)),
        }),
        Remedy::Wait if mutant!("outage-gives-up") && attempt >= retry.attempts => None,
        // An outage must not become a hot loop, whatever the manifest says of failures.
        Remedy::Wait => Some(jittered(retry.delay_after(reason, attempt).max(LEAST_WAIT))),
    }
}

/// A little more, so that events which failed together do not come back together.
pub(crate) fn jittered(wait: Duration) -> Duration {
    wait + wait.mul_f64(fastrand::f64() * JITTER)
}
