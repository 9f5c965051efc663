//! One run: a storm, then calm weather in which everything must come right.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::future::join_all;
use tokio::time::timeout;
use wasmill::bus::memory::MemoryBus;
use wasmill::bus::{Bus as _, BusError, Retention, StreamSpec};
use wasmill::dead_letter;
use wasmill::event::{HOPS_HEADER, MSG_ID_HEADER};
use wasmill::message::Message;
use wasmill::subject::{Pattern, Subject};

use super::Broken;
use super::engine::Slot;
use super::plan::{LONGEST_WAY, Plan};
use super::plugin::{STREAM, payload};
use super::script::{Input, Kind};
use super::storm;
use super::world::World;

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
    let bus = MemoryBus::born_at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000));
    create_streams(&bus, &world.plan).await?;
    let slots: Vec<_> = (0..world.plan.engines).map(|number| Slot::new(number, world, &bus)).collect();
    let attended: Vec<_> = slots.iter().map(|slot| tokio::spawn(Arc::clone(slot).attend())).collect();
    let source = tokio::spawn(emit(Arc::clone(world), Arc::clone(&bus), false));
    storm::storm(world, &slots).await;
    source.await??;
    storm::clear(world, &slots);
    // What was still under way in the storm has arrived when the first calm event goes in.
    tokio::time::sleep(LONGEST_WAY).await;
    let source = tokio::spawn(emit(Arc::clone(world), Arc::clone(&bus), true));
    let healed = timeout(world.plan.healing(), async {
        tokio::select! {
            biased;
            () = all_settled(world) => {}
            () = operate(world, &slots) => {}
        }
    });
    if healed.await.is_err() {
        let unsettled = world.known(super::ledger::Ledger::unsettled);
        let input = unsettled.first().copied().unwrap_or(0);
        let detail = format!("events {unsettled:?} after {:?}", world.plan.healing());
        world.found(Err(Broken { promise: "all-comes-right-in-time", detail, input }));
    }
    source.await??;
    // Whatever might still come, were it to come, comes within this time.
    tokio::time::sleep(world.plan.longest_wait() * 2).await;
    slots.iter().for_each(|slot| slot.closed.cancel());
    if timeout(world.plan.healing(), join_all(attended)).await.is_err() {
        let detail = format!("an engine still runs after {:?}", world.plan.healing());
        world.found(Err(Broken { promise: "a-stop-ends", detail, input: 0 }));
    }
    world.enter(super::ledger::Ledger::check_all);
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
    while !world.known(|ledger| ledger.unsettled().is_empty()) {
        world.settled.notified().await;
    }
}

async fn create_streams(bus: &MemoryBus, plan: &Plan) -> anyhow::Result<()> {
    let letters = format!("{}.>", dead_letter::SUBJECT_PREFIX);
    let [a, b] = plan.atomic;
    for (name, subjects, atomic) in [
        (STREAM, "in.>", false),
        ("OUT_A", "out.a.>", a),
        ("OUT_B", "out.b.>", b),
        (dead_letter::STREAM, &letters, false),
    ] {
        let spec = StreamSpec {
            name: name.to_owned(),
            subjects: vec![Pattern::new(subjects)?],
            duplicate_window: plan.duplicate_window(),
            max_bytes: None,
            max_age: None,
            replicas: 1,
            retention: Retention::default(),
            atomic,
        };
        bus.ensure_stream(&spec).await?;
    }
    Ok(())
}

/// Publishes the events, each at its time.
async fn emit(world: Arc<World>, bus: Arc<MemoryBus>, calm: bool) -> anyhow::Result<()> {
    let (inputs, before) =
        if calm { (&world.plan.calm, world.plan.stormy.len()) } else { (&world.plan.stormy, 0) };
    let began = tokio::time::Instant::now();
    for (input, sequence) in inputs.iter().zip(before as u64 + 1..) {
        tokio::time::sleep_until(began + input.at).await;
        let stored =
            bus.publish(message(input, sequence)?).await.map_err(|err: BusError| anyhow::anyhow!(err))?;
        anyhow::ensure!(stored.sequence == sequence, "event {sequence} is at {}", stored.sequence);
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
