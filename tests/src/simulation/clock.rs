//! A time of day that jumps, while what is measured goes on evenly.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;
use wasmill::clock::Clock;

/// When a run begins, since the Unix epoch.
pub(super) const BORN: Duration = Duration::from_secs(1_800_000_000);

/// The clock.
pub(super) struct JumpyClock {
    born: Instant,
    off: Mutex<SignedDuration>,
}

impl JumpyClock {
    pub fn new() -> Self {
        Self { born: Instant::now(), off: Mutex::new(SignedDuration::ZERO) }
    }

    /// Sets it to be off by this much.
    pub fn jump(&self, off: SignedDuration) {
        *self.off.lock().unwrap_or_else(PoisonError::into_inner) = off;
    }
}

impl Clock for JumpyClock {
    fn now(&self) -> Timestamp {
        let off = *self.off.lock().unwrap_or_else(PoisonError::into_inner);
        let now =
            SignedDuration::try_from(BORN + self.born.elapsed()).unwrap_or_default().saturating_add(off);
        Timestamp::from_duration(now).unwrap_or_default()
    }
}
