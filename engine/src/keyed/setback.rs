//! What becomes of an event or a timer that failed: another try, which holds up its own key only, or a place among the dead
//! letters.

use std::time::Duration;

use super::Version;
use super::ground::Ground;
use super::intake::Bad;
use super::journal::Fenced;
use super::queued::Delivery;
use super::redrives;
use super::timers;
use super::turn::{Held, Tries, Turn, timer_of};
use crate::dead_letter::{Failed, RedriveOf};
use crate::event::Origin;
use crate::faults::{failpoint, mutant};
use crate::message::Message;
use crate::outcome::{Outcome, Trouble};
use crate::sandbox::Cause;
use crate::unkeyed::{LEAST_WAIT, again};

/// How long a key whose state could not be migrated waits: the version that failed is being replaced.
const MIGRATION_WAIT: Duration = Duration::from_secs(1);

/// What failed, as a dead letter needs it.
struct Failing {
    message: Message,
    origin: Origin,
    input: String,
    position: Option<String>,
    redrive_of: Option<RedriveOf>,
}

impl Turn {
    /// Decides what follows a failure, and does it.
    pub(super) async fn setback(
        &mut self,
        ground: &Ground,
        version: &Version,
        held: &mut Held,
        cause: Cause,
        trouble: Trouble,
    ) -> Result<(), Fenced> {
        let keyed = &ground.keyed;
        if cause == Cause::Migration {
            if trouble.failure.is_plugins_fault() {
                keyed.migration_failed(version, &self.key, &trouble.failure);
            }
            self.wait = MIGRATION_WAIT;
            return Ok(());
        }
        let Some(failing) = self.failing(ground, &cause) else { return Ok(()) };
        let attempt = self.tries.failed + 1;
        let retry = &version.manifest.retry;
        keyed.plugin.metrics.failed(&trouble.failure, &failing.input, attempt);
        let wait = again(retry, &trouble.failure, attempt)
            .or_else(|| keyed.plugin.guard.reprieve(retry, attempt, &trouble.failure));
        keyed.plugin.guard.judge(&keyed.plugin.name, &trouble.failure, &*keyed.plugin.clock);
        self.tries.failed = attempt;
        let first_time = *self.tries.since.get_or_insert_with(|| keyed.plugin.clock.now());
        if let Some(wait) = wait {
            self.wait = wait;
            self.count(ground, &cause, Outcome::Retried, &trouble);
            return Ok(());
        }
        let letter = Failed {
            message: &failing.message,
            input: &failing.input,
            origin: &Origin { attempt, ..failing.origin.clone() },
            position: failing.position.as_deref(),
            redrive_of: failing.redrive_of,
            emitter: &version.emitter,
            trouble: &trouble,
            first_time: (attempt > 1).then_some(first_time),
            time: keyed.plugin.clock.now(),
        };
        failpoint!("dead-lettering");
        if let Err(err) = keyed.plugin.dead_letters.store(&keyed.plugin.name, letter).await {
            tracing::error!(
                plugin = keyed.plugin.name.as_str(),
                event = failing.input,
                "its dead letter was not stored: {err}"
            );
            keyed.plugin.guard.dead_letter(Err(err.to_string()));
            if !mutant!("keyed-letter-error-swallowed") {
                self.wait = Duration::from_millis(retry.max_delay_ms).max(LEAST_WAIT);
                return Ok(());
            }
        }
        keyed.plugin.guard.dead_letter(Ok(()));
        failpoint!("dead-letter-stored");
        self.count(ground, &cause, Outcome::DeadLettered, &trouble);
        self.tries = Tries::default();
        self.give_up(ground, version, held, &cause).await
    }

    /// Counts what a failure came to. A timer was not counted when it was set: it comes in here.
    fn count(&mut self, ground: &Ground, cause: &Cause, outcome: Outcome, trouble: &Trouble) {
        let reason = trouble.failure.name();
        match self.queue.front_mut().filter(|_| timer_of(cause).is_none()) {
            Some(head) if outcome == Outcome::Retried => head.delivery.again(reason),
            Some(head) => head.delivery.end(outcome, reason),
            None => Delivery::new(&ground.keyed).end(outcome, reason),
        }
    }

    fn failing(&self, ground: &Ground, cause: &Cause) -> Option<Failing> {
        if let Some((name, timer)) = timer_of(cause) {
            let event = timers::event(&ground.keyed.plugin.name, &self.key, name, timer);
            let (message, origin) = timers::message(&event);
            let input = timers::input(&self.key, timer);
            return Some(Failing { message, origin, input, position: None, redrive_of: None });
        }
        let head = self.queue.front()?;
        let (message, origin, input) = (head.message.clone(), head.origin.clone(), head.input.clone());
        let (position, redrive_of) = match &head.redrive {
            Some(redrive) => (redrive.position.clone(), redrive.of),
            None => (Some(format!("{}:{}", ground.streams.get(head.source)?.name, head.sequence)), None),
        };
        Some(Failing { message, origin, input, position, redrive_of })
    }

    /// Goes on without what failed: its dead letter is stored.
    async fn give_up(
        &mut self,
        ground: &Ground,
        version: &Version,
        held: &mut Held,
        cause: &Cause,
    ) -> Result<(), Fenced> {
        let mut record = held.record.clone();
        record.outbox.clear();
        let head = match timer_of(cause) {
            Some((name, _)) => {
                record.state.fire(name);
                None
            }
            None => self.queue.pop_front(),
        };
        if let Some(head) = &head {
            // Another time it might go well: then there would be its letter and its effects.
            head.apply(ground, &mut record);
            redrives::forget_old(&*ground.keyed.plugin.bus, &mut record, &held.record).await;
        }
        ground.commit(version, &self.key, &mut record, held).await?;
        self.traceless.clear();
        ground.settle(held).await?;
        if let Some(head) = head {
            self.end(ground, head, false).await;
        }
        Ok(())
    }
}

/// Stores the dead letter of a message that has no key; says whether it is stored: it is not if the partition is let go.
pub(super) async fn set_aside(ground: &Ground, bad: Bad, mut delivery: Delivery) -> bool {
    let keyed = &ground.keyed;
    let version = keyed.plugin.version.load_full();
    let trouble = Trouble::from(bad.failure);
    keyed.plugin.metrics.failed(&trouble.failure, &bad.input, 1);
    loop {
        let letter = Failed {
            message: &bad.message,
            input: &bad.input,
            origin: &bad.origin,
            position: Some(&bad.origin.id),
            redrive_of: None,
            emitter: &version.emitter,
            trouble: &trouble,
            first_time: None,
            time: keyed.plugin.clock.now(),
        };
        let stored = keyed.plugin.dead_letters.store(&keyed.plugin.name, letter).await;
        keyed.plugin.guard.dead_letter(stored.as_ref().copied().map_err(ToString::to_string));
        match stored {
            Ok(()) => {
                delivery.end(Outcome::DeadLettered, trouble.failure.name());
                return true;
            }
            Err(err) => tracing::error!(
                plugin = keyed.plugin.name.as_str(),
                event = bad.input,
                "its dead letter was not stored: {err}"
            ),
        }
        let wait = Duration::from_millis(version.manifest.retry.max_delay_ms).max(LEAST_WAIT);
        tokio::select! {
            biased;
            () = ground.stop.cancelled() => return false,
            () = tokio::time::sleep(wait) => {}
        }
    }
}
