//! Delivery to a plugin with a key under faults, from a seed: the engine's own code on a bus, a clock and a plugin that
//! misbehave on purpose.
//!
//! In reading order:
//! - `plan`: what a seed means: settings, events, which faults there are and how often.
//! - `script`: what the plugin does with each event and timer, and what must come of a key's history.
//! - `scenario`: one run: a storm, then calm weather in which everything must come right; `storm`: what strikes when.
//! - `engine`: the places at which engines run; `life`: how one can be killed at any await or frozen.
//! - `line`, `wire`, `follow`: the way to the bus and back: questions, what is posted in order, what is read.
//! - `plugin`: the script behind the engine's own handler.
//! - `ledger`: what was seen of each key, and the promises that this must keep.
//! - `replay`: the same events live and in replay, without faults.

mod engine;
mod follow;
mod ledger;
mod life;
mod line;
mod plan;
mod plugin;
pub mod replay;
mod scenario;
mod script;
mod storm;
mod wire;
mod world;

pub use self::plan::{Fault, Plan};
use super::{Report, Subject};

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
    Ok(Report { subject: Subject::Keyed, seed, broken, trace })
}
