//! Delivery to a plugin with a key.
//!
//! In reading order:
//! - `plan`: what a seed means: settings, events, which faults there are and how often.
//! - `script`: what the plugin does with each event and timer, and what must come of a key's history.
//! - `scenario`: one run: a storm, then calm weather in which everything must come right; `storm`: what strikes when.
//! - `engine`: an engine as the supervisor keeps it; `life`: what is known of it.
//! - `line`, `wire`, `follow`, `weather`: the way to the bus and back: questions, what is posted in order, what is read.
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
mod weather;
mod wire;

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

pub use self::plan::{Fault, Plan};
use super::plan::Storm;
use super::simulated::Simulated;
use super::{Report, Subject, world};

type World = world::World<Keyed>;

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
    super::scenario::play::<Keyed>(plan, scenario::acts)
}

/// Delivery to a plugin with a key.
struct Keyed;

impl Simulated for Keyed {
    const SUBJECT: Subject = Subject::Keyed;
    // The usual runs have a few thousand.
    const MOST_ENTRIES: usize = 300_000;
    const CHANCE: u64 = 0x5eed_0000_c4a2_ce01;

    type Plan = Plan;
    type Fault = Fault;
    type Ledger = ledger::Ledger;
    type Spells = weather::Spells;
    type Vital = life::Vital;
    type Installed = u32;
    type Running = engine::Running;

    fn seed(plan: &Plan) -> u64 {
        plan.seed
    }

    fn storm(plan: &Plan) -> &Storm<Fault> {
        &plan.storm
    }

    fn ledger(_plan: &Plan) -> ledger::Ledger {
        ledger::Ledger::default()
    }

    /// The plugin's version.
    fn installed(_plan: &Plan) -> u32 {
        1
    }

    fn serve(
        slot: &engine::Slot,
        life: Arc<life::Life>,
        stop: CancellationToken,
    ) -> BoxFuture<'_, anyhow::Result<()>> {
        engine::serve(slot, life, stop).boxed()
    }
}
