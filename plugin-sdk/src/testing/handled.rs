//! What comes of a delivery to a keyed plugin, or of the time that passes.

use super::fail;
use crate::{Failure, Output};

/// What made a handler run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// An event, with its id.
    Event {
        /// Its id.
        id: String,
    },
    /// A timer.
    Timer {
        /// Its name.
        name: String,
        /// When it was due, nanoseconds since the Unix epoch.
        due: u64,
    },
    /// State of an older version, met before the first event or timer of its key.
    Migration {
        /// The version that wrote it.
        from_version: String,
    },
}

/// One call of a handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Why it was called.
    pub cause: Cause,
    /// The key it was called for.
    pub key: String,
    /// Its outputs. A failure has left state and timers as they were.
    pub answer: Result<Vec<Output>, Failure>,
}

/// What came of an event, or of the time that passed: the calls, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Handled {
    /// The calls: due timers first, then the event.
    pub steps: Vec<Step>,
}

impl Handled {
    /// All outputs, in order.
    ///
    /// # Panics
    /// If a call failed; to test that, use [`failure`](Self::failure).
    #[must_use]
    #[track_caller]
    pub fn outputs(&self) -> Vec<Output> {
        if let Some(step) = self.steps.iter().find(|step| step.answer.is_err()) {
            fail(&format!("a call failed: {step:?}"))
        }
        self.steps.iter().filter_map(|step| step.answer.clone().ok()).flatten().collect()
    }

    /// The first failure.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        self.steps.iter().find_map(|step| step.answer.as_ref().err())
    }
}
