//! Kills, freezes, swaps, cuts and leaps of the clock, at random moments.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::Instant;

use super::super::storm;
use super::World;
use super::engine::{Running, Slot};
use super::plan::Fault;

/// A kill that does not come at once comes within so many breaths: about the life of a few events.
const MOST_BREATHS: u32 = 40;
/// The most that still arrives of what was on its way when a connection broke.
const MOST_ARRIVE: usize = 40;

/// Lets it storm for as long as the plan says.
pub(super) async fn storm(world: &Arc<World>, slots: &[Arc<Slot>]) {
    storm::rage(world, Fault::is_event, async |fault| strike(world, slots, fault)).await;
}

fn strike(world: &Arc<World>, slots: &[Arc<Slot>], fault: Fault) {
    let Some(slot) = world.chance(|rng| rng.choice(slots).cloned()) else { return };
    let spell = world.plan.longest_spell().mul_f64(world.chance(fastrand::Rng::f64));
    let ms = spell.as_millis() as u64;
    match fault {
        Fault::Restart => {
            // It is back soon, or after a while.
            let spell = if world.chance(fastrand::Rng::bool) { spell } else { world.delay() };
            world.note(0, 0, "the server restarts, for ms", spell.as_millis() as u64);
            for running in slots.iter().filter_map(|slot| slot.running()) {
                cut(world, &running, spell);
            }
        }
        Fault::Full => {
            let prefixes = ["out.a.", "out.b.", wasmill::dead_letter::SUBJECT_PREFIX, "$KV."];
            let prefix = world.chance(|rng| *rng.choice(&prefixes).unwrap_or(&"out."));
            world.note(0, 0, "a stream takes nothing, for ms", ms);
            let (leaderless, until) = (world.chance(fastrand::Rng::bool), Instant::now() + spell);
            world.weather(|weather, _| weather.spells.fill(prefix, leaderless, until));
        }
        Fault::ClockLeap => {
            let off = SignedDuration::from_secs(world.chance(|rng| rng.i64(-100_000..=100_000)));
            world.clock.jump(off);
            world.note(0, 0, "the clock leaps", off.as_secs().unsigned_abs());
        }
        _ => {
            if let Some(running) = slot.running() {
                trouble(world, &slot, running, fault, spell);
            }
        }
    }
}

fn cut(world: &World, running: &Running, spell: Duration) {
    // Some are back at once.
    let spell = if world.chance(|rng| rng.u32(0..3)) == 0 { Duration::from_millis(1) } else { spell };
    let arrive = world.chance(|rng| rng.usize(0..=MOST_ARRIVE));
    running.life.cut(Instant::now() + spell, arrive);
}

/// What happens to one engine.
fn trouble(world: &Arc<World>, slot: &Slot, running: Running, fault: Fault, spell: Duration) {
    let life = &running.life;
    match fault {
        Fault::Kill => storm::kill(world, life, MOST_BREATHS),
        Fault::Freeze => storm::freeze(world, life, spell),
        Fault::Stop => {
            world.note(life.number, 0, "is stopped", 0);
            running.stop.cancel();
        }
        Fault::Cut => {
            world.note(life.number, 0, "has its line cut, for ms", spell.as_millis() as u64);
            cut(world, &running, spell);
        }
        Fault::Swap => {
            let version = world.next_version();
            world.note(life.number, 0, "swaps to version", version.into());
            running.swap(slot, version);
        }
        _ => {}
    }
}

/// Ends the storm: nothing of it lasts, and nothing of it is still to come.
pub(super) fn clear(world: &World, slots: &[Arc<Slot>]) {
    world.clock.jump(SignedDuration::ZERO);
    for running in slots.iter().filter_map(|slot| slot.running()) {
        running.life.spare();
        running.life.mend();
    }
    world.clear();
}
