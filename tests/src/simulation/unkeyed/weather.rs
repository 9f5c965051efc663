//! What becomes of one thing that is sent, by the faults of the moment.

use std::time::Duration;

use tokio::time::Instant;

use super::super::weather::{self, Told};
use super::plan::{Fault, Plan};

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
pub(super) type Weather = weather::Weather<Spells>;

/// What lasts for a while.
#[derive(Default)]
pub(super) struct Spells {
    /// Until when the engine of each slot has no connection.
    cut: [Option<Instant>; 2],
    /// Until when each place takes nothing.
    full: [Option<Instant>; 3],
    /// Until when nobody answers for a place.
    leaderless: [Option<Instant>; 3],
}

impl Spells {
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
}

impl Weather {
    /// The way of a message to a stream.
    pub fn publish(&mut self, plan: &Plan, slot: usize, place: Option<Place>) -> Way {
        if let Some(way) = self.no_connection(slot) {
            return way;
        }
        let refused = |told| Way { lost: true, told: Some(told), ..Way::default() };
        let place = place.map(|place| place as usize).unwrap_or(usize::MAX);
        if current(&self.spells.leaderless, place).is_some() {
            return refused(Told::NoStream);
        }
        if current(&self.spells.full, place).is_some() {
            return refused(Told::Full);
        }
        let mut way = Way::default();
        if self.strikes(&plan.storm, Fault::Slow) {
            (way.there, way.back) = (self.delay(), self.delay());
        }
        let told = if self.rng().bool() { Told::TimedOut } else { Told::Disconnected };
        if self.strikes(&plan.storm, Fault::PublishLost) {
            (way.lost, way.told) = (true, Some(told));
        } else if self.strikes(&plan.storm, Fault::AnswerLost) {
            way.told = Some(told);
        } else if self.strikes(&plan.storm, Fault::Late) {
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
        if self.strikes(&plan.storm, Fault::Slow) {
            way = Way { there: self.delay(), late: true, ..way };
        }
        if self.strikes(&plan.storm, Fault::SettleFails) {
            // An error says nothing of whether it went out.
            (way.lost, way.told) = (self.rng().bool(), Some(Told::Disconnected));
        } else if self.strikes(&plan.storm, Fault::SettleLost) {
            way.lost = true;
        }
        way
    }

    fn no_connection(&mut self, slot: usize) -> Option<Way> {
        self.spells.cut_until(slot)?;
        // Some errors come at once, some after a while.
        let there = if self.rng().bool() { self.delay() } else { Duration::ZERO };
        Some(Way { there, lost: true, told: Some(Told::Disconnected), ..Way::default() })
    }
}

fn current(spells: &[Option<Instant>], at: usize) -> Option<Instant> {
    spells.get(at).copied().flatten().filter(|until| Instant::now() < *until)
}
