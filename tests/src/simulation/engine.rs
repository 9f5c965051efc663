//! Engines that can be killed at any await, frozen and stopped, and what each of them has counted.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;
use wasmill::bus::memory::MemoryBus;
use wasmill::bus::{Bus, BusError, DurableSpec, Start};
use wasmill::clock::Clock;
use wasmill::dead_letter::DeadLetters;
use wasmill::manifest::PluginName;
use wasmill::subject::Pattern;
use wasmill::telemetry::{PluginMetrics, Telemetry};
use wasmill::unkeyed::Deliverer;

use super::Broken;
use super::line::Line;
use super::plugin::{self, PLUGIN, STREAM};
use super::world::World;

/// The wait before a subscription that failed is tried again.
const RESUBSCRIBE: Duration = Duration::from_millis(250);
/// Several engines may share one consumer: each works on this fraction of what may be unacked.
const ENGINES_PER_CONSUMER: u32 = 4;

/// What an engine was told by the bus, to hold against what it counts.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    pub handed_out: u64,
    pub acked: u64,
    pub letters: u64,
    pub outputs: u64,
    /// Calls under way.
    pub calls: u32,
}

#[derive(Default)]
struct Vital {
    dead: bool,
    frozen: bool,
    /// After how many more breaths it dies.
    breaths: Option<u32>,
    waker: Option<Waker>,
    tally: Tally,
    metrics: Option<PluginMetrics>,
    /// The most calls it may have under way.
    concurrency: u32,
}

/// One engine's life, from start to kill or stop.
pub(super) struct Life {
    /// Its number, from 1.
    pub number: u32,
    vital: Mutex<Vital>,
}

impl Life {
    fn new(number: u32) -> Arc<Self> {
        Arc::new(Self { number, vital: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, Vital> {
        self.vital.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A moment at which it may die. Then, and when the run is over, nothing follows.
    pub async fn breathe(&self, world: &World) {
        if self.has_no_breath_left() || world.over.is_cancelled() {
            std::future::pending::<()>().await;
        }
    }

    fn has_no_breath_left(&self) -> bool {
        let mut vital = self.lock();
        if let Some(left) = vital.breaths {
            vital.breaths = Some(left.saturating_sub(1));
            vital.dead |= left == 0;
        }
        vital.dead
    }

    /// Kills it, after so many more breaths or at once.
    pub fn kill(&self, breaths: Option<u32>) {
        let mut vital = self.lock();
        match breaths {
            Some(_) => vital.breaths = breaths,
            None => vital.dead = true,
        }
        drop(vital);
        self.wake();
    }

    /// Takes back that it is to die later.
    pub fn spare(&self) {
        self.lock().breaths = None;
    }

    pub fn freeze(&self, frozen: bool) {
        self.lock().frozen = frozen;
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = self.lock().waker.take() {
            waker.wake();
        }
    }

    pub fn tally(&self, count: impl FnOnce(&mut Tally)) {
        count(&mut self.lock().tally);
    }

    /// Lets it have so many calls under way from now on, or as many as before if that is more: those last for a while.
    fn allow(&self, concurrency: u32) {
        let mut vital = self.lock();
        vital.concurrency = vital.concurrency.max(concurrency);
    }

    /// One call, until what is returned is dropped.
    pub fn at_work<'a>(&'a self, world: &World) -> impl Drop + use<'a> {
        struct AtWork<'a>(&'a Life);
        impl Drop for AtWork<'_> {
            fn drop(&mut self) {
                self.0.lock().tally.calls -= 1;
            }
        }
        let mut vital = self.lock();
        vital.tally.calls += 1;
        let (calls, most) = (vital.tally.calls, vital.concurrency);
        drop(vital);
        if calls > most {
            let detail = format!("{calls} calls, the most is {most}");
            world.found(Err(Broken { promise: "no-more-calls-than-allowed", detail, input: 0 }));
        }
        AtWork(self)
    }

    /// Whether what it counts fits what it was told.
    fn audit(&self, drained: bool) -> Result<(), Broken> {
        let vital = self.lock();
        let Some(metrics) = &vital.metrics else { return Ok(()) };
        let (counted, told) = (metrics.counters(), vital.tally);
        let ended = counted.done + counted.retried + counted.dead_lettered + counted.dropped;
        let holds = [
            counted.received == ended + counted.in_flight,
            counted.dropped == 0,
            counted.received <= told.handed_out,
            counted.done <= told.acked,
            counted.dead_lettered <= told.letters,
            counted.outputs <= told.outputs,
            !drained || counted.in_flight == 0,
            !drained || counted.received == told.handed_out,
            !drained || counted.done == told.acked,
            !drained || counted.outputs == told.outputs,
        ];
        if holds.into_iter().all(|holds| holds) {
            return Ok(());
        }
        let detail = format!("engine {}, drained: {drained}: {counted:?}; told {told:?}; {holds:?}", self.number);
        Err(Broken { promise: "the-counters-balance", detail, input: 0 })
    }
}

/// A future that lives as long as its engine does; none if that was killed.
struct Mortal<'a, T> {
    inner: BoxFuture<'a, T>,
    life: Arc<Life>,
}

