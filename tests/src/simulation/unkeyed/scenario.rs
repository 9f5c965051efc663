//! One run: a storm, then calm weather in which everything must come right.

use std::sync::Arc;

use tokio::time::timeout;
use wasmill::bus::memory::MemoryBus;
use wasmill::event::{HOPS_HEADER, MSG_ID_HEADER};
use wasmill::message::Message;
use wasmill::subject::Subject;

use super::super::Broken;
use super::super::plan::LONGEST_WAY;
use super::super::scenario::{self, Engines};
use super::engine::Slot;
use super::ledger::Ledger;
use super::plugin::payload;
use super::script::{Input, Kind};
use super::{World, storm};

/// A storm, then calm weather.
pub(super) async fn acts(world: &Arc<World>) -> anyhow::Result<()> {
    let bus = scenario::bus(world.plan.duplicate_window(), world.plan.atomic).await?;
    let engines = Engines::start(world.plan.engines, world, &bus);
    let source = tokio::spawn(emit(Arc::clone(world), Arc::clone(&bus), false));
    storm::storm(world, &engines.slots).await;
    source.await??;
    storm::clear(world, &engines.slots);
    // What was still under way in the storm has arrived when the first calm event goes in.
    tokio::time::sleep(LONGEST_WAY).await;
    let source = tokio::spawn(emit(Arc::clone(world), Arc::clone(&bus), true));
    let healed = timeout(world.plan.healing(), async {
        tokio::select! {
            biased;
            () = all_settled(world) => {}
            () = operate(world, &engines.slots) => {}
        }
    });
    if healed.await.is_err() {
        let unsettled = world.known(|ledger, _| ledger.unsettled());
        let input = unsettled.first().copied().unwrap_or(0);
        let detail = format!("events {unsettled:?} after {:?}", world.plan.healing());
        world.found(Err(Broken { promise: "all-comes-right-in-time", detail, input }));
    }
    source.await??;
    // Whatever might still come, were it to come, comes within this time.
    tokio::time::sleep(world.plan.longest_wait() * 2).await;
    engines.stop(world, world.plan.healing()).await;
    world.enter(Ledger::check_all);
    Ok(())
}

/// Puts another version in wherever the plugin is quarantined, now and then.
async fn operate(world: &World, slots: &[Arc<Slot>]) {
    loop {
        tokio::time::sleep(world.plan.operators_round()).await;
        let running = slots.iter().filter_map(|slot| Some((slot, slot.running()?)));
        for (slot, running) in running.filter(|(_, running)| running.life.is_quarantined()) {
            let version = world.next_version();
            world.note(running.life.number, 0, "is quarantined, and swaps to version", version.into());
            running.swap(slot, version, None);
        }
    }
}

async fn all_settled(world: &World) {
    let changed = world.known(|ledger, _| Arc::clone(&ledger.changed));
    while !world.known(|ledger, _| ledger.unsettled().is_empty()) {
        changed.notified().await;
    }
}

/// Publishes the events, each at its time.
async fn emit(world: Arc<World>, bus: Arc<MemoryBus>, calm: bool) -> anyhow::Result<()> {
    let (inputs, before) =
        if calm { (&world.plan.calm, world.plan.stormy.len()) } else { (&world.plan.stormy, 0) };
    let began = tokio::time::Instant::now();
    for (input, sequence) in inputs.iter().zip(before as u64 + 1..) {
        tokio::time::sleep_until(began + input.at).await;
        scenario::publish(&bus, message(input, sequence)?, sequence).await?;
        world.note(0, sequence, "goes in, to have outputs", input.outputs.into());
    }
    Ok(())
}

fn message(input: &Input, sequence: u64) -> anyhow::Result<Message> {
    let mut message = Message::new(Subject::new(format!("in.{sequence}"))?, payload(input.kind, sequence));
    message.headers.push(MSG_ID_HEADER, format!("in-{sequence}"));
    if input.hops > 0 {
        message.headers.push(HOPS_HEADER, input.hops.to_string());
    }
    if input.kind == Kind::Malformed {
        message.headers.push("content-type", "application/cloudevents+json");
    }
    Ok(message)
}
