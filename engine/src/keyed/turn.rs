//! One turn of a key: its queued events and due timers, handled in one go and committed with one write.
//!
//! load → skip what the record holds already → call → check → commit → publish in order. A turn ends early where an event
//! fails; what came before it is committed all the same.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::checked::Checked;
use super::ground::Ground;
use super::journal::Fenced;
use super::queued::Queued;
use super::{Version, redrives};
use crate::faults::{failpoint, mutant};
use crate::outcome::{Failure, Outcome, Trouble};
use crate::record::{Reached, Record};
use crate::sandbox::{Batch, Cause, Input};
use crate::state::{StateLimits, Timer};
use crate::unkeyed::LEAST_WAIT;

/// The most timers of one key that fire in one turn.
const TIMERS_AT_ONCE: usize = 64;

/// A record in memory.
#[derive(Debug, Clone, Default)]
pub(super) struct Held {
    pub record: Record,
    /// Its sequence in the bucket; none if the key has no record.
    pub stored: Option<u64>,
    /// All that its outbox holds is stored.
    pub settled: bool,
    /// Since when its outputs may have been sent, nanoseconds since the Unix epoch.
    pub sent_ns: u64,
}

impl Held {
    /// That of a key which has none.
    pub fn none(key: &str) -> Self {
        let record = Record { key: key.to_owned(), ..Record::default() };
        Self { record, settled: true, ..Self::default() }
    }
}

/// How the head of a key's queue has fared so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tries {
    pub failed: u32,
    pub since: Option<Timestamp>,
    /// Timers that fired one after the other without getting later, turn after turn.
    stuck: u32,
    /// The latest of them.
    fired_ns: u64,
}

impl Tries {
    /// Something went well.
    fn begin_anew(&mut self) {
        (self.failed, self.since) = (0, None);
    }

    /// Timers fired in this order, after events or without any.
    fn fired(&mut self, due: &[u64], events: usize) {
        if events > 0 || due.is_empty() {
            (self.stuck, self.fired_ns) = (0, 0);
            return;
        }
        for due_ns in due {
            if *due_ns > self.fired_ns {
                (self.stuck, self.fired_ns) = (0, *due_ns);
            } else {
                self.stuck = self.stuck.saturating_add(1);
            }
        }
    }

    /// Whether there is anything to be remembered for the next turn.
    pub fn is_fresh(&self) -> bool {
        self.failed == 0 && self.stuck == 0
    }
}

/// A turn, before and after.
pub(super) struct Turn {
    pub key: Arc<str>,
    /// None if it has to be loaded.
    pub held: Option<Held>,
    pub queue: VecDeque<Queued>,
    /// Timers due by this plugin clock fire as well.
    pub due_by: Option<u64>,
    pub tries: Tries,
    /// Events that are done: source and sequence.
    pub done: Vec<(usize, u64)>,
    /// Redriven events that are done: sequences among the redrives.
    pub redriven: Vec<u64>,
    /// What was handled without a trace in the record, by earlier turns.
    pub ahead: Vec<(usize, Reached)>,
    /// The same, by this one.
    pub traceless: Vec<(usize, u64)>,
    /// How long to wait before the next turn.
    pub wait: Duration,
    /// Another engine owns the partition.
    pub fenced: bool,
}

impl Turn {
    /// Takes the turn.
    pub async fn take(mut self, ground: Arc<Ground>) -> Self {
        if let Err(Fenced) = self.run(&ground).await {
            self.fenced = true;
        }
        self
    }

