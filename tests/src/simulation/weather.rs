//! The faults of the moment: what becomes of one thing that is sent.

use std::time::Duration;

use fastrand::Rng;
use tokio::time::Instant;
use wasmill::bus::BusError;

use super::plan::{Fault, LONGEST_WAY, Plan};

/// A stream that outputs or letters go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The first stream of outputs.
    OutA,
    /// The second one.
    OutB,
    /// The stream of dead letters.
    Letters,
}

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

/// The way of one thing that is sent, and of its answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Way {
    /// How long it is under way.
    pub there: Duration,
    /// Whether it is lost on its way.
    pub lost: bool,
    /// Whether the caller gives up before it arrives.
    pub late: bool,
    /// How long the answer is under way.
    pub back: Duration,
    /// What the caller is told in place of the answer.
    pub told: Option<Told>,
}

/// The weather.
pub(super) struct Weather {
    rng: Rng,
    calm: bool,
    /// Until when the engine of each slot has no connection.
    cut: [Option<Instant>; 2],
    /// Until when each place takes nothing.
    full: [Option<Instant>; 3],
    /// Until when nobody answers for a place.
    leaderless: [Option<Instant>; 3],
}

impl Weather {
    pub fn new(seed: u64) -> Self {
        // Another sequence than that of the plan, so that a plan may be altered without altering all chance.
        let rng = Rng::with_seed(seed ^ 0x5eed_0000_c4a2_ce00);
        Self { rng, calm: false, cut: [None; 2], full: [None; 3], leaderless: [None; 3] }
    }

    pub fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    /// Ends the storm.
    pub fn clear(&mut self) {
        (self.cut, self.full, self.leaderless) = ([None; 2], [None; 3], [None; 3]);
        self.calm = true;
    }

    pub fn cut(&mut self, slot: usize, until: Instant) {
        self.cut.get_mut(slot).map(|cut| cut.replace(until));
    }

    pub fn fill(&mut self, place: Place, until: Instant) {
        self.full.get_mut(place as usize).map(|full| full.replace(until));
    }

    pub fn depose(&mut self, place: Place, until: Instant) {
        self.leaderless.get_mut(place as usize).map(|leaderless| leaderless.replace(until));
    }

    /// Until when the engine of a slot has no connection, if it has none.
    pub fn cut_until(&self, slot: usize) -> Option<Instant> {
        current(&self.cut, slot)
    }

    /// Whether a fault strikes now.
    pub fn strikes(&mut self, plan: &Plan, fault: Fault) -> bool {
        !self.calm && plan.has(fault) && self.rng.f64() < plan.rate
    }

    pub fn delay(&mut self) -> Duration {
        // Mostly short, as delays are; each twice as long as before is half as likely.
        let most = LONGEST_WAY.as_millis() as u64 >> self.rng.u32(0..8);
        Duration::from_millis(self.rng.u64(0..=most))
    }

    /// The way of a message to a stream.
    pub fn publish(&mut self, plan: &Plan, slot: usize, place: Option<Place>) -> Way {
        if let Some(way) = self.no_connection(slot) {
            return way;
        }
        let refused = |told| Way { lost: true, told: Some(told), ..Way::default() };
        let place = place.map(|place| place as usize).unwrap_or(usize::MAX);
        if current(&self.leaderless, place).is_some() {
            return refused(Told::NoStream);
        }
        if current(&self.full, place).is_some() {
            return refused(Told::Full);
        }
        let mut way = Way::default();
        if self.strikes(plan, Fault::Slow) {
            (way.there, way.back) = (self.delay(), self.delay());
        }
        let told = if self.rng.bool() { Told::TimedOut } else { Told::Disconnected };
        if self.strikes(plan, Fault::PublishLost) {
            (way.lost, way.told) = (true, Some(told));
        } else if self.strikes(plan, Fault::AnswerLost) {
            way.told = Some(told);
        } else if self.strikes(plan, Fault::Late) {
            way = Way { there: self.delay(), late: true, told: Some(told), ..Way::default() };
        }
        way
    }

    /// The way of a settlement.
    pub fn settle(&mut self, plan: &Plan, slot: usize) -> Way {
        if let Some(way) = self.no_connection(slot) {
            return way;
        }
        let mut way = Way::default();
        if self.strikes(plan, Fault::Slow) {
            way = Way { there: self.delay(), late: true, ..way };
        }
        if self.strikes(plan, Fault::SettleFails) {
            // An error says nothing of whether it went out.
            (way.lost, way.told) = (self.rng.bool(), Some(Told::Disconnected));
        } else if self.strikes(plan, Fault::SettleLost) {
            way.lost = true;
        }
        way
    }

    fn no_connection(&mut self, slot: usize) -> Option<Way> {
        self.cut_until(slot)?;
        // Some errors come at once, some after a while.
        let there = if self.rng.bool() { self.delay() } else { Duration::ZERO };
        Some(Way { there, lost: true, told: Some(Told::Disconnected), ..Way::default() })
    }
}

fn current(spells: &[Option<Instant>], at: usize) -> Option<Instant> {
    spells.get(at).copied().flatten().filter(|until| Instant::now() < *until)
}
