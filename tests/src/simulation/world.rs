//! What all parts of a run share. One thread uses it, so no lock is ever waited for.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Broken;
use super::clock::JumpyClock;
use super::ledger::Ledger;
use super::plan::{Fault, Plan};
use super::trace::{Entry, Trace};
use super::weather::Weather;

/// A run in which more happens than this goes round in circles: the usual ones have a thousand entries.
const MOST_ENTRIES: usize = 60_000;

/// The world of one run.
pub(super) struct World {
    pub plan: Plan,
    pub clock: Arc<JumpyClock>,
    /// Cancelled when a promise is broken: nothing goes on then.
    pub over: CancellationToken,
    /// Cancelled when the storm is over.
    pub cleared: CancellationToken,
    /// Told whenever an event has been settled for good.
    pub settled: Notify,
    born: Instant,
    state: Mutex<State>,
}

struct State {
    weather: Weather,
    ledger: Ledger,
    trace: Trace,
    broken: Option<Broken>,
    engines: u32,
    versions: u32,
}

impl World {
    pub fn new(plan: Plan) -> Arc<Self> {
        let state = State {
            weather: Weather::new(plan.seed),
            ledger: Ledger::new(plan.inputs()),
            trace: Trace::default(),
            broken: None,
            engines: 0,
            versions: 1,
        };
        Arc::new(Self {
            plan,
            clock: Arc::new(JumpyClock::new()),
            over: CancellationToken::new(),
            cleared: CancellationToken::new(),
            settled: Notify::new(),
            born: Instant::now(),
            state: Mutex::new(state),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long the run has lasted.
    pub fn elapsed(&self) -> Duration {
        self.born.elapsed()
    }

    /// Notes that something happened.
    pub fn note(&self, engine: u32, input: u64, what: &'static str, number: u64) {
        let entry = Entry { at: self.elapsed(), engine, input, what, number };
        let mut state = self.lock();
        state.trace.push(entry);
        if state.trace.len() > MOST_ENTRIES && state.broken.is_none() {
            drop(state);
            let detail = format!("more than {MOST_ENTRIES} things happened");
            self.found(Err(Broken { promise: "runs-hot", detail, input: 0 }));
        }
    }

    /// Takes note of what a check found.
    pub fn found(&self, found: Result<(), Broken>) {
        let Err(broken) = found else { return };
        let mut state = self.lock();
        // What follows from the first is of no interest.
        if state.broken.is_none() {
            let entry = Entry {
                at: self.elapsed(),
                engine: 0,
                input: broken.input,
                what: "PROMISE BROKEN",
                number: 0,
            };
            state.trace.push(entry);
            state.broken = Some(broken);
        }
        self.over.cancel();
    }

    /// Looks something up in the ledger.
    pub fn known<T>(&self, look: impl FnOnce(&Ledger) -> T) -> T {
        look(&self.lock().ledger)
    }

    /// Enters something into the ledger, which may find a promise broken by it.
    pub fn enter(&self, enter: impl FnOnce(&mut Ledger, &Plan) -> Result<(), Broken>) {
        let found = enter(&mut self.lock().ledger, &self.plan);
        self.found(found);
    }

    /// Asks or changes the weather.
    pub fn weather<T>(&self, ask: impl FnOnce(&mut Weather, &Plan) -> T) -> T {
        ask(&mut self.lock().weather, &self.plan)
    }

    pub fn strikes(&self, fault: Fault) -> bool {
        self.weather(|weather, plan| weather.strikes(plan, fault))
    }

    pub fn chance<T>(&self, draw: impl FnOnce(&mut fastrand::Rng) -> T) -> T {
        draw(self.lock().weather.rng())
    }

    /// A number for a new engine.
    pub fn next_engine(&self) -> u32 {
        let mut state = self.lock();
        state.engines += 1;
        state.engines
    }

    /// A number for a new version of the plugin.
    pub fn next_version(&self) -> u32 {
        let mut state = self.lock();
        state.versions += 1;
        state.versions
    }

    /// What was found, and what happened.
    pub fn take(&self) -> (Option<Broken>, Trace) {
        let mut state = self.lock();
        (state.broken.take(), std::mem::take(&mut state.trace))
    }
}
