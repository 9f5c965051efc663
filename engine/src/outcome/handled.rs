//! What came of a call, and what is kept of a failed one.

use std::time::Duration;

use super::Failure;
use crate::effects::Proposed;

/// What came of handing one event to a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handled {
    /// The outputs, or why there are none.
    pub answer: Result<Vec<Proposed>, Failure>,
    /// How long the guest had it.
    pub took: Duration,
    /// The CPU time of it, if it took so long that somebody looked.
    pub cpu: Option<Duration>,
    /// Where in the guest it ended, innermost first, one function a line; if it was cut short.
    pub backtrace: Option<String>,
}

/// A failure with what is known of the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Why the event was not handled.
    pub failure: Failure,
    /// How long the guest had it; none if it never did.
    pub took: Option<Duration>,
    /// Where in the guest it ended, if it was cut short.
    pub backtrace: Option<String>,
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self { failure, took: None, backtrace: None }
    }
}
