//! What a batch comes to: the outputs of each step checked, and what of it fits into one record.

use super::ground::Ground;
use super::turn::{Turn, timer_of};
use super::{Version, timers};
use crate::effects::{self, Output, Proposed, Rules};
use crate::outcome::{Failure, Trouble};
use crate::record::{self, Record};
use crate::sandbox::{BatchHandled, Cause, Step};
use crate::state::{Change, KeyState};

/// What a batch comes to after its outputs were checked.
pub(super) struct Checked {
    pub record: Record,
    pub outputs: Vec<Output>,
    /// Events handled, from the head of the queue.
    pub events: usize,
    pub changed: bool,
    /// The plugin clock of the last that had an effect.
    pub clock_ns: u64,
    pub failed: Option<(Cause, Trouble)>,
    /// When the timers that fired were due, in their order.
    pub due: Vec<u64>,
}

impl Turn {
    /// Checks each step's outputs and sizes, and puts together what is to be committed.
    pub(super) async fn checked(
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
            due: Vec::new(),
        };
        all.record.outbox.clear();
        let mut outbox_bytes = 0;
        for step in steps {
            let Step { cause, changes, state_bytes, answer, took, .. } = step;
            ground.keyed.plugin.metrics.called(took);
            let first = all.events == 0 && !all.changed;
            match self.effects(ground, version, &cause, answer).await {
                Ok(outputs) => {
                    let bytes: usize = outputs.iter().map(record::output_bytes).sum();
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
                    all.events += usize::from(is_event);
                    all.due.extend(timer_of(&cause).map(|(_, timer)| timer.due_ns));
                    if !changes.is_empty() || !outputs.is_empty() || !is_event {
                        all.changed = true;
                        all.clock_ns = all.clock_ns.max(self.clock_of(&cause));
                    }
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

    /// The plugin clock of a step.
    fn clock_of(&self, cause: &Cause) -> u64 {
        match cause {
            Cause::Event(at) => self.queue.get(*at).map_or(0, |queued| queued.clock_ns),
            Cause::Timer { timer, .. } => timer.due_ns,
            Cause::Migration => 0,
        }
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
            max_message_bytes: keyed.plugin.bus.max_message_bytes(),
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
                let event = timers::event(&keyed.plugin.name, &self.key, name, timer);
                let input = timers::input(&self.key, timer) + &resets;
                effects::check(&version.emitter, &event, &input, proposed, rules)?
            }
            Cause::Migration => Vec::new(),
        };
        keyed.plugin.sinks.storable(&*keyed.plugin.bus, &version.manifest.emit, &outputs).await?;
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
