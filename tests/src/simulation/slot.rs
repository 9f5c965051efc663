//! The places at which engines run, one after the other.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wasmill::bus::Bus;
use wasmill::bus::memory::MemoryBus;
use wasmill::clock::Clock;
use wasmill::dead_letter::DeadLetters;
use wasmill::flow::{Budget, Load};
use wasmill::manifest::PluginName;
use wasmill::telemetry::Telemetry;
use wasmill::unkeyed::in_service::{InService, Version};

use super::Broken;
use super::life::{Life, Mortal};
use super::plugin::PLUGIN;
use super::simulated::Simulated;
use super::world::World;

/// The wait before an engine tries once more what failed.
pub(super) const AGAIN: Duration = Duration::from_millis(250);

/// A place at which an engine runs, and after its end the next one.
pub(super) struct Slot<S: Simulated> {
    pub number: usize,
    pub world: Arc<World<S>>,
    pub bus: Arc<MemoryBus>,
    /// Cancelled when no engine is to follow any more.
    pub closed: CancellationToken,
    installed: Mutex<S::Installed>,
    running: Mutex<Option<S::Running>>,
}

impl<S: Simulated> Slot<S> {
    pub fn new(number: usize, world: &Arc<World<S>>, bus: &Arc<MemoryBus>) -> Arc<Self> {
        Arc::new(Self {
            number,
            world: Arc::clone(world),
            bus: Arc::clone(bus),
            closed: CancellationToken::new(),
            installed: Mutex::new(S::installed(&world.plan)),
            running: Mutex::default(),
        })
    }

    /// The engine that runs here now, if one does.
    pub fn running(&self) -> Option<S::Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn set_running(&self, running: Option<S::Running>) {
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = running;
    }

    /// What lies in the engine's directory.
    pub fn installed(&self) -> S::Installed {
        *self.installed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn install(&self, installed: S::Installed) {
        *self.installed.lock().unwrap_or_else(PoisonError::into_inner) = installed;
    }

    /// The plugin as an engine has it in service here; all of one engine may have so many events in flight.
    pub fn in_service<H: ?Sized>(
        &self,
        bus: Arc<dyn Bus>,
        dead_letters: DeadLetters,
        events: u64,
        version: Version<H>,
    ) -> anyhow::Result<InService<H>> {
        let name = PluginName::new(PLUGIN)?;
        let metrics = Telemetry::new().plugin(&name);
        let clock = Arc::clone(&self.world.clock) as Arc<dyn Clock>;
        let budget = Budget::new(Load { events, bytes: u64::MAX });
        Ok(InService::new(name, bus, dead_letters, metrics, clock, &budget, version))
    }

    /// Runs one engine after the other until closed.
    pub async fn attend(self: Arc<Self>) {
        while !self.closed.is_cancelled() {
            let life = Life::new(self.world.next_engine());
            let stop = self.closed.child_token();
            self.world.note(life.number, 0, "starts in slot", self.number as u64);
            let inner = S::serve(&self, Arc::clone(&life), stop);
            let ended = Mortal { inner, life: Arc::clone(&life) }.await;
            self.set_running(None);
            let what = if ended.is_some() { "has stopped" } else { "is dead" };
            self.world.note(life.number, 0, what, 0);
            self.world.found(S::audit(&life, ended.is_some()));
            if let Some(Err(err)) = ended {
                let broken = Broken { promise: "an-engine-runs", detail: err.to_string(), input: 0 };
                self.world.found(Err(broken));
            }
            let down = self.world.delay();
            self.world.outlast(Instant::now() + down).await;
        }
    }
}

/// Opens the dead letters, however often that takes; none if told to stop before.
pub(super) async fn dead_letters(bus: &Arc<dyn Bus>, stop: &CancellationToken) -> Option<DeadLetters> {
    loop {
        match DeadLetters::open(Arc::clone(bus)).await {
            Ok(dead_letters) => return Some(dead_letters),
            Err(_) if stop.is_cancelled() => return None,
            Err(_) => tokio::time::sleep(AGAIN).await,
        }
    }
}
