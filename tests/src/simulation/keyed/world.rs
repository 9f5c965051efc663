//! What all parts of a run share. One thread uses it, so no lock is ever waited for.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::super::Broken;
use super::super::clock::JumpyClock;
use super::super::plan::LONGEST_WAY;
use super::super::trace::{Entry, Trace};
use super::ledger::Ledger;
use super::plan::{Fault, Plan};

/// A run in which more happens than this goes round in circles: the usual ones have a few thousand entries.
const MOST_ENTRIES: usize = 300_000;

/// The world of one run.
pub(super) struct World {
    pub plan: Plan,
    pub clock: Arc<JumpyClock>,
    /// Cancelled when a promise is broken: nothing goes on then.
    pub over: CancellationToken,
    /// Cancelled when the storm is over.
    pub cleared: CancellationToken,
    born: Instant,
    state: Mutex<State>,
}

struct State {
    rng: Rng,
    calm: bool,
    /// Subjects that begin so find no stream that takes them, until then.
    full: Vec<(&'static str, bool, Instant)>,
    ledger: Ledger,
    trace: Trace,
    broken: Option<Broken>,
    engines: u32,
    versions: u32,
}

impl World {
    pub fn new(plan: Plan) -> Arc<Self> {
        let state = State {
            // Another sequence than that of the plan, so that a plan may be altered without altering all chance.
            rng: Rng::with_seed(plan.seed ^ 0x5eed_0000_c4a2_ce01),
            calm: false,
            full: Vec::new(),
            ledger: Ledger::default(),
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
            let (at, input) = (self.elapsed(), broken.input);
            state.trace.push(Entry { at, engine: 0, input, what: "PROMISE BROKEN", number: 0 });
            state.broken = Some(broken);
        }
        self.over.cancel();
    }

    /// Looks something up in the ledger.
    pub fn known<T>(&self, look: impl FnOnce(&Ledger, &Plan) -> T) -> T {
        look(&self.lock().ledger, &self.plan)
    }

    /// Enters something into the ledger, which may find a promise broken by it.
    pub fn enter(&self, enter: impl FnOnce(&mut Ledger, &Plan) -> Result<(), Broken>) {
        let found = enter(&mut self.lock().ledger, &self.plan);
        self.found(found);
    }

    /// Whether a fault strikes now.
    pub fn strikes(&self, fault: Fault) -> bool {
        let mut state = self.lock();
        !state.calm && self.plan.has(fault) && state.rng.f64() < self.plan.rate
    }

    pub fn chance<T>(&self, draw: impl FnOnce(&mut Rng) -> T) -> T {
        draw(&mut self.lock().rng)
    }

    /// How long something is under way: mostly not for long; each twice as long as before is half as likely.
    pub fn delay(&self) -> Duration {
        self.chance(|rng| {
            let most = LONGEST_WAY.as_millis() as u64 >> rng.u32(0..8);
            Duration::from_millis(rng.u64(0..=most))
        })
    }

    /// Subjects that begin so are not taken until then: because their stream is full, or because nobody answers for it.
    pub fn fill(&self, prefix: &'static str, leaderless: bool, until: Instant) {
        self.lock().full.push((prefix, leaderless, until));
    }

    /// Whether a subject is not taken now, and whether for want of somebody who answers.
    pub fn refused(&self, subject: &str) -> Option<bool> {
        let (state, now) = (self.lock(), Instant::now());
        let mut spells =
            state.full.iter().filter(|(prefix, _, until)| subject.starts_with(prefix) && now < *until);
        spells.next().map(|(_, leaderless, _)| *leaderless)
    }

    /// Ends the storm.
    pub fn clear(&self) {
        let mut state = self.lock();
        (state.calm, state.full) = (true, Vec::new());
        drop(state);
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
