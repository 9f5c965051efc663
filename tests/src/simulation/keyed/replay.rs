//! The same events live and in replay. Live they come one by one at their times, and timers fire by the time of day, also
//! while nothing comes. In replay all events are there at once, and the clock is that of the events.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, timeout};
use wasmill::bus::Bus as _;
use wasmill::bus::memory::MemoryBus;
use wasmill::event::MSG_ID_HEADER;
use wasmill::manifest::PluginClock;

use super::super::clock::BORN;
use super::super::{Broken, scenario};
use super::engine::Slot;
use super::plan::Plan;
use super::scenario::{NO_BATCHES, all_well, emit_ticks, message};
use super::{World, script};

/// What came of a run, by key and place: the ids and payloads of the outputs in order; and under no place the history.
pub type EffectsByKey = BTreeMap<(String, String), Vec<(String, String)>>;

/// What comes of a seed's events, live or in replay, without any fault.
///
/// # Errors
/// When no runtime can be had, or a promise was broken.
pub fn effects_of(seed: u64, live: bool) -> anyhow::Result<EffectsByKey> {
    let mut plan = Plan::from_seed(seed);
    plan.storm.faults.clear();
    plan.clock = if live { PluginClock::Wall } else { PluginClock::Event };
    scenario::runtime(seed)?.block_on(async {
        let world = World::new(plan);
        tokio::select! {
            biased;
            () = world.over.cancelled() => {
                let (broken, trace) = world.take();
                anyhow::bail!("{broken:#?}\n{}", trace.render(broken.as_ref().map(|broken| broken.input)))
            }
            effects = act(&world, live) => effects,
        }
    })
}

async fn act(world: &Arc<World>, live: bool) -> anyhow::Result<EffectsByKey> {
    let bus = scenario::bus(world.plan.duplicate_window(), NO_BATCHES).await?;
    if !live {
        emit(world, &bus, false).await?;
        emit_ticks(world, &bus).await?;
    }
    let slot = Slot::new(0, world, &bus);
    let attended = tokio::spawn(Arc::clone(&slot).attend());
    if live {
        emit(world, &bus, true).await?;
    }
    if timeout(world.plan.healing(), all_well(world)).await.is_err() {
        world.enter(|ledger, plan| ledger.owed(plan));
        world.found(Err(Broken { promise: "all-comes-right-in-time", detail: String::new(), input: 0 }));
        std::future::pending::<()>().await;
    }
    slot.closed.cancel();
    attended.await?;
    Ok(effects(world, &bus))
}

async fn emit(world: &World, bus: &MemoryBus, live: bool) -> anyhow::Result<()> {
    let began = Instant::now();
    for (input, sequence) in world.plan.inputs.iter().zip(1..) {
        if live {
            tokio::time::sleep_until(began + input.at).await;
        }
        let mut message = message(&world.plan, input, sequence)?;
        let time = Timestamp::UNIX_EPOCH + SignedDuration::try_from(BORN + input.at)?;
        message.headers.push("ce-time", time.to_string());
        bus.publish(message).await?;
    }
    Ok(())
}

fn effects(world: &World, bus: &MemoryBus) -> EffectsByKey {
    let mut all = EffectsByKey::new();
    for place in ["OUT_A", "OUT_B"] {
        for (_, message) in bus.messages(place) {
            let text = String::from_utf8_lossy(&message.payload).into_owned();
            let key = text.split('|').next().unwrap_or_default().to_owned();
            let id = message.headers.get(MSG_ID_HEADER).unwrap_or_default().to_owned();
            all.entry((key, place.to_owned())).or_default().push((id, text));
        }
    }
    let histories = world.known(|ledger, _| ledger.histories().clone());
    for (key, history) in histories {
        all.insert((key, String::new()), vec![(String::new(), script::write(&history))]);
    }
    all
}
