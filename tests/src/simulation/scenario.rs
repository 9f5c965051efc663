//! One run, as far as it is the same with a key and without one.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::future::join_all;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use wasmill::bus::memory::MemoryBus;
use wasmill::bus::{Bus as _, Retention, StreamSpec};
use wasmill::dead_letter;
use wasmill::message::Message;
use wasmill::subject::Pattern;

use super::clock::BORN;
use super::plugin::STREAM;
use super::simulated::Simulated;
use super::slot::Slot;
use super::world::World;
use super::{Broken, Report};

/// Plays a plan, and tells what came of it.
///
/// # Errors
/// When no runtime can be had.
pub(super) fn play<S: Simulated>(
    plan: S::Plan,
    acts: impl AsyncFnOnce(&Arc<World<S>>) -> anyhow::Result<()>,
) -> std::io::Result<Report> {
    let seed = S::seed(&plan);
    let runtime = runtime(seed)?;
    let world = runtime.block_on(async {
        let world = World::new(plan);
        let played = tokio::select! {
            biased;
            () = world.over.cancelled() => Ok(()),
            played = acts(&world) => played,
        };
        if let Err(err) = played {
            let detail = format!("{err:#}");
            world.found(Err(Broken { promise: "the-simulation-itself-works", detail, input: 0 }));
        }
        world
    });
    // Whatever still runs is dropped here, before the world is asked what it has seen.
    drop(runtime);
    let (broken, trace) = world.take();
    Ok(Report { subject: S::SUBJECT, seed, broken, trace })
}

/// One thread and a time that goes on when nothing is left to do, so that a run is a function of its seed.
pub(super) fn runtime(seed: u64) -> std::io::Result<tokio::runtime::Runtime> {
    // The engine's own chance: jitter.
    fastrand::seed(seed);
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()
}

/// A bus whose streams remember ids for so long; those of outputs take batches, or not.
pub(super) async fn bus(window: Duration, batches: [bool; 2]) -> anyhow::Result<Arc<MemoryBus>> {
    let bus = MemoryBus::born_at(SystemTime::UNIX_EPOCH + BORN);
    let letters = format!("{}.>", dead_letter::SUBJECT_PREFIX);
    let [a, b] = batches;
    for (name, subjects, atomic) in [
        (STREAM, "in.>", false),
        ("OUT_A", "out.a.>", a),
        ("OUT_B", "out.b.>", b),
        (dead_letter::STREAM, &letters, false),
    ] {
        let spec = StreamSpec {
            name: name.to_owned(),
            subjects: vec![Pattern::new(subjects)?],
            duplicate_window: window,
            max_bytes: None,
            max_age: None,
            replicas: 1,
            retention: Retention::default(),
            atomic,
        };
        bus.ensure_stream(&spec).await?;
    }
    Ok(bus)
}

/// Publishes an event, which must come to stand at this sequence.
pub(super) async fn publish(bus: &MemoryBus, message: Message, sequence: u64) -> anyhow::Result<()> {
    let stored = bus.publish(message).await?;
    anyhow::ensure!(stored.sequence == sequence, "event {sequence} is at {}", stored.sequence);
    Ok(())
}

/// The engines of a run.
pub(super) struct Engines<S: Simulated> {
    pub slots: Vec<Arc<Slot<S>>>,
    attended: Vec<JoinHandle<()>>,
}

impl<S: Simulated> Engines<S> {
    /// Starts so many of them.
    pub fn start(count: usize, world: &Arc<World<S>>, bus: &Arc<MemoryBus>) -> Self {
        let slots: Vec<_> = (0..count).map(|number| Slot::new(number, world, bus)).collect();
        let attended = slots.iter().map(|slot| tokio::spawn(Arc::clone(slot).attend())).collect();
        Self { slots, attended }
    }

    /// Stops them, for which they have so long.
    pub async fn stop(self, world: &World<S>, within: Duration) {
        self.slots.iter().for_each(|slot| slot.closed.cancel());
        if timeout(within, join_all(self.attended)).await.is_err() {
            let detail = format!("an engine still runs after {within:?}");
            world.found(Err(Broken { promise: "a-stop-ends", detail, input: 0 }));
        }
    }
}
