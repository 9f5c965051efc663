//! The time of day, as a parameter: a simulation sets its own.

use jiff::Timestamp;

/// Tells the time of day. It may jump; how long something takes is not measured with it.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
