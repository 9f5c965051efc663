//! Events of one key, handled in one go: the state goes in, and out come the effects of each step and the state after them.

use std::sync::Arc;
use std::time::Duration;

use crate::effects::Proposed;
use crate::event::Event;
use crate::outcome::Trouble;
use crate::state::{Change, KeyState, StateLimits, Timer};

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
/// Events that are in no step and did not fail were not tried: after a failure, or when too many timers were due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchHandled {
    /// The steps that went well, in order.
    pub steps: Vec<Step>,
    /// The first that did not. It changed nothing: a timer that failed is still set.
    pub failed: Option<FailedStep>,
    /// The state after the steps that went well.
    pub state: KeyState,
}
