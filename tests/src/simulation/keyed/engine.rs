//! The places at which engines run, one after the other, each as the supervisor keeps it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures::future::{BoxFuture, join_all};
use tokio_util::sync::CancellationToken;
use wasmill::bus::Bus;
use wasmill::bus::memory::MemoryBus;
use wasmill::clock::Clock;
use wasmill::dead_letter::DeadLetters;
use wasmill::effects::Emitter;
use wasmill::flow::{Budget, Load, Pace};
use wasmill::keyed::{Keyed, Standing, Witness};
use wasmill::manifest::PluginName;
use wasmill::telemetry::Telemetry;
use wasmill::unkeyed::{Guard, Sinks};

use super::super::Broken;
use super::ledger::Writer;
use super::life::{Life, Mortal};
use super::line::Line;
use super::plugin::{self, PLUGIN};
use super::world::World;

/// The wait before an engine tries once more to begin.
const AGAIN: Duration = Duration::from_millis(250);

/// What an engine is called, by its number.
pub(super) fn name(number: u32) -> String {
    format!("engine-{number}")
}

/// An engine that runs.
#[derive(Clone)]
pub(super) struct Running {
    pub life: Arc<Life>,
    pub stop: CancellationToken,
    keyed: Arc<Keyed>,
}

/// A place at which an engine runs, and after its end the next one.
pub(super) struct Slot {
    number: usize,
    world: Arc<World>,
    bus: Arc<MemoryBus>,
    /// Cancelled when no engine is to follow any more.
    pub closed: CancellationToken,
    /// The plugin's version, as it lies in the engine's directory.
    installed: Mutex<u32>,
    running: Mutex<Option<Running>>,
}

impl Slot {
    pub fn new(number: usize, world: &Arc<World>, bus: &Arc<MemoryBus>) -> Arc<Self> {
        Arc::new(Self {
            number,
            world: Arc::clone(world),
            bus: Arc::clone(bus),
            closed: CancellationToken::new(),
            installed: Mutex::new(1),
            running: Mutex::default(),
        })
    }

    /// The engine that runs here now, if one does.
    pub fn running(&self) -> Option<Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_running(&self, running: Option<Running>) {
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = running;
    }

    /// Runs one engine after the other until closed.
    pub async fn attend(self: Arc<Self>) {
        while !self.closed.is_cancelled() {
            let life = Life::new(self.world.next_engine());
            let stop = self.closed.child_token();
            self.world.note(life.number, 0, "starts in slot", self.number as u64);
            let inner: BoxFuture<'_, _> = Box::pin(self.serve(Arc::clone(&life), stop));
            let ended = Mortal { inner, life: Arc::clone(&life) }.await;
            self.set_running(None);
            let what = if ended.is_some() { "has stopped" } else { "is dead" };
            self.world.note(life.number, 0, what, 0);
            if let Some(Err(err)) = ended {
                let broken = Broken { promise: "an-engine-runs", detail: err.to_string(), input: 0 };
                self.world.found(Err(broken));
            }
            let down = self.world.delay();
            tokio::select! {
                biased;
                () = self.world.cleared.cancelled() => {}
                () = tokio::time::sleep(down) => {}
            }
        }
    }

    /// One engine, as the supervisor keeps it.
    async fn serve(&self, life: Arc<Life>, stop: CancellationToken) -> anyhow::Result<()> {
        let bus: Arc<dyn Bus> = Arc::new(Line::new(&self.world, &life, &self.bus));
        let dead_letters = loop {
            match DeadLetters::open(Arc::clone(&bus)).await {
                Ok(dead_letters) => break dead_letters,
                Err(_) if stop.is_cancelled() => return Ok(()),
                Err(_) => tokio::time::sleep(AGAIN).await,
            }
        };
        let keyed = Arc::new(self.keyed(&life, bus, dead_letters)?);
        self.set_running(Some(Running {
            life: Arc::clone(&life),
            stop: stop.clone(),
            keyed: Arc::clone(&keyed),
        }));
        let partitions = (0..self.world.plan.partitions)
            .map(|partition| Arc::clone(&keyed).serve(partition, stop.clone()));
        join_all(partitions).await;
        self.world.found(accounted(&keyed));
        Ok(())
    }

    fn keyed(&self, life: &Arc<Life>, bus: Arc<dyn Bus>, dead_letters: DeadLetters) -> anyhow::Result<Keyed> {
        let plugin = PluginName::new(PLUGIN)?;
        let metrics = Telemetry::new().plugin(&plugin);
        let installed = *self.installed.lock().unwrap_or_else(PoisonError::into_inner);
        let version = plugin::version(&self.world, life, installed)?;
        let budget = Budget::new(Load { events: self.world.plan.budget, bytes: u64::MAX });
        Ok(Keyed {
            plugin,
            engine: name(life.number),
            bus,
            dead_letters,
            metrics,
            clock: Arc::clone(&self.world.clock) as Arc<dyn Clock>,
            share: Arc::new(budget.share(version.manifest.weight)),
            pace: Pace::default(),
            guard: Guard::new(version.manifest.breaker.clone()),
            sinks: Sinks::default(),
            witness: Box::new(Told { world: Arc::clone(&self.world), life: Arc::clone(life) }),
            version: ArcSwap::from_pointee(version),
        })
    }
}

impl Running {
    /// Puts another version into service.
    pub fn swap(&self, slot: &Slot, number: u32) {
        *slot.installed.lock().unwrap_or_else(PoisonError::into_inner) = number;
        // A version that cannot be made is none: the patterns in it are literals.
        if let Ok(version) = plugin::version(&slot.world, &self.life, number) {
            self.keyed.version.store(Arc::new(version));
        }
    }
}

/// Of an engine that has let go of everything, all that came in has an end that was counted.
fn accounted(keyed: &Keyed) -> Result<(), Broken> {
    let counters = keyed.metrics.counters();
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
