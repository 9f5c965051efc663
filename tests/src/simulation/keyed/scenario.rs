//! One run: a storm, then calm weather in which everything must come right.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, timeout};
use wasmill::bus::Bus as _;
use wasmill::bus::memory::MemoryBus;
use wasmill::key;
use wasmill::manifest::PluginClock;
use wasmill::message::Message;
use wasmill::subject::Subject;

use super::super::clock::BORN;
use super::super::plan::LONGEST_WAY;
use super::super::scenario::{self, Engines};
use super::plan::Plan;
use super::plugin::KEY_HEADER;
use super::script::{Input, Kind};
use super::{World, storm};

/// No stream takes batches: outputs of keys leave one by one.
pub(super) const NO_BATCHES: [bool; 2] = [false; 2];
/// How often somebody looks whether all is well.
const LOOK: Duration = Duration::from_millis(200);
/// How much later than all timers the event is that ends a run which goes by the clock of its events.
const FAR_AHEAD: Duration = Duration::from_secs(3_600);

/// A storm, then calm weather.
pub(super) async fn acts(world: &Arc<World>) -> anyhow::Result<()> {
    let bus = scenario::bus(world.plan.duplicate_window(), NO_BATCHES).await?;
    let engines = Engines::start(world.plan.engines, world, &bus);
    let source = tokio::spawn(emit(Arc::clone(world), Arc::clone(&bus)));
    storm::storm(world, &engines.slots).await;
    source.await??;
    storm::clear(world, &engines.slots);
    if world.plan.clock == PluginClock::Event {
        emit_ticks(world, &bus).await?;
    }
    let healed = timeout(world.plan.healing(), all_well(world)).await;
    if healed.is_err() {
        world.enter(|ledger, plan| ledger.owed(plan));
    }
    // Whatever might still come, were it to come, comes within this time.
    tokio::time::sleep(LONGEST_WAY * 2 + world.plan.lease * 2).await;
    engines.stop(world, world.plan.healing()).await;
    world.enter(|ledger, plan| ledger.owed(plan));
    Ok(())
}

pub(super) async fn all_well(world: &World) {
    while world.known(|ledger, plan| ledger.owed(plan).is_err()) {
        tokio::time::sleep(LOOK).await;
    }
}

/// Publishes the events, each at its time.
async fn emit(world: Arc<World>, bus: Arc<MemoryBus>) -> anyhow::Result<()> {
    let began = Instant::now();
    for (input, sequence) in world.plan.inputs.iter().zip(1..) {
        tokio::time::sleep_until(began + input.at).await;
        scenario::publish(&bus, message(&world.plan, input, sequence)?, sequence).await?;
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
