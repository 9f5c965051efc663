//! One engine, as the supervisor keeps it.

use std::sync::Arc;

use futures::future::join_all;
use tokio_util::sync::CancellationToken;
use wasmill::bus::Bus;
use wasmill::dead_letter::DeadLetters;
use wasmill::effects::Emitter;
use wasmill::keyed::{Keyed, Standing, Witness};

use super::super::Broken;
use super::super::slot::{self, dead_letters};
use super::ledger::Writer;
use super::life::Life;
use super::line::Line;
use super::{World, plugin};

/// What an engine is called, by its number.
pub(super) fn name(number: u32) -> String {
    format!("engine-{number}")
}

/// The place of an engine.
pub(super) type Slot = slot::Slot<super::Keyed>;

/// An engine that runs.
#[derive(Clone)]
pub(super) struct Running {
    pub life: Arc<Life>,
    pub stop: CancellationToken,
    keyed: Arc<Keyed>,
}

/// One engine, as the supervisor keeps it.
pub(super) async fn serve(slot: &Slot, life: Arc<Life>, stop: CancellationToken) -> anyhow::Result<()> {
    let bus: Arc<dyn Bus> = Arc::new(Line::new(&slot.world, &life, &slot.bus));
    let Some(dead_letters) = dead_letters(&bus, &stop).await else { return Ok(()) };
    let keyed = Arc::new(slot.keyed(&life, bus, dead_letters)?);
    slot.set_running(Some(Running {
        life: Arc::clone(&life),
        stop: stop.clone(),
        keyed: Arc::clone(&keyed),
    }));
    let partitions =
        (0..slot.world.plan.partitions).map(|partition| Arc::clone(&keyed).serve(partition, stop.clone()));
    join_all(partitions).await;
    slot.world.found(accounted(&keyed));
    Ok(())
}

impl Slot {
    fn keyed(&self, life: &Arc<Life>, bus: Arc<dyn Bus>, dead_letters: DeadLetters) -> anyhow::Result<Keyed> {
        let version = plugin::version(&self.world, life, self.installed())?;
        let plugin = self.in_service(bus, dead_letters, self.world.plan.budget, version)?;
        let witness = Box::new(Told { world: Arc::clone(&self.world), life: Arc::clone(life) });
        Ok(Keyed { plugin, engine: name(life.number), witness })
    }
}

impl Running {
    /// Puts another version into service.
    pub fn swap(&self, slot: &Slot, number: u32) {
        slot.install(number);
        // A version that cannot be made is none: the patterns in it are literals.
        if let Ok(version) = plugin::version(&slot.world, &self.life, number) {
            self.keyed.plugin.version.store(Arc::new(version));
        }
    }
}

/// Of an engine that has let go of everything, all that came in has an end that was counted.
fn accounted(keyed: &Keyed) -> Result<(), Broken> {
    let counters = keyed.plugin.metrics.counters();
    let ended = counters.done + counters.retried + counters.dead_lettered + counters.dropped;
    if counters.received == ended {
        return Ok(());
    }
    Err(Broken { promise: "what-comes-in-ends-once", detail: format!("{counters:?}"), input: 0 })
}

struct Told {
    world: Arc<World>,
    life: Arc<Life>,
}

impl Witness for Told {
    fn partition(&self, partition: u32, standing: Standing) {
        let what = match &standing {
            Standing::Owned => "owns partition",
            Standing::Standby { .. } => return,
            Standing::Problem(_) => "has a problem with partition",
        };
        self.world.note(self.life.number, 0, what, u64::from(partition));
        if standing == Standing::Owned {
            let writer = Writer { engine: self.life.number, term: self.life.owns(partition) };
            self.world.enter(|ledger, _| ledger.owns(partition, writer));
        }
    }

    fn migration_failed(&self, _emitter: &Emitter, why: String) {
        self.world.found(Err(Broken { promise: "a-migration-works", detail: why, input: 0 }));
    }
}
