//! The faults of the moment.

use std::time::Duration;

use fastrand::Rng;
use wasmill::bus::BusError;

use super::plan::{LONGEST_WAY, Storm};

/// An error that the caller is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    Disconnected,
    TimedOut,
    Full,
    NoStream,
}

impl Told {
    pub fn error(self, operation: &str) -> BusError {
        let operation = operation.to_owned();
        match self {
            Self::Disconnected => BusError::Disconnected {
                operation,
                url: "simulated".into(),
                reason: "the line is cut".into(),
            },
            Self::TimedOut => BusError::TimedOut { operation, after: LONGEST_WAY },
            Self::Full => BusError::Refused { operation, reason: "maximum messages exceeded".into() },
            Self::NoStream => BusError::NoStream { subject: operation },
        }
    }
}

/// The weather, with what lasts for a while in it.
pub(super) struct Weather<L> {
    rng: Rng,
    calm: bool,
    pub spells: L,
}

impl<L: Default> Weather<L> {
    pub fn new(seed: u64) -> Self {
        Self { rng: Rng::with_seed(seed), calm: false, spells: L::default() }
    }

    pub fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    /// Ends the storm.
    pub fn clear(&mut self) {
        (self.calm, self.spells) = (true, L::default());
    }

    /// Whether a fault strikes now.
    pub fn strikes<F: PartialEq>(&mut self, storm: &Storm<F>, fault: F) -> bool {
        !self.calm && storm.has(fault) && self.rng.f64() < storm.rate
    }

    /// How long something is under way: mostly not for long; each twice as long as before is half as likely.
    pub fn delay(&mut self) -> Duration {
        let most = LONGEST_WAY.as_millis() as u64 >> self.rng.u32(0..8);
        Duration::from_millis(self.rng.u64(0..=most))
    }
}
