//! Delivery to a plugin without a key.
//!
//! In reading order:
//! - `plan`: what a seed means: settings, events, which faults there are and how often.
//! - `script`: what the plugin does with each event, and what must come of it.
//! - `scenario`: one run: a storm, then calm weather in which everything must come right; `storm`: what strikes when.
//! - `engine`: an engine as the supervisor keeps it; `life`: what is known of it, and what it counts.
//! - `line`, `intake`, `weather`: the way to the bus and back, on which things are lost, late, out of order and said twice.
//! - `plugin`: the script behind the engine's own handler.
//! - `ledger`: what was seen of each event, and the promises that this must keep.

mod engine;
mod intake;
mod ledger;
mod life;
mod line;
mod plan;
mod plugin;
mod scenario;
mod script;
mod storm;
mod weather;

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

pub use self::plan::{Fault, Plan};
use super::plan::Storm;
use super::simulated::Simulated;
use super::{Broken, Report, Subject, world};

type World = world::World<Unkeyed>;

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
    super::scenario::play::<Unkeyed>(plan, scenario::acts)
}

/// Delivery to a plugin without a key.
struct Unkeyed;

impl Simulated for Unkeyed {
    const SUBJECT: Subject = Subject::Unkeyed;
    // The usual runs have a thousand.
    const MOST_ENTRIES: usize = 60_000;
    const CHANCE: u64 = 0x5eed_0000_c4a2_ce00;

    type Plan = Plan;
    type Fault = Fault;
    type Ledger = ledger::Ledger;
    type Spells = weather::Spells;
    type Vital = life::Vital;
    type Installed = (u32, u32);
    type Running = engine::Running;

    fn seed(plan: &Plan) -> u64 {
        plan.seed
    }

    fn storm(plan: &Plan) -> &Storm<Fault> {
        &plan.storm
    }

    fn ledger(plan: &Plan) -> ledger::Ledger {
        ledger::Ledger::new(plan.inputs())
    }

    /// The plugin's version, and its concurrency.
    fn installed(plan: &Plan) -> (u32, u32) {
        (1, plan.concurrency)
    }

    fn serve(
        slot: &engine::Slot,
        life: Arc<life::Life>,
        stop: CancellationToken,
    ) -> BoxFuture<'_, anyhow::Result<()>> {
        engine::serve(slot, life, stop).boxed()
    }

    fn audit(life: &life::Life, stopped: bool) -> Result<(), Broken> {
        life.audit(stopped)
    }
}
