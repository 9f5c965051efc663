//! Kills, freezes, swaps, cuts and leaps of time, at random moments.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::Instant;

use super::super::storm;
use super::World;
use super::engine::{Running, Slot};
use super::plan::{Fault, LONGEST_SPELL};
use super::weather::Place;

/// A kill that does not come at once comes within so many breaths: about the life of a few events.
const MOST_BREATHS: u32 = 80;

/// Lets it storm for as long as the plan says.
pub(super) async fn storm(world: &Arc<World>, slots: &[Arc<Slot>]) {
    storm::rage(world, Fault::is_event, async |fault| strike(world, slots, fault).await).await;
}

async fn strike(world: &Arc<World>, slots: &[Arc<Slot>], fault: Fault) {
    let Some(slot) = world.chance(|rng| rng.choice(slots).cloned()) else { return };
    let spell = spell(world);
    let until = Instant::now() + spell;
    let ms = spell.as_millis() as u64;
    let place =
        world.chance(|rng| *rng.choice(&[Place::OutA, Place::OutB, Place::Letters]).unwrap_or(&Place::OutA));
    match fault {
        Fault::Cut => {
            // The bus is away for all, or one engine has lost it.
            let all = world.chance(fastrand::Rng::bool);
            let slots = slots.iter().filter(|other| all || other.number == slot.number);
            slots.for_each(|slot| world.weather(|weather, _| weather.spells.cut(slot.number, until)));
            world.note(0, 0, "the line is cut, for ms", ms);
        }
        Fault::Full => {
            world.weather(|weather, _| weather.spells.fill(place, until));
            world.note(0, 0, "a stream is full, for ms", ms);
        }
        Fault::Leaderless => {
            world.weather(|weather, _| weather.spells.depose(place, until));
            world.note(0, 0, "a stream has no leader, for ms", ms);
        }
        Fault::ClockJump => {
            let off = SignedDuration::from_secs(world.chance(|rng| rng.i64(-1_000_000..=1_000_000)));
            world.clock.jump(off);
            world.note(0, 0, "the clock jumps", off.as_secs().unsigned_abs());
        }
        Fault::Leap => {
            world.note(0, 0, "time leaps, by ms", ms);
            tokio::time::advance(spell).await;
        }
        _ => {
            if let Some(running) = slot.running() {
                trouble(world, &slot, running, fault, spell);
            }
        }
    }
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
        Fault::Swap | Fault::Resubscribe => {
            let version = world.next_version();
            let concurrency = (fault == Fault::Resubscribe).then(|| world.chance(|rng| rng.u32(1..=16)));
            world.note(life.number, 0, "swaps to version", version.into());
            running.swap(slot, version, concurrency);
        }
        _ => {}
    }
}

fn spell(world: &World) -> Duration {
    let longest = Duration::from_millis(world.plan.retry.ack_wait_ms) * LONGEST_SPELL;
    longest.mul_f64(world.chance(fastrand::Rng::f64))
}

/// Ends the storm: nothing of it lasts, and nothing of it is still to come.
pub(super) fn clear(world: &World, slots: &[Arc<Slot>]) {
    slots.iter().filter_map(|slot| slot.running()).for_each(|running| running.life.spare());
    world.clear();
}