    async fn run(&mut self, ground: &Ground) -> Result<(), Fenced> {
        let version = ground.keyed.plugin.version.load_full();
        let mut held = match self.held.take() {
            Some(held) => held,
            None => ground.load(&self.key).await?,
        };
        for (source, reached) in self.ahead.drain(..) {
            if let Some(stream) = ground.streams.get(source) {
                held.record.apply(&stream.name, reached);
            }
        }
        ground.settle(&mut held).await?;
        let most = version.manifest.state.batch as usize;
        self.skip_applied(ground, &held.record, most).await;
        let clock_ns = self.queue.front().map(|queued| queued.clock_ns).or(self.due_by).unwrap_or_default();
        let lasts_ns = ground.lasts_ns(&version, &held.record, clock_ns);
        ground.expire(&mut held.record, clock_ns, lasts_ns);
        let ended = if self.has_work(&held.record) {
            self.step(ground, &version, &mut held).await
        } else {
            self.tries = Tries::default();
            Ok(())
        };
        self.held = Some(held);
        ended
    }

    fn has_work(&self, record: &Record) -> bool {
        let due = record.state.earliest().is_some_and(|(_, timer)| Some(timer.due_ns) <= self.due_by);
        !self.queue.is_empty() || due
    }

    /// Passes over events that a turn before a crash has brought through, among the `most` that are next. They may stand
    /// behind others: streams and redrives come in any order.
    async fn skip_applied(&mut self, ground: &Ground, record: &Record, most: usize) {
        let mut kept = VecDeque::new();
        while kept.len() < most
            && let Some(queued) = self.queue.pop_front()
        {
            if queued.is_applied(ground, record) {
                self.end(ground, queued, false).await;
            } else {
                kept.push_back(queued);
            }
        }
        kept.append(&mut self.queue);
        self.queue = kept;
    }

    /// An event is done, with a trace in its record or without one.
    pub(super) async fn end(&mut self, ground: &Ground, mut queued: Queued, traceless: bool) {
        queued.delivery.end(Outcome::Done, "");
        if let Some(redrive) = &queued.redrive {
            redrive.settle(&*ground.keyed.plugin.bus).await;
            self.redriven.push(redrive.sequence);
            return;
        }
        if traceless {
            self.traceless.push((queued.source, queued.sequence));
        }
        self.done.push((queued.source, queued.sequence));
    }

    async fn step(&mut self, ground: &Ground, version: &Version, held: &mut Held) -> Result<(), Fenced> {
        let keyed = &ground.keyed;
        if let Some((cause, trouble)) = self.going_round(version, &held.record) {
            return self.setback(ground, version, held, cause, trouble).await;
        }
        let batch = self.batch(ground, version, &held.record);
        failpoint!("batch-call");
        let handled = tokio::select! {
            biased;
            handled = version.handler.handle(batch) => handled,
            // Nothing has come of it yet, so it may wait for better days.
            () = keyed.plugin.guard.shut() => return Ok(()),
        };
        let handled = match handled {
            Ok(handled) => handled,
            Err(failure) => {
                tracing::warn!(
                    plugin = keyed.plugin.name.as_str(),
                    "events of key {:?} wait: {failure}",
                    self.key
                );
                self.wait = LEAST_WAIT;
                return Ok(());
            }
        };
        failpoint!("batch-called");
        if handled.steps.iter().any(|step| step.cause == Cause::Migration) {
            failpoint!("migrated");
        }
        let checked = self.checked(ground, version, &held.record, handled).await;
        let Checked { mut record, outputs, events, changed, failed, clock_ns, due } = checked;
        record.touched_ns = record.touched_ns.max(clock_ns);
        for queued in self.queue.iter().take(events) {
            queued.apply(ground, &mut record);
        }
        redrives::forget_old(&*keyed.plugin.bus, &mut record, &held.record).await;
        self.tries.fired(&due, events);
        if self.tries.stuck as usize > TIMERS_AT_ONCE {
            // Whoever sets timers faster than they can fire holds up nobody else with it.
            self.wait = LEAST_WAIT;
        }
        if events > 0 || changed {
            self.tries.begin_anew();
            // As many as the failures that are counted beside them.
            (0..events.max(1)).for_each(|_| keyed.plugin.guard.well());
        }
        if changed {
            record.outbox = outputs;
            if mutant!("publish-before-commit") {
                let _sent = ground.publish(&record.outbox).await;
            }
            ground.commit(version, &self.key, &mut record, held).await?;
            self.traceless.clear();
            let rate = || keyed.plugin.version.load().manifest.limits.outputs_per_second;
            keyed.plugin.pace.wait(held.record.outbox.len(), rate).await;
            ground.settle(held).await?;
        } else {
            // Handling these once more, should it come to that, would come to nothing again.
            held.record.applied = record.applied;
        }
        for queued in self.queue.drain(..events).collect::<Vec<_>>() {
            self.end(ground, queued, !changed).await;
        }
        match failed {
            Some((cause, trouble)) => self.setback(ground, version, held, cause, trouble).await,
            None => Ok(()),
        }
    }

