//! One engine, as the supervisor keeps it.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use wasmill::breaker::Gate;
use wasmill::bus::{Bus, DurableSpec, Intake, Start};
use wasmill::dead_letter::DeadLetters;
use wasmill::subject::Pattern;
use wasmill::unkeyed::{Deliverer, Flow, Past};

use super::super::plugin::{PLUGIN, STREAM};
use super::super::slot::{self, AGAIN, dead_letters};
use super::life::Life;
use super::line::Line;
use super::{World, plugin};

/// Several engines may share one consumer: each works on this fraction of what may be unacked.
const ENGINES_PER_CONSUMER: u32 = 4;

/// The place of an engine.
pub(super) type Slot = slot::Slot<super::Unkeyed>;

/// An engine that runs.
#[derive(Clone)]
pub(super) struct Running {
    pub life: Arc<Life>,
    pub stop: CancellationToken,
    /// Ends its present subscription only.
    subscription: CancellationToken,
    deliverer: Arc<Deliverer>,
}

/// One engine, as the supervisor keeps it.
pub(super) async fn serve(slot: &Slot, life: Arc<Life>, stop: CancellationToken) -> anyhow::Result<()> {
    let line = Line::new(&slot.world, &life, &slot.bus, slot.number);
    let bus: Arc<dyn Bus> = Arc::new(line);
    let Some(dead_letters) = dead_letters(&bus, &stop).await else { return Ok(()) };
    let deliverer = Arc::new(slot.deliverer(&life, &bus, dead_letters)?);
    tokio::select! {
        biased;
        () = deliverer.plugin.keep_sinks() => Ok(()),
        ended = slot.deliver(&life, &bus, &deliverer, &stop) => ended,
    }
}

impl Slot {
    /// Keeps the subscription up until told to stop.
    async fn deliver(
        &self,
        life: &Arc<Life>,
        bus: &Arc<dyn Bus>,
        deliverer: &Arc<Deliverer>,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        while !stop.is_cancelled() {
            let subscription = stop.child_token();
            self.set_running(Some(Running {
                life: Arc::clone(life),
                stop: stop.clone(),
                subscription: subscription.clone(),
                deliverer: Arc::clone(deliverer),
            }));
            let opened = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                opened = self.open(bus, deliverer) => opened?,
            };
            if let Some((intake, flow, concurrency)) = opened {
                life.subscribes(flow, concurrency, subscription.clone());
                self.world.note(life.number, 0, subscribes(flow), concurrency.into());
                let ended = deliverer.run(intake, flow, subscription).await;
                self.world.note(life.number, 0, if ended.is_ok() { DRAINED } else { FAILED }, 0);
                self.world.found(life.audit(true));
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = tokio::time::sleep(AGAIN) => {}
            }
        }
        Ok(())
    }

    fn deliverer(
        &self,
        life: &Arc<Life>,
        bus: &Arc<dyn Bus>,
        dead_letters: DeadLetters,
    ) -> anyhow::Result<Deliverer> {
        let (number, concurrency) = self.installed();
        let version = plugin::version(&self.world, life, number, concurrency)?;
        let plugin = self.in_service(Arc::clone(bus), dead_letters, self.world.plan.budget, version)?;
        life.watch(plugin.metrics.clone(), plugin.guard.watch());
        Ok(Deliverer { plugin, past: Past::default() })
    }

    /// Subscribes, once the breaker lets events pass; none if it did not work.
    async fn open(&self, bus: &Arc<dyn Bus>, deliverer: &Deliverer) -> anyhow::Result<Option<Opened>> {
        let flow = match deliverer.plugin.guard.admitted().await {
            Gate::Open => Flow::All,
            Gate::Probing | Gate::Shut { .. } => Flow::Probes,
        };
        let concurrency = deliverer.plugin.version.load().manifest.concurrency;
        let mut spec = durable(&self.world, concurrency)?;
        if flow == Flow::Probes {
            spec.prefetch = 1;
        }
        Ok(bus.consume(&spec).await.ok().map(|intake| (intake, flow, concurrency)))
    }
}

/// A subscription, what it hands over, and how many at once.
type Opened = (Box<dyn Intake>, Flow, u32);

const DRAINED: &str = "has drained";
const FAILED: &str = "has drained after an error";

fn subscribes(flow: Flow) -> &'static str {
    if flow == Flow::Probes { "subscribes for probes, concurrency" } else { "subscribes, concurrency" }
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
        prefetch_bytes: wasmill::limits::PREFETCH_BYTES,
    })
}

impl Running {
    /// Puts another version into service; with another concurrency, the subscription is made anew.
    pub fn swap(&self, slot: &Slot, number: u32, concurrency: Option<u32>) {
        let installed = (number, concurrency.unwrap_or(slot.installed().1));
        slot.install(installed);
        self.life.allow(installed.1);
        // A version that cannot be made is none: the patterns in it are literals.
        if let Ok(version) = plugin::version(&slot.world, &self.life, number, installed.1) {
            let manifest = Arc::clone(&version.manifest);
            self.deliverer.plugin.version.store(Arc::new(version));
            self.deliverer.plugin.share.weigh(manifest.weight);
            self.deliverer.plugin.guard.reset(manifest.breaker.clone());
        }
        if concurrency.is_some() {
            self.subscription.cancel();
        }
    }
}
