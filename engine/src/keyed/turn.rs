//! One turn of a key: its queued events and due timers, handled in one go and committed with one write.
//!
//! load → skip what the record holds already → call → check → commit → publish in order. A turn ends early where an event
//! fails; what came before it is committed all the same.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::ground::Ground;
use super::journal::Fenced;
use super::queued::Queued;
use super::{Version, timers};
use crate::effects::{self, Output, Proposed, Rules};
use crate::faults::{failpoint, mutant};
use crate::outcome::{Failure, Outcome, Trouble};
use crate::record::{Reached, Record};
use crate::sandbox::{Batch, BatchHandled, Cause, Input, Step};
use crate::state::{Change, KeyState, StateLimits, Timer};
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

/// What a batch comes to after its outputs were checked.
struct Checked {
    record: Record,
    outputs: Vec<Output>,
    /// Events handled, from the head of the queue.
    events: usize,
    changed: bool,
    /// The plugin clock of the last of them.
    clock_ns: u64,
    failed: Option<(Cause, Trouble)>,
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
        let version = ground.keyed.version.load_full();
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
        ground.expire(&version, &mut held.record, clock_ns);
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
            redrive.settle(&*ground.keyed.bus).await;
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
        let batch = self.batch(version, &held.record);
        failpoint!("batch-call");
        let handled = tokio::select! {
            biased;
            handled = version.handler.handle(batch) => handled,
            // Nothing has come of it yet, so it may wait for better days.
            () = keyed.guard.shut() => return Ok(()),
        };
        let handled = match handled {
            Ok(handled) => handled,
            Err(failure) => {
                tracing::warn!(
                    plugin = keyed.plugin.as_str(),
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
        let Checked { mut record, outputs, events, changed, failed, clock_ns } = checked;
        record.touched_ns = record.touched_ns.max(clock_ns);
        for queued in self.queue.iter().take(events) {
            queued.apply(ground, &mut record);
        }
        if events > 0 || changed {
            self.tries = Tries::default();
            // As many as the failures that are counted beside them.
            (0..events.max(1)).for_each(|_| keyed.guard.well());
        }
        if changed {
            record.outbox = outputs;
            if mutant!("publish-before-commit") {
                let _sent = ground.publish(&record.outbox).await;
            }
            ground.commit(version, &self.key, &mut record, held).await?;
            self.traceless.clear();
            let rate = || keyed.version.load().manifest.limits.outputs_per_second;
            keyed.pace.wait(held.record.outbox.len(), rate).await;
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

    fn batch(&self, version: &Version, record: &Record) -> Batch {
        let settings = &version.manifest.state;
        let ttl_ns = settings.ttl_s.map_or(u64::MAX, |ttl_s| ttl_s.saturating_mul(1_000_000_000));
        let mut ends_ns = u64::MAX;
        // An event for which what is held has ended begins a turn of its own.
        let together = self.queue.iter().take(settings.batch as usize).take_while(|queued| {
            let in_time = queued.clock_ns <= ends_ns;
            ends_ns = queued.clock_ns.saturating_add(ttl_ns);
            in_time
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
            then_due_by: self.due_by.filter(|_| self.queue.len() == inputs.len()),
            inputs,
            max_timers: TIMERS_AT_ONCE,
            migrate_from: migrates.then(|| record.version.clone()),
        }
    }

    /// Checks each step's outputs and sizes, and puts together what is to be committed.
    async fn checked(
        &self,
        ground: &Ground,
        version: &Version,
        before: &Record,
        handled: BatchHandled,
    ) -> Checked {
        let BatchHandled { steps, failed, .. } = handled;
        let failed = failed.map(|failed| (failed.cause, failed.trouble));
        let mut all = Checked {
            record: before.clone(),
            outputs: Vec::new(),
            events: 0,
            changed: false,
            clock_ns: 0,
            failed,
        };
        all.record.outbox.clear();
        let mut outbox_bytes = 0;
        for step in steps {
            let Step { cause, changes, state_bytes, answer, took, .. } = step;
            ground.keyed.metrics.called(took);
            let first = all.events == 0 && !all.changed;
            match self.effects(ground, version, &cause, answer).await {
                Ok(outputs) => {
                    let bytes: usize = outputs.iter().map(|output| output.message.wire_bytes()).sum();
                    let record_bytes = state_bytes + outbox_bytes + bytes;
                    let limit = ground.record_limit(version);
                    if record_bytes > limit {
                        // By itself it may fit: what came before it goes first.
                        all.failed = first.then(|| {
                            let key = self.key.to_string();
                            let failure = Failure::RecordSize { key, bytes: record_bytes, limit };
                            (cause, Trouble { failure, took: Some(took), backtrace: None })
                        });
                        break;
                    }
                    outbox_bytes += bytes;
                    let is_event = matches!(cause, Cause::Event(_));
                    all.changed |= !changes.is_empty() || !outputs.is_empty() || !is_event;
                    all.events += usize::from(is_event);
                    let clock_ns = match &cause {
                        Cause::Event(at) => self.queue.get(*at).map_or(0, |queued| queued.clock_ns),
                        Cause::Timer { timer, .. } => timer.due_ns,
                        Cause::Migration => 0,
                    };
                    all.clock_ns = all.clock_ns.max(clock_ns);
                    change(&mut all.record.state, &cause, &changes);
                    all.outputs.extend(outputs);
                }
                Err(failure) => {
                    all.failed = Some((cause, Trouble { failure, took: Some(took), backtrace: None }));
                    break;
                }
            }
        }
        all
    }

    async fn effects(
        &self,
        ground: &Ground,
        version: &Version,
        cause: &Cause,
        proposed: Vec<Proposed>,
    ) -> Result<Vec<Output>, Failure> {
        if proposed.is_empty() {
            return Ok(Vec::new());
        }
        let keyed = &ground.keyed;
        let rules = Rules {
            emit: &version.manifest.emit,
            limits: &version.manifest.limits,
            max_message_bytes: keyed.bus.max_message_bytes(),
        };
        let resets = ground.resets();
        let outputs = match cause {
            Cause::Event(at) => {
                let lost = || Failure::Engine("the event of a step is gone".to_owned());
                let queued = self.queue.get(*at).ok_or_else(lost)?;
                effects::check(
                    &version.emitter,
                    &queued.event,
                    &(queued.input.clone() + &resets),
                    proposed,
                    rules,
                )?
            }
            Cause::Timer { name, timer } => {
                let event = timers::event(&keyed.plugin, &self.key, name, timer);
                let input = timers::input(&self.key, timer) + &resets;
                effects::check(&version.emitter, &event, &input, proposed, rules)?
            }
            Cause::Migration => Vec::new(),
        };
        keyed.sinks.storable(&*keyed.bus, &version.manifest.emit, &outputs).await?;
        Ok(outputs)
    }
}

/// Brings a step's changes into a state.
fn change(state: &mut KeyState, cause: &Cause, changes: &[Change]) {
    if let Cause::Timer { name, .. } = cause {
        state.fire(name);
    }
    for change in changes {
        state.apply(change);
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
