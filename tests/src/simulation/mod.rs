//! Delivery under faults, from a seed: the engine's own code on a bus, a clock and a plugin that misbehave on purpose.
//!
//! A run is a function of its seed: one thread, paused time, no other source of chance. What it does shows in a
//! [`trace::Trace`], of which two runs of one seed have the same.
//!
//! In reading order:
//! - `plan`: what a seed means: settings, events, which faults there are and how often.
//! - `script`: what the plugin does with each event, and what must come of it.
//! - `scenario`: one run: a storm, then calm weather in which everything must come right.
//! - `storm`: kills, freezes, swaps, cuts and leaps of time, at random moments.
//! - `engine`: the places at which engines run; `life`: how one can be killed at any await or frozen.
//! - `line`, `intake`: the way to the bus and back, on which things are lost, late, out of order and said twice.
//! - `plugin`, `clock`: the plugin and the time of day.
//! - `ledger`: what was seen of each event, and the promises that this must keep.
//! - `world`: what all of these share; `weather`: the faults of the moment; `trace`: what happened.
//! - `keyed`: the same for plugins with a key.
//! - `minimal`: which kinds of faults a failure needs; `hunt`: many seeds on several threads.

mod clock;
mod engine;
pub mod hunt;
mod intake;
pub mod keyed;
mod ledger;
mod life;
mod line;
mod minimal;
mod plan;
mod plugin;
mod scenario;
mod script;
mod storm;
pub mod trace;
mod weather;
mod world;

use std::fmt::Write as _;

pub use self::minimal::{minimal, minimal_keyed};
pub use self::plan::{Fault, Plan};
use self::trace::Trace;

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The promise, as a stable name.
    pub promise: &'static str,
    /// What was seen.
    pub detail: String,
    /// The sequence of the event it is about; 0 if it is about none.
    pub input: u64,
}

/// What is simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// Delivery to a plugin without a key.
    Unkeyed,
    /// Delivery to a plugin that has one.
    Keyed,
}

impl Subject {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Unkeyed, Self::Keyed];

    /// Runs one seed.
    ///
    /// # Errors
    /// When no runtime can be had.
    pub fn run(self, seed: u64) -> std::io::Result<Report> {
        match self {
            Self::Unkeyed => run(seed),
            Self::Keyed => keyed::run(seed),
        }
    }

    /// Its name on the command line and in what is shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unkeyed => "unkeyed",
            Self::Keyed => "keyed",
        }
    }
}

/// What came of one run.
#[derive(Debug)]
pub struct Report {
    /// What was simulated.
    pub subject: Subject,
    /// The seed.
    pub seed: u64,
    /// The first promise that was broken, if one was.
    pub broken: Option<Broken>,
    /// What happened.
    pub trace: Trace,
}

/// Runs one seed.
///
/// # Errors
/// When no runtime can be had.
pub fn run(seed: u64) -> std::io::Result<Report> {
    run_plan(Plan::from_seed(seed))
}

/// Runs a plan, which may have been altered.
///
/// # Errors
/// When no runtime can be had.
pub fn run_plan(plan: Plan) -> std::io::Result<Report> {
    let seed = plan.seed;
    // The engine's own chance: jitter.
    fastrand::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    let world = runtime.block_on(scenario::play(plan));
    // Whatever still runs is dropped here, before the world is asked what it has seen.
    drop(runtime);
    let (broken, trace) = world.take();
    Ok(Report { subject: Subject::Unkeyed, seed, broken, trace })
}

impl Report {
    /// What to show of a run in which a promise was broken: which, and the way of the event concerned.
    #[must_use]
    pub fn story(&self) -> String {
        let mut story = String::new();
        // Writing to a string cannot fail.
        let _ok = match &self.broken {
            None => write!(story, "seed {}: all promises kept\n{}", self.seed, self.trace.render(None)),
            Some(Broken { promise, detail, input }) => write!(
                story,
                "seed {}: broken promise {promise:?}: {detail}\n{}  to see all of it: cargo xtask simulate --{} --seed {} --trace\n",
                self.seed,
                self.trace.render(Some(*input)),
                self.subject.as_str(),
                self.seed
            ),
        };
        story
    }
}
