//! Events of one key, handled in one go: the state goes in, and out come the effects of each step and the state after them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::caller::{Caller, Made};
use super::instance::{Done, Task};
use super::keyed::{Lent, oversize};
use crate::effects::Proposed;
use crate::event::Event;
use crate::outcome::Trouble;
use crate::state::{Change, Draft, KeyState, Refused, StateLimits, Timer};

/// One queued event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// The event.
    pub event: Arc<Event>,
    /// The plugin clock as it comes, nanoseconds since the Unix epoch: timers due by then fire before it.
    pub clock_ns: u64,
}

/// What a plugin is to do for one key.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The key.
    pub key: Arc<str>,
    /// What it holds.
    pub state: KeyState,
    /// What it may hold.
    pub limits: StateLimits,
    /// Its events, in order.
    pub inputs: Vec<Input>,
    /// After the events, timers due by this plugin clock fire, in nanoseconds since the Unix epoch.
    pub then_due_by: Option<u64>,
    /// The most timers that fire in this batch. One that would be the next ends it early.
    pub max_timers: usize,
    /// The version of the plugin that wrote the state, if that is another: the component's `migrate-field`, if it exports
    /// one, is called for each field first.
    pub migrate_from: Option<String>,
}

/// What a step is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The fields were brought into the shape of this version.
    Migration,
    /// An event, by its place among the inputs.
    Event(usize),
    /// A timer that came due. It is set no more when its step begins.
    Timer {
        /// Its name.
        name: Arc<str>,
        /// What it was.
        timer: Timer,
    },
}

/// One call that went well. A migration is one step, whatever the number of its calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What it was about.
    pub cause: Cause,
    /// What it changed, at most one change for each field and timer.
    pub changes: Vec<Change>,
    /// What the state after it counts against the limit of a record, in bytes.
    pub state_bytes: usize,
    /// The outputs, not yet checked.
    pub answer: Vec<Proposed>,
    /// How long the guest had it.
    pub took: Duration,
    /// The CPU time of it, if it took so long that somebody looked.
    pub cpu: Option<Duration>,
}

/// The step that did not go well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedStep {
    /// What it was about.
    pub cause: Cause,
    /// Why, how long it took, and where in the guest.
    pub trouble: Trouble,
    /// The CPU time of it, if it took so long that somebody looked.
    pub cpu: Option<Duration>,
}

/// What came of a batch.
///
/// Events that are in no step and did not fail were not tried: after a failure, when too many timers were due, or when what the
/// steps answered is more than a record takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchHandled {
    /// The steps that went well, in order.
    pub steps: Vec<Step>,
    /// The first that did not. It changed nothing: a timer that failed is still set.
    pub failed: Option<FailedStep>,
    /// The state after the steps that went well.
    pub state: KeyState,
}

/// A batch under way. Between two of its steps it can be put aside, or given up.
pub(super) struct Run {
    batch: Batch,
    /// The input that comes next.
    next: usize,
    fired: usize,
    /// About what its steps hold in memory, in bytes.
    weight: usize,
    handled: BatchHandled,
}

impl Run {
    pub fn new(mut batch: Batch) -> Self {
        let state = std::mem::take(&mut batch.state);
        let steps = Vec::with_capacity(batch.inputs.len());
        Self { batch, next: 0, fired: 0, weight: 0, handled: BatchHandled { steps, failed: None, state } }
    }

    /// Makes the next step, or none if there is none to make. `gone` tells that nobody waits any more.
    pub fn step(&mut self, caller: &mut Caller, gone: &dyn Fn() -> bool) -> bool {
        // Together they could not be committed: what is left waits for the next batch.
        if self.weight > self.batch.limits.record_bytes {
            return false;
        }
        let Some(cause) = self.cause(caller) else { return false };
        let tried = match &cause {
            Cause::Migration => self.migrate(caller, gone),
            Cause::Event(index) => {
                self.next = index + 1;
                // The cause is one of the inputs.
                let Some(input) = self.batch.inputs.get(*index) else { return false };
                let event = Arc::clone(&input.event);
                self.call(caller, &Task::Event(&event))
            }
            Cause::Timer { name, timer } => {
                self.fired += 1;
                self.handled.state.fire(name);
                let key = Arc::clone(&self.batch.key);
                self.call(caller, &Task::Timer { key: &key, name, timer })
            }
        };
        self.note(cause, tried)
    }

    /// Ends it.
    pub fn finish(self) -> BatchHandled {
        self.handled
    }

