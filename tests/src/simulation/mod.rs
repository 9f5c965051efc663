//! Delivery under faults, from a seed: the engine's own code on a bus, a clock and a plugin that misbehave on purpose.
//!
//! A run is a function of its seed: one thread, paused time, no other source of chance. What it does shows in a
//! [`trace::Trace`], of which two runs of one seed have the same.
//!
//! In reading order:
//! - `unkeyed`, `keyed`: delivery to a plugin without a key and to one with a key, as far as the two differ; `simulated`:
//!   what each of them brings along.
//! - `plan`: what plans of both have in common; `scenario`, `storm`: the frame of a run, and what strikes in it.
//! - `slot`: the places at which engines run; `life`: how one can be killed at any await or frozen.
//! - `line`, `weather`: the way to the bus and back, and the faults of the moment.
//! - `plugin`, `clock`: what a plugin says of itself, and the time of day.
//! - `world`: what all of these share; `trace`: what happened.
//! - `minimal`: which kinds of faults a failure needs; `hunt`: many seeds on several threads.

mod clock;
pub mod hunt;
pub mod keyed;
mod life;
mod line;
mod minimal;
mod plan;
mod plugin;
mod scenario;
mod simulated;
mod slot;
mod storm;
pub mod trace;
mod unkeyed;
mod weather;
mod world;

use std::fmt::Write as _;

pub use self::minimal::{minimal, minimal_keyed};
pub use self::plan::Storm;
use self::trace::Trace;
pub use self::unkeyed::{Fault, Plan, run, run_plan};

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

fn broken(promise: &'static str, input: u64, detail: String) -> Broken {
    Broken { promise, detail, input }
}

/// A promise that is broken unless something holds.
fn check(
    holds: bool,
    promise: &'static str,
    input: u64,
    detail: impl FnOnce() -> String,
) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(broken(promise, input, detail())) }
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
