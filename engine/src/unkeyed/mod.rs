//! Stateless delivery: many events of a plugin in flight at once, each in the same few steps.
//!
//! receive → handle → check → publish with ids → all publish acks in → ack. Whatever fails on the way ends in a retry or a
//! dead letter; an input is never acked before what it caused is stored.
//!
//! In reading order: this file (events taken and settled), `step` (the way of one that goes well), `setback` (of one that
//! does not), `in_service` (what a plugin has, with a key or without one), `guard` (what keeps it from its events), `past`,
//! `sinks` (where outputs go), `input` (which event a delivery is). Bus, clock and plugin are parameters: a simulation brings its own.

mod guard;
pub mod in_service;
mod input;
#[cfg(feature = "mutants")]
mod mutants;
mod past;
mod setback;
mod sinks;
mod step;

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

pub use self::guard::{Condition, Guard};
use self::in_service::InService;
use self::input::Input;
pub use self::past::Past;
pub(crate) use self::setback::{LEAST_WAIT, again};
pub use self::sinks::Sinks;
use crate::breaker::Gate;
use crate::bus::{BusError, Delivery, Intake, Settlement};
use crate::event::Event;
use crate::faults::{failpoint, mutant};
use crate::flow::Taken;
use crate::limits::MIB;
use crate::outcome::{Handled, Outcome, Trouble};
use crate::sandbox::Workers;

/// How often within one ack wait the server is told that a delivery is being worked on.
const HEARTBEATS: u32 = 3;
/// The part of its ack wait after which a delivery that has not had its turn is left to the server's next.
const STALE: f64 = 0.6;

/// The deliveries being worked on; those among them that have ended upgrade to nothing.
type Working = Vec<Weak<Delivery>>;

/// Which of its events a subscription hands over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// As many as the manifest allows, while the breaker is closed.
    All,
    /// One at a time, while the breaker is half open.
    Probes,
    /// As many as the manifest allows, whatever the breaker says.
    Unguarded,
}

/// What goes with one event from its receipt to its end.
struct Errand<'a> {
    /// What it takes of the budget.
    taken: Taken,
    /// Told when its subscription takes its leave.
    stop: &'a CancellationToken,
}

/// What was in an event's way.
enum Setback {
    /// It failed.
    Failed(Trouble),
    /// Nothing has come of it yet, and it may wait: the breaker opened, or the engine takes its leave.
    Returned(&'static str),
}

impl<T: Into<Trouble>> From<T> for Setback {
    fn from(trouble: T) -> Self {
        Self::Failed(trouble.into())
    }
}

/// How a delivery ended, and the name of what was in its way: empty if nothing was.
type Ended = (Outcome, &'static str);

/// What hands an event to a plugin and brings its answer back.
pub trait Handler: Send + Sync {
    /// Hands one event over. Dropping the future gives the call up, if it has not begun.
    fn handle(&self, event: Arc<Event>) -> BoxFuture<'_, Handled>;
}

impl Handler for Workers {
    fn handle(&self, event: Arc<Event>) -> BoxFuture<'_, Handled> {
        Self::handle(self, event).boxed()
    }
}

/// One version of a plugin in service.
pub type Version = in_service::Version<dyn Handler>;

/// Delivers events to one plugin, whichever version is in service.
pub struct Deliverer {
    /// The plugin. Events in flight stay with the version that took them.
    pub plugin: InService<dyn Handler>,
    /// What is remembered of events that come again.
    pub past: Past,
}

impl Deliverer {
    /// Takes events until told to stop, the subscription ends or the breaker lets more or less through than at the
    /// beginning; then finishes those it has. A subscription without a stream is not subject to the breaker: its events cannot
    /// wait.
    ///
    /// # Errors
    /// The error that ended the subscription, if one did.
    pub async fn run(
        &self,
        mut intake: Box<dyn Intake>,
        flow: Flow,
        stop: CancellationToken,
    ) -> Result<(), BusError> {
        let mut in_flight = FuturesUnordered::new();
        let mut working = Working::new();
        let period =
            Duration::from_millis(self.plugin.version.load().manifest.retry.ack_wait_ms) / HEARTBEATS;
        let mut heartbeat = tokio::time::interval(period);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stopped = std::pin::pin!(stop.cancelled());
        let mut regated = std::pin::pin!(self.regated(flow));
        let ended = loop {
            let concurrency = self.concurrency(flow);
            let ready = in_flight.len() < concurrency;
            // Made before the look, so that nothing which is given back after it is missed.
            let freed = self.plugin.share.freed();
            let room = ready && self.plugin.share.has_room(self.most_bytes());
            tokio::select! {
                biased;
                () = &mut stopped => break Ok(()),
                () = &mut regated => break Ok(()),
                _ = heartbeat.tick() => self.keep_alive(&working, period).await,
                Some(()) = in_flight.next(), if !in_flight.is_empty() => {}
                () = freed, if ready && !room => {}
                next = intake.next(), if room => match next {
                    Some(Ok(delivery)) => {
                        let delivery = Arc::new(delivery);
                        if working.len() > 2 * concurrency {
                            // At most half of them are alive, so this costs each delivery one step.
                            working.retain(|delivery| delivery.strong_count() > 0);
                        }
                        working.push(Arc::downgrade(&delivery));
                        let taken = self.plugin.share.take(delivery.message.wire_bytes() as u64);
                        in_flight.push(self.deliver(delivery, Errand { taken, stop: &stop }));
                    }
                    Some(Err(err)) if err.is_transient() => {
                        tracing::warn!(plugin = self.plugin.name.as_str(), "{err}");
                    }
                    Some(Err(err)) => break Err(err),
                    None => break Ok(()),
                },
            }
        };
        failpoint!("stopping");
        // First the subscription, so that what it holds ahead goes to another engine at once.
        drop(intake);
        if mutant!("drain-skipped") {
            return ended;
        }
        loop {
            tokio::select! {
                biased;
                _ = heartbeat.tick() => self.keep_alive(&working, period).await,
                ended = in_flight.next() => if ended.is_none() { break },
            }
        }
        failpoint!("drained");
        ended
    }