    /// What the next step is about.
    fn cause(&mut self, caller: &Caller) -> Option<Cause> {
        if self.batch.migrate_from.is_some()
            && self.next == 0
            && self.handled.steps.is_empty()
            && caller.migrates()
        {
            return Some(Cause::Migration);
        }
        let input = self.batch.inputs.get(self.next);
        let due_by = input.map(|input| input.clock_ns).or(self.batch.then_due_by);
        let earliest = self.handled.state.earliest();
        match earliest.filter(|(_, timer)| due_by.is_some_and(|clock| timer.due_ns <= clock)) {
            Some(_) if self.fired >= self.batch.max_timers => None,
            Some((name, timer)) => Some(Cause::Timer { name: Arc::clone(name), timer: timer.clone() }),
            None => input.map(|_| Cause::Event(self.next)),
        }
    }

    fn note(&mut self, cause: Cause, tried: Made<(Vec<Change>, Vec<Proposed>)>) -> bool {
        let Made { ended, took, cpu } = tried;
        match ended {
            Ok((changes, answer)) => {
                changes.iter().for_each(|change| self.handled.state.apply(change));
                let state_bytes = self.handled.state.bytes();
                self.weight += weight(&answer) + changes.iter().map(Change::memory).sum::<usize>();
                self.handled.steps.push(Step { cause, changes, state_bytes, answer, took, cpu });
                true
            }
            Err(cut) => {
                if let Cause::Timer { name, timer } = &cause {
                    self.handled.state.put_back(name, timer.clone());
                }
                let trouble = Trouble { failure: cut.failure, took: Some(took), backtrace: cut.backtrace };
                self.handled.failed = Some(FailedStep { cause, trouble, cpu });
                false
            }
        }
    }

    fn draft(&self) -> Draft {
        Draft::new(self.handled.state.clone(), self.batch.limits)
    }

    /// Calls the guest with the key at hand.
    fn call(&self, caller: &mut Caller, task: &Task<'_>) -> Made<(Vec<Change>, Vec<Proposed>)> {
        let mut lent = Some(Lent { key: Arc::clone(&self.batch.key), draft: self.draft() });
        let made = caller.timed(|caller| caller.make(task, &mut lent));
        made.map(|done| {
            let changes = lent.map(|lent| lent.draft.into_changes()).unwrap_or_default();
            match done {
                Done::Outputs(answer) => (changes, answer),
                Done::Field(_) => (changes, Vec::new()),
            }
        })
    }

    /// Has every field brought into its present shape. The guest does not see the key's state meanwhile: it is neither the
    /// old nor the new.
    fn migrate(&self, caller: &mut Caller, gone: &dyn Fn() -> bool) -> Made<(Vec<Change>, Vec<Proposed>)> {
        let Batch { key, inputs, then_due_by, migrate_from, .. } = &self.batch;
        let from = migrate_from.as_deref().unwrap_or_default();
        let now_ns = inputs.first().map(|input| input.clock_ns).or(*then_due_by).unwrap_or_default();
        let state = &self.handled.state;
        let mut draft = self.draft();
        let mut all = Made { ended: Ok((Vec::new(), Vec::new())), took: Duration::ZERO, cpu: None };
        for (name, value) in state.fields() {
            if gone() {
                break;
            }
            let task = Task::Migration { key, name, value, from, now_ns };
            let Made { ended, took, cpu } = caller.timed(|caller| caller.make(&task, &mut None));
            all.took += took;
            all.cpu = cpu.map(|cpu| cpu + all.cpu.unwrap_or_default()).or(all.cpu);
            let put = match ended {
                Ok(Done::Field(Some(new))) if *new == **value => continue,
                Ok(Done::Field(Some(new))) => draft.set(name, Bytes::from(new)),
                Ok(Done::Field(None)) => draft.delete(name).map_err(Refused::Name),
                Ok(Done::Outputs(_)) => continue,
                Err(cut) => {
                    all.ended = Err(cut);
                    return all;
                }
            };
            // A stored field has a name that passes.
            if let Err(Refused::Size(size)) = put {
                all.ended = Err(oversize(key, size).into());
                return all;
            }
        }
        all.ended = Ok((draft.into_changes(), Vec::new()));
        all
    }
}

/// About what an answer takes in memory, in bytes. A guest can answer many outputs that are empty.
fn weight(answer: &[Proposed]) -> usize {
    const HEADER: usize = 2 * size_of::<String>();
    let one = |output: &Proposed| {
        let headers: usize =
            output.headers.iter().map(|(name, value)| name.len() + value.len() + HEADER).sum();
        size_of::<Proposed>() + output.subject.len() + headers + output.data.len()
    };
    answer.iter().map(one).sum()
}
