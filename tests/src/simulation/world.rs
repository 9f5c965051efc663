//! What all parts of a run share. One thread uses it, so no lock is ever waited for.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Broken;
use super::clock::JumpyClock;
use super::simulated::Simulated;
use super::trace::{Entry, Trace};
use super::weather::Weather;

/// The world of one run.
pub(super) struct World<S: Simulated> {
    pub plan: S::Plan,
    pub clock: Arc<JumpyClock>,
    /// Cancelled when a promise is broken: nothing goes on then.
    pub over: CancellationToken,
    /// Cancelled when the storm is over.
    pub cleared: CancellationToken,
    born: Instant,
    state: Mutex<State<S>>,
}

struct State<S: Simulated> {
    weather: Weather<S::Spells>,
    ledger: S::Ledger,
    trace: Trace,
    broken: Option<Broken>,
    engines: u32,
    versions: u32,
}

impl<S: Simulated> World<S> {
    pub fn new(plan: S::Plan) -> Arc<Self> {
        let state = State {
            weather: Weather::new(S::seed(&plan) ^ S::CHANCE),
            ledger: S::ledger(&plan),
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
            born: Instant::now(),
            state: Mutex::new(state),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State<S>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long the run has lasted.
    pub fn elapsed(&self) -> Duration {
        self.born.elapsed()
    }

    /// Waits until then, or until the storm is over.
    pub async fn outlast(&self, until: Instant) {
        tokio::select! {
            biased;
            () = self.cleared.cancelled() => {}
            () = tokio::time::sleep_until(until) => {}
        }
    }

    /// Notes that something happened.
    pub fn note(&self, engine: u32, input: u64, what: &'static str, number: u64) {
        let entry = Entry { at: self.elapsed(), engine, input, what, number };
        let mut state = self.lock();
        state.trace.push(entry);
        if state.trace.len() > S::MOST_ENTRIES && state.broken.is_none() {
            drop(state);
            let detail = format!("more than {} things happened", S::MOST_ENTRIES);
            self.found(Err(Broken { promise: "runs-hot", detail, input: 0 }));
        }
    }

    /// Takes note of what a check found.
    pub fn found(&self, found: Result<(), Broken>) {
        let Err(broken) = found else { return };
        let mut state = self.lock();
        // What follows from the first is of no interest.
        if state.broken.is_none() {
            let (at, input) = (self.elapsed(), broken.input);
            state.trace.push(Entry { at, engine: 0, input, what: "PROMISE BROKEN", number: 0 });
            state.broken = Some(broken);
        }
        self.over.cancel();
    }

    /// Looks something up in the ledger.
    pub fn known<T>(&self, look: impl FnOnce(&S::Ledger, &S::Plan) -> T) -> T {
        look(&self.lock().ledger, &self.plan)
    }

    /// Enters something into the ledger, which may find a promise broken by it.
    pub fn enter(&self, enter: impl FnOnce(&mut S::Ledger, &S::Plan) -> Result<(), Broken>) {
        let found = enter(&mut self.lock().ledger, &self.plan);
        self.found(found);
    }

    /// Asks or changes the weather.
    pub fn weather<T>(&self, ask: impl FnOnce(&mut Weather<S::Spells>, &S::Plan) -> T) -> T {
        ask(&mut self.lock().weather, &self.plan)
    }

    /// Whether a fault strikes now.
    pub fn strikes(&self, fault: S::Fault) -> bool {
        self.weather(|weather, plan| weather.strikes(S::storm(plan), fault))
    }

    pub fn chance<T>(&self, draw: impl FnOnce(&mut Rng) -> T) -> T {
        self.weather(|weather, _| draw(weather.rng()))
    }

    /// How long something is under way.
    pub fn delay(&self) -> Duration {
        self.weather(|weather, _| weather.delay())
    }

    /// Ends the storm.
    pub fn clear(&self) {
        self.weather(|weather, _| weather.clear());
        self.note(0, 0, "the storm is over", 0);
        self.cleared.cancel();
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