    /// How many events of a subscription may be in flight.
    fn concurrency(&self, flow: Flow) -> usize {
        match flow {
            Flow::Probes if !mutant!("probes-unbounded") => 1,
            _ => self.plugin.version.load().manifest.concurrency as usize,
        }
    }

    /// How many bytes of the plugin's events may be in flight.
    fn most_bytes(&self) -> u64 {
        u64::from(self.plugin.version.load().manifest.limits.in_flight_mib) * MIB as u64
    }

    /// Resolves when the breaker lets something else through than `flow` says.
    async fn regated(&self, flow: Flow) {
        let wanted = match flow {
            _ if mutant!("quarantine-leaks") => return std::future::pending().await,
            Flow::All => Gate::Open,
            Flow::Probes => Gate::Probing,
            Flow::Unguarded => return std::future::pending().await,
        };
        // The sender lives as long as we do.
        let mut watch = self.plugin.guard.watch();
        drop(watch.wait_for(|condition| condition.gate != wanted).await);
    }

    /// Brings one delivery to its one outcome. What it takes of the budget is given back then.
    async fn deliver(&self, delivery: Arc<Delivery>, mut errand: Errand<'_>) {
        self.plugin.metrics.received();
        failpoint!("received");
        let version = self.plugin.version.load_full();
        let ack_wait = Duration::from_millis(version.manifest.retry.ack_wait_ms);
        let (outcome, reason) =
            if delivery.receipt.is_some() && delivery.received.elapsed() > ack_wait.mul_f64(STALE) {
                // It waited so long for its turn that the server delivers it again: whoever gets that one handles it.
                (Outcome::Retried, "stale")
            } else {
                self.handle(&version, &delivery, &mut errand).await
            };
        self.plugin.metrics.ended(outcome, reason);
        if mutant!("budget-leaks") {
            std::mem::forget(errand.taken);
        }
    }

    async fn handle(&self, version: &Arc<Version>, delivery: &Delivery, errand: &mut Errand<'_>) -> Ended {
        let input = match Input::of(delivery, &*self.plugin.bus, &*self.plugin.clock).await {
            Ok(input) => input,
            Err(err) => return self.unread(version, delivery, &err).await,
        };
        let ended = self.bring_through(version, &input, errand).await;
        if matches!(ended, (Outcome::Done | Outcome::DeadLettered, _)) {
            input.clean_up(&*self.plugin.bus).await;
        }
        ended
    }

    async fn bring_through(
        &self,
        version: &Arc<Version>,
        input: &Input<'_>,
        errand: &mut Errand<'_>,
    ) -> Ended {
        let delivery = input.delivery;
        if mutant!("ack-before-publish") {
            let _sent = self.settle(delivery, Settlement::Ack).await;
        }
        match self.step(version, input, errand).await {
            Ok(()) => {}
            Err(Setback::Returned(why)) => return self.give_back(delivery, why).await,
            Err(Setback::Failed(trouble)) => return self.failed(version, delivery, input, trouble).await,
        }
        if self.counts(version, delivery) {
            self.plugin.guard.well();
        }
        if input.origin.attempt > 1 {
            self.past.ended(&input.name);
        }
        let acked = self.settle(delivery, Settlement::Ack).await;
        failpoint!("acked");
        if acked.is_ok() || mutant!("ack-failure-ignored") {
            (Outcome::Done, "")
        } else {
            // All is stored, and the event comes again: then its outputs are dropped as repeats.
            (Outcome::Retried, "ack-not-sent")
        }
    }

    /// Whether what became of a delivery says something about the version in service.
    fn counts(&self, version: &Arc<Version>, delivery: &Delivery) -> bool {
        delivery.receipt.is_some() && Arc::ptr_eq(version, &self.plugin.version.load())
    }

    /// Tells the server which deliveries are still being worked on, so that it does not deliver them again.
    async fn keep_alive(&self, working: &Working, period: Duration) {
        // Without a connection each would wait for one, and meanwhile nothing else would be done here.
        if mutant!("heartbeat-missing") || !self.plugin.bus.is_connected() {
            return;
        }
        for delivery in working.iter().filter_map(Weak::upgrade) {
            if delivery.received.elapsed() >= period {
                let _sent = self.settle(&delivery, Settlement::InProgress).await;
            }
        }
    }

    /// Settles a delivery. A settlement that does not arrive means that the event is delivered again after the ack wait, which
    /// the ids of its outputs make harmless.
    async fn settle(&self, delivery: &Delivery, settlement: Settlement) -> Result<(), BusError> {
        let Some(receipt) = &delivery.receipt else { return Ok(()) };
        let sent = self.plugin.bus.settle(receipt, settlement).await;
        if let Err(err) = &sent {
            tracing::warn!(plugin = self.plugin.name.as_str(), ?settlement, "settlement not sent: {err}");
        }
        sent
    }
}