impl<T> Future for Mortal<'_, T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        {
            let mut vital = self.life.lock();
            vital.waker = Some(cx.waker().clone());
            if vital.dead {
                return Poll::Ready(None);
            }
            if vital.frozen {
                return Poll::Pending;
            }
        }
        match self.inner.as_mut().poll(cx) {
            Poll::Ready(ended) => Poll::Ready(Some(ended)),
            Poll::Pending if self.life.lock().dead => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// An engine that runs.
#[derive(Clone)]
pub(super) struct Running {
    pub life: Arc<Life>,
    pub stop: CancellationToken,
    /// Ends its present subscription only.
    subscription: CancellationToken,
    deliverer: Arc<Deliverer>,
}

/// A place at which an engine runs, and after its end the next one.
pub(super) struct Slot {
    pub number: usize,
    world: Arc<World>,
    bus: Arc<MemoryBus>,
    /// Cancelled when no engine is to follow any more.
    pub closed: CancellationToken,
    /// The plugin's version and concurrency, as they lie in the engine's directory.
    installed: Mutex<(u32, u32)>,
    running: Mutex<Option<Running>>,
}

impl Slot {
    pub fn new(number: usize, world: &Arc<World>, bus: &Arc<MemoryBus>) -> Arc<Self> {
        Arc::new(Self {
            number,
            world: Arc::clone(world),
            bus: Arc::clone(bus),
            closed: CancellationToken::new(),
            installed: Mutex::new((1, world.plan.concurrency)),
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

    fn installed(&self) -> (u32, u32) {
        *self.installed.lock().unwrap_or_else(PoisonError::into_inner)
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
            self.world.found(life.audit(ended.is_some()));
            if let Some(Err(err)) = ended {
                let broken = Broken { promise: "an-engine-runs", detail: err.to_string(), input: 0 };
                self.world.found(Err(broken));
            }
            let down = self.world.weather(|weather, _| weather.delay());
            tokio::select! {
                biased;
                () = self.world.cleared.cancelled() => {}
                () = tokio::time::sleep(down) => {}
            }
        }
    }

    /// One engine, as the supervisor keeps it.
    async fn serve(&self, life: Arc<Life>, stop: CancellationToken) -> anyhow::Result<()> {
        let line = Line::new(&self.world, &life, &self.bus, self.number);
        let bus: Arc<dyn Bus> = Arc::new(line);
        let dead_letters = loop {
            match DeadLetters::open(Arc::clone(&bus)).await {
                Ok(dead_letters) => break dead_letters,
                Err(_) if stop.is_cancelled() => return Ok(()),
                Err(_) => tokio::time::sleep(RESUBSCRIBE).await,
            }
        };
        let plugin = PluginName::new(PLUGIN)?;
        let metrics = Telemetry::new().plugin(&plugin);
        life.lock().metrics = Some(metrics.clone());
        let (number, concurrency) = self.installed();
        life.allow(concurrency);
        let version = plugin::version(&self.world, &life, number, concurrency)?;
        let deliverer = Arc::new(Deliverer {
            plugin,
            bus: Arc::clone(&bus),
            dead_letters,
            metrics,
            clock: Arc::clone(&self.world.clock) as Arc<dyn Clock>,
            version: ArcSwap::from_pointee(version),
        });
        while !stop.is_cancelled() {
            let subscription = stop.child_token();
            self.set_running(Some(Running {
                life: Arc::clone(&life),
                stop: stop.clone(),
                subscription: subscription.clone(),
                deliverer: Arc::clone(&deliverer),
            }));
            let concurrency = deliverer.version.load().manifest.concurrency;
            if let Ok(intake) = bus.consume(&durable(&self.world, concurrency)?).await {
                let ended = deliverer.run(intake, subscription).await;
                self.world.note(life.number, 0, ended_as(&ended), 0);
                self.world.found(life.audit(true));
            }
            tokio::time::sleep(RESUBSCRIBE).await;
        }
        Ok(())
    }
}

fn ended_as(ended: &Result<(), BusError>) -> &'static str {
    if ended.is_ok() { "has drained" } else { "has drained after an error" }
}

fn durable(world: &World, concurrency: u32) -> anyhow::Result<DurableSpec> {
    Ok(DurableSpec {
        stream: STREAM.to_owned(),
        durable: format!("wasmill-{PLUGIN}"),
        filters: vec![Pattern::new("in.>")?],
        start: Start::All,
        ack_wait: Duration::from_millis(world.plan.retry.ack_wait_ms),
        max_ack_pending: concurrency * ENGINES_PER_CONSUMER,
        prefetch: concurrency as usize,
    })
}

impl Running {
    /// Puts another version into service; with another concurrency, the subscription is made anew.
    pub fn swap(&self, slot: &Slot, number: u32, concurrency: Option<u32>) {
        let mut installed = slot.installed.lock().unwrap_or_else(PoisonError::into_inner);
        *installed = (number, concurrency.unwrap_or(installed.1));
        self.life.allow(installed.1);
        // A version that cannot be made is none: the patterns in it are literals.
        if let Ok(version) = plugin::version(&slot.world, &self.life, number, installed.1) {
            self.deliverer.version.store(Arc::new(version));
        }
        if concurrency.is_some() {
            self.subscription.cancel();
        }
    }
}
