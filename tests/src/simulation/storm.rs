//! Faults at random moments, and those of them that strike engines of both kinds alike.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::life::Life;
use super::simulated::Simulated;
use super::world::World;

/// Lets faults strike at moments of their own, for as long as the plan says.
pub(super) async fn rage<S: Simulated>(
    world: &World<S>,
    is_event: impl Fn(S::Fault) -> bool,
    strike: impl AsyncFn(S::Fault),
) {
    let storm = S::storm(&world.plan);
    let kinds: Vec<S::Fault> = storm.faults.iter().copied().filter(|fault| is_event(*fault)).collect();
    loop {
        let wait = storm.gap.mul_f64(2.0 * world.chance(fastrand::Rng::f64));
        let left = storm.lasts.saturating_sub(world.elapsed());
        if wait >= left {
            return tokio::time::sleep(left).await;
        }
        tokio::time::sleep(wait).await;
        if let Some(fault) = world.chance(|rng| rng.choice(&kinds).copied()) {
            strike(fault).await;
        }
    }
}

/// Kills an engine, at once or within so many breaths.
pub(super) fn kill<S: Simulated>(world: &World<S>, life: &Life<S>, most_breaths: u32) {
    let breaths = world.chance(|rng| rng.bool().then(|| rng.u32(0..most_breaths)));
    world.note(life.number, 0, "is killed, after breaths", breaths.unwrap_or(0).into());
    life.kill(breaths);
}

/// Has an engine stand still for so long, or until the storm is over.
pub(super) fn freeze<S: Simulated>(world: &Arc<World<S>>, life: &Arc<Life<S>>, spell: Duration) {
    world.note(life.number, 0, "is frozen, for ms", spell.as_millis() as u64);
    life.freeze(true);
    let (world, life) = (Arc::clone(world), Arc::clone(life));
    tokio::spawn(async move {
        world.outlast(Instant::now() + spell).await;
        world.note(life.number, 0, "goes on", 0);
        life.freeze(false);
    });
}
