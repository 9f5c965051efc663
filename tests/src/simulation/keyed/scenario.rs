//! One run: a storm, then calm weather in which everything must come right.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::future::join_all;
use jiff::Timestamp;
use tokio::time::{Instant, timeout};
use wasmill::bus::memory::MemoryBus;
use wasmill::bus::{Bus as _, Retention, StreamSpec};
use wasmill::dead_letter;
use wasmill::key;
use wasmill::manifest::PluginClock;
use wasmill::message::Message;
use wasmill::subject::{Pattern, Subject};

use super::super::Broken;
use super::super::plan::LONGEST_WAY;
use super::engine::Slot;
use super::plan::Plan;
use super::plugin::{KEY_HEADER, STREAM};
use super::script::{Input, Kind};
use super::storm;
use super::world::World;

/// When a run begins, since the Unix epoch.
pub(super) const BORN: Duration = Duration::from_secs(1_800_000_000);
/// How often somebody looks whether all is well.
const LOOK: Duration = Duration::from_millis(200);
/// How much later than all timers the event is that ends a run which goes by the clock of its events.
const FAR_AHEAD: Duration = Duration::from_secs(3_600);

/// Plays a plan and returns the world as it then is.
pub(super) async fn play(plan: Plan) -> Arc<World> {
    let world = World::new(plan);
    let played = tokio::select! {
        biased;
        () = world.over.cancelled() => Ok(()),
        played = acts(&world) => played,
    };
    if let Err(err) = played {
        let broken = Broken { promise: "the-simulation-itself-works", detail: format!("{err:#}"), input: 0 };
        world.found(Err(broken));
    }
    world
}

async fn acts(world: &Arc<World>) -> anyhow::Result<()> {
    let bus = MemoryBus::born_at(SystemTime::UNIX_EPOCH + BORN);
    create_streams(&bus, &world.plan).await?;
    let slots: Vec<_> = (0..world.plan.engines).map(|number| Slot::new(number, world, &bus)).collect();
    let attended: Vec<_> = slots.iter().map(|slot| tokio::spawn(Arc::clone(slot).attend())).collect();
    let source = tokio::spawn(emit(Arc::clone(world), Arc::clone(&bus)));
    storm::storm(world, &slots).await;
    source.await??;
    storm::clear(world, &slots);
    if world.plan.clock == PluginClock::Event {
        emit_ticks(world, &bus).await?;
    }
    let healed = timeout(world.plan.healing(), all_well(world)).await;
    if healed.is_err() {
        world.enter(|ledger, plan| ledger.owed(plan));
    }
    // Whatever might still come, were it to come, comes within this time.
    tokio::time::sleep(LONGEST_WAY * 2 + world.plan.lease * 2).await;
    slots.iter().for_each(|slot| slot.closed.cancel());
    if timeout(world.plan.healing(), join_all(attended)).await.is_err() {
        let detail = format!("an engine still runs after {:?}", world.plan.healing());
        world.found(Err(Broken { promise: "a-stop-ends", detail, input: 0 }));
    }
    world.enter(|ledger, plan| ledger.owed(plan));
    Ok(())
}

pub(super) async fn all_well(world: &World) {
    while world.known(|ledger, plan| ledger.owed(plan).is_err()) {
        tokio::time::sleep(LOOK).await;
    }
}

pub(super) async fn create_streams(bus: &MemoryBus, plan: &Plan) -> anyhow::Result<()> {
    let letters = format!("{}.>", dead_letter::SUBJECT_PREFIX);
    for (name, subjects) in
        [(STREAM, "in.>"), ("OUT_A", "out.a.>"), ("OUT_B", "out.b.>"), (dead_letter::STREAM, &*letters)]
    {
        let spec = StreamSpec {
            name: name.to_owned(),
            subjects: vec![Pattern::new(subjects)?],
            duplicate_window: plan.duplicate_window(),
            max_bytes: None,
            max_age: None,
            replicas: 1,
            retention: Retention::default(),
            atomic: false,
        };
        bus.ensure_stream(&spec).await?;
    }
    Ok(())
}

/// Publishes the events, each at its time.
async fn emit(world: Arc<World>, bus: Arc<MemoryBus>) -> anyhow::Result<()> {
    let began = Instant::now();
    for (input, sequence) in world.plan.inputs.iter().zip(1..) {
        tokio::time::sleep_until(began + input.at).await;
        let stored = bus.publish(message(&world.plan, input, sequence)?).await?;
        anyhow::ensure!(stored.sequence == sequence, "event {sequence} is at {}", stored.sequence);
        world.note(0, sequence, "goes in, with key", input.key as u64);
    }
    Ok(())
}

pub(super) fn message(plan: &Plan, input: &Input, sequence: u64) -> anyhow::Result<Message> {
    let mut message = Message::new(Subject::new(format!("in.{sequence}"))?, format!("e{sequence}"));
    if input.kind != Kind::Keyless {
        message.headers.push(KEY_HEADER, plan.key(input));
    }
    Ok(message)
}

/// One event for each partition that is later than all timers.
pub(super) async fn emit_ticks(world: &World, bus: &MemoryBus) -> anyhow::Result<()> {
    let time = Timestamp::from_second(i64::try_from((BORN + world.elapsed() + FAR_AHEAD).as_secs())?)?;
    for partition in 0..world.plan.partitions {
        let mut keys = (0_u32..).map(|number| format!("tick-{number}"));
        let key = keys.find(|key| key::partition(key, world.plan.partitions) == partition);
        let mut message = Message::new(Subject::new("in.tick")?, "tick");
        message.headers.push(KEY_HEADER, key.unwrap_or_default());
        message.headers.push("ce-time", time.to_string());
        bus.publish(message).await?;
    }
    Ok(())
}