    /// A timer that is set again and again and never gets later, as a failure. So many may be due at one time.
    fn going_round(&mut self, version: &Version, record: &Record) -> Option<(Cause, Trouble)> {
        let most = version.manifest.state.timers as usize + TIMERS_AT_ONCE;
        let clock_ns = self.queue.front().map(|queued| queued.clock_ns).or(self.due_by);
        let earliest = record.state.earliest().filter(|(_, timer)| Some(timer.due_ns) <= clock_ns);
        let (name, timer) = earliest.filter(|_| self.tries.stuck as usize > most)?;
        if record.version != version.emitter.version {
            // It has never fired in this version, and its state may have to be migrated first.
            self.tries = Tries::default();
            return None;
        }
        let cause = Cause::Timer { name: Arc::clone(name), timer: timer.clone() };
        let failure = Failure::TimerLoop { name: name.to_string(), fired: self.tries.stuck };
        Some((cause, Trouble::from(failure)))
    }

    fn batch(&self, ground: &Ground, version: &Version, record: &Record) -> Batch {
        let settings = &version.manifest.state;
        let clock_ns = self.queue.front().map_or(u64::MAX, |queued| queued.clock_ns);
        let lasts_ns = ground.lasts_ns(version, record, clock_ns);
        let mut redrives = 0;
        // An event for which what is held has ended begins a turn of its own; before it come the timers that have not.
        let together = self.queue.iter().take(settings.batch as usize).take_while(|queued| {
            redrives += usize::from(queued.redrive.is_some());
            queued.clock_ns <= lasts_ns && redrives <= redrives::REMEMBERED
        });
        let mut inputs: Vec<_> = together
            .map(|queued| Input { event: Arc::clone(&queued.event), clock_ns: queued.clock_ns })
            .collect();
        if let Some(head) = inputs.first_mut()
            && self.tries.failed > 0
        {
            Arc::make_mut(&mut head.event).attempt = self.tries.failed + 1;
        }
        let migrates = !record.state.is_empty() && record.version != version.emitter.version;
        Batch {
            key: Arc::clone(&self.key),
            state: record.state.clone(),
            limits: StateLimits { record_bytes: settings.record_bytes(), timers: settings.timers },
            then_due_by: match self.due_by {
                Some(due_by) if self.queue.len() == inputs.len() => Some(due_by.min(lasts_ns)),
                _ => (inputs.is_empty() && !self.queue.is_empty()).then_some(lasts_ns),
            },
            inputs,
            max_timers: TIMERS_AT_ONCE,
            migrate_from: migrates.then(|| record.version.clone()),
        }
    }
}

/// A timer's failure ends like an event's.
pub(super) fn timer_of(cause: &Cause) -> Option<(&Arc<str>, &Timer)> {
    match cause {
        Cause::Timer { name, timer } => Some((name, timer)),
        Cause::Event(_) | Cause::Migration => None,
    }
}

/// Whether a defect that splits the commit in two is switched on.
pub(super) fn splits_commit() -> bool {
    mutant!("commit-split")
}
