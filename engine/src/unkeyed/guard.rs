//! What keeps a plugin from its events: a breaker that is open, or dead letters that cannot be stored.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::setback::{LEAST_WAIT, jittered};
use crate::breaker::{Breaker, BreakerSettings, Gate};
use crate::clock::Clock;
use crate::faults::mutant;
use crate::manifest::{PluginName, Retry};
use crate::outcome::{Failure, one_line};
use crate::status::QuarantineStatus;

/// What is in the way of a plugin's events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// What the breaker lets through.
    pub gate: Gate,
    /// Since when and why, while the breaker does not let everything through.
    pub quarantine: Option<QuarantineStatus>,
    /// Why its last dead letter could not be stored; none once one was.
    pub dead_letters: Option<String>,
    /// Why a stream last refused an output; none once one was stored.
    pub outputs: Option<String>,
}

/// Watches how a plugin's events end. Its clock runs from when it was made.
pub struct Guard {
    born: Instant,
    breaker: Mutex<Breaker>,
    condition: watch::Sender<Condition>,
    /// Told when the gate is shut. Every event in flight waits for that, and is woken in its turn: a watch wakes in an order
    /// of its own, so that no two runs of a simulation would be the same.
    shutting: Notify,
}

impl Guard {
    /// One that lets everything through.
    #[must_use]
    pub fn new(settings: BreakerSettings) -> Self {
        let condition = Condition { gate: Gate::Open, quarantine: None, dead_letters: None, outputs: None };
        Self {
            born: Instant::now(),
            breaker: Mutex::new(Breaker::new(settings)),
            condition: watch::Sender::new(condition),
            shutting: Notify::new(),
        }
    }

    /// The condition, and a signal when it changes.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Condition> {
        self.condition.subscribe()
    }

    /// What passes now.
    #[must_use]
    pub fn gate(&self) -> Gate {
        self.condition.borrow().gate
    }

    /// Begins anew: another version is in service.
    pub fn reset(&self, settings: BreakerSettings) {
        let mut breaker = self.lock();
        *breaker = Breaker::new(settings);
        self.tell(&breaker, |condition| condition.quarantine = None);
    }

    /// Resolves when events pass, all of them or one at a time, and says which.
    pub async fn admitted(&self) -> Gate {
        let mut watch = self.watch();
        loop {
            let until = match watch.borrow_and_update().gate {
                Gate::Shut { until } => until,
                gate => return gate,
            };
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(self.born + until) => {
                    let mut breaker = self.lock();
                    breaker.look(self.born.elapsed());
                    self.tell(&breaker, |_| {});
                }
                // The sender is our own and lives.
                _changed = watch.changed() => {}
            }
        }
    }

    /// Resolves when nothing passes.
    pub async fn shut(&self) {
        loop {
            // Made before the look, so that no telling after it is missed.
            let told = self.shutting.notified();
            if matches!(self.gate(), Gate::Shut { .. }) {
                return;
            }
            told.await;
        }
    }

    /// Counts a failure, and tells if it shuts the gate.
    pub(crate) fn judge(&self, plugin: &PluginName, failure: &Failure, clock: &dyn Clock) {
        if !failure.is_plugins_fault() {
            // A guest that says what it wants works; of the rest nothing is known.
            if matches!(failure, Failure::Rejected(_) | Failure::Retry { .. }) {
                self.well();
            }
        } else if self.badly(failure, clock) {
            tracing::error!(
                plugin = plugin.as_str(),
                reason = failure.name(),
                "quarantined: its events wait in their stream; it is tried again in {:?}, or when its files change",
                self.pause_left()
            );
        }
    }

    /// Whether an event that would be set aside now is kept because the plugin, not the event, is what is wrong: while
    /// it is quarantined an event has some tries more. How long to wait before the next.
    pub(crate) fn reprieve(&self, retry: &Retry, attempt: u32, failure: &Failure) -> Option<Duration> {
        let reason = failure.name();
        let quarantined = self.gate() != Gate::Open && !mutant!("quarantine-forgets");
        let kept =
            quarantined && failure.is_plugins_fault() && attempt < retry.attempts_in_quarantine(reason);
        kept.then(|| jittered(retry.delay_after(reason, attempt).max(LEAST_WAIT)))
    }

    /// An event ended as the plugin should let it end.
    pub fn well(&self) {
        let mut breaker = self.lock();
        breaker.record(self.born.elapsed(), false);
        if breaker.gate() == Gate::Open && self.condition.borrow().quarantine.is_some() {
            self.tell(&breaker, |condition| condition.quarantine = None);
        }
    }

    /// An event failed by the plugin's fault. Says whether the gate was shut over it.
    pub fn badly(&self, failure: &Failure, clock: &dyn Clock) -> bool {
        let now = self.born.elapsed();
        let mut breaker = self.lock();
        let before = breaker.gate();
        breaker.record(now, true);
        let (gate, (failed, all)) = (breaker.gate(), breaker.counts(now));
        let Gate::Shut { until } = gate else { return false };
        if before == gate {
            return false;
        }
        let what = match before {
            Gate::Probing => "a probe failed".to_owned(),
            _ => format!("{failed} of its last {all} events failed"),
        };
        let (wall, pause) = (clock.now(), until.saturating_sub(now));
        let next = wall.checked_add(pause).unwrap_or(wall);
        self.tell(&breaker, |condition| {
            let since = condition.quarantine.as_ref().map_or(wall.to_string(), |known| known.since.clone());
            condition.quarantine = Some(QuarantineStatus {
                since,
                reason: format!("{what}, last with {}: {}", failure.name(), first_line(failure)),
                next_probe: next.to_string(),
            });
        });
        true
    }

    /// A dead letter was stored, or was not.
    pub fn dead_letter(&self, stored: Result<(), String>) {
        self.note(|condition| &mut condition.dead_letters, stored.err());
    }

    /// An output was stored, or a stream refused it for now.
    pub fn output(&self, stored: Result<(), String>) {
        self.note(|condition| &mut condition.outputs, stored.err());
    }

    fn note(&self, of: impl Fn(&mut Condition) -> &mut Option<String>, problem: Option<String>) {
        // Nearly always there is nothing to tell, and every output that is stored comes by here.
        let quiet = |condition: &Condition| condition.dead_letters.is_none() && condition.outputs.is_none();
        if problem.is_none() && quiet(&self.condition.borrow()) {
            return;
        }
        self.condition.send_if_modified(|condition| {
            let known = of(condition);
            let differs = *known != problem;
            *known = problem;
            differs
        });
    }

    /// How long from now until an event may pass again.
    #[must_use]
    pub fn pause_left(&self) -> Duration {
        match self.gate() {
            Gate::Shut { until } => until.saturating_sub(self.born.elapsed()),
            Gate::Open | Gate::Probing => Duration::ZERO,
        }
    }

    /// Tells what the breaker lets through now. Whoever calls still holds it, so that what is told last is what holds.
    fn tell(&self, breaker: &Breaker, change: impl FnOnce(&mut Condition)) {
        self.condition.send_modify(|condition| {
            condition.gate = breaker.gate();
            change(condition);
        });
        if matches!(self.gate(), Gate::Shut { .. }) {
            self.shutting.notify_waiters();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A failure's text without its hints: where it is told, there is one of its own.
fn first_line(failure: &Failure) -> String {
    one_line(failure.text().lines().next().unwrap_or_default().to_owned())
}
