//! What becomes of an event that failed: another try, or a place among the dead letters.

use std::time::Duration;

use super::input::Input;
use super::{Deliverer, Ended, Version};
use crate::bus::{BusError, Delivery, Settlement};
use crate::dead_letter::Failed;
use crate::faults::{failpoint, mutant};
use crate::outcome::{Failure, Outcome, Remedy, Trouble};

/// The least wait before a delivery that failed for reasons outside of it.
const LEAST_WAIT: Duration = Duration::from_millis(100);

impl Deliverer {
    /// Decides what follows a failure, and does it.
    pub(super) async fn failed(
        &self,
        version: &Version,
        delivery: &Delivery,
        input: &Input<'_>,
        trouble: Trouble,
    ) -> Ended {
        let attempt = input.origin.attempt;
        let failure = &trouble.failure;
        self.metrics.failed(failure, &input.name, attempt);
        match again(version, failure, attempt).filter(|_| delivery.receipt.is_some()) {
            Some(wait) => {
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

    /// Puts off a redriven event that could not be fetched.
    pub(super) async fn unread(&self, version: &Version, delivery: &Delivery, err: &BusError) -> Ended {
        tracing::warn!(plugin = self.plugin.as_str(), "a redriven event was not read: {err}");
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
            first_time: None,
            time: self.clock.now(),
        };
        if mutant!("dead-letter-after-term") {
            let _sent = self.settle(delivery, Settlement::Term).await;
        }
        failpoint!("dead-lettering");
        match self.dead_letters.store(&self.plugin, letter).await {
            Ok(()) => {
                failpoint!("dead-letter-stored");
                // If it does not arrive, the event fails once more, and the stream drops the repeated letter.
                let _sent = self.settle(delivery, Settlement::Term).await;
                failpoint!("terminated");
                (Outcome::DeadLettered, trouble.failure.name())
            }
            Err(err) => {
                tracing::error!(
                    plugin = self.plugin.as_str(),
                    event = input.name,
                    "its dead letter was not stored: {err}"
                );
                if delivery.receipt.is_none() {
                    return (Outcome::Dropped, "dead-letter");
                }
                let wait = Duration::from_millis(version.manifest.retry.max_delay_ms);
                let _sent = self.settle(delivery, Settlement::Nak(jittered(wait))).await;
                (Outcome::Retried, "dead-letter")
            }
        }
    }
}

/// How long to wait before the next try; none if there is to be none.
fn again(version: &Version, failure: &Failure, attempt: u32) -> Option<Duration> {
    let retry = &version.manifest.retry;
    match failure.remedy() {
        Remedy::GiveUp => None,
        Remedy::Retry if attempt >= retry.attempts => None,
        Remedy::Retry => Some(match failure {
            Failure::Retry { after: Some(after), .. } => {
                (*after).min(Duration::from_millis(retry.max_delay_ms))
            }
            _ => jittered(retry.delay_after(attempt)),
        }),
        // An outage must not become a hot loop, whatever the manifest says of failures.
        Remedy::Wait => Some(jittered(retry.delay_after(attempt).max(LEAST_WAIT))),
    }
}

/// Up to a quarter more, so that events which failed together do not come back together.
fn jittered(wait: Duration) -> Duration {
    wait + wait.mul_f64(fastrand::f64() / 4.0)
}
