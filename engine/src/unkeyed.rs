//! Stateless delivery: many events of a plugin in flight at once, each in the same few steps.
//!
//! receive → handle → check → publish with ids → all publish acks in → ack. Whatever fails on the way ends in a retry or a
//! dead letter; an input is never acked before what it caused is stored.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use futures::StreamExt as _;
use futures::future::try_join_all;
use futures::stream::FuturesUnordered;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::bus::{Bus, BusError, Delivery, Intake, Settlement};
use crate::dead_letter::{DeadLetters, Failed};
use crate::effects::{self, Emitter, Output, Rules};
use crate::event::{Event, Origin};
use crate::manifest::{Manifest, OutputDelivery, PluginName};
use crate::outcome::{Failure, Outcome, Remedy};
use crate::sandbox::Workers;
use crate::subject::Pattern;
use crate::telemetry::PluginMetrics;

/// How often within one ack wait the server is told that a delivery is being worked on.
const HEARTBEATS: u32 = 3;
/// The part of its ack wait after which a delivery that has not had its turn is left to the server's next.
const STALE: f64 = 0.6;
/// The least wait before a delivery that failed for reasons outside of it.
const LEAST_WAIT: Duration = Duration::from_millis(100);

/// The deliveries being worked on; those among them that have ended upgrade to nothing.
type Working = Vec<Weak<Delivery>>;

/// One version of a plugin in service.
pub struct Version {
    /// The threads that run it.
    pub workers: Workers,
    /// Its manifest.
    pub manifest: Arc<Manifest>,
    /// What its outputs say of it.
    pub emitter: Emitter,
}

/// Delivers events to one plugin, whichever version is in service.
pub struct Deliverer {
    /// The plugin.
    pub plugin: PluginName,
    /// Where events come from and outputs go.
    pub bus: Arc<dyn Bus>,
    /// Where failed events go.
    pub dead_letters: DeadLetters,
    /// What is counted.
    pub metrics: PluginMetrics,
    /// The version that takes the next event. Events in flight stay with the one that took them.
    pub version: ArcSwap<Version>,
}

impl Deliverer {
    /// Takes events until told to stop or the subscription ends, then finishes those it has.
    ///
    /// # Errors
    /// The error that ended the subscription, if one did.
    pub async fn run(&self, mut intake: Box<dyn Intake>, stop: CancellationToken) -> Result<(), BusError> {
        let mut in_flight = FuturesUnordered::new();
        let mut working = Working::new();
        let period = Duration::from_millis(self.version.load().manifest.retry.ack_wait_ms) / HEARTBEATS;
        let mut heartbeat = tokio::time::interval(period);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stopped = std::pin::pin!(stop.cancelled());
        let ended = loop {
            let concurrency = self.version.load().manifest.concurrency as usize;
            tokio::select! {
                biased;
                () = &mut stopped => break Ok(()),
                _ = heartbeat.tick() => self.keep_alive(&working, period).await,
                Some(()) = in_flight.next(), if !in_flight.is_empty() => {}
                next = intake.next(), if in_flight.len() < concurrency => match next {
                    Some(Ok(delivery)) => {
                        let delivery = Arc::new(delivery);
                        if working.len() > 2 * concurrency {
                            // At most half of them are alive, so this costs each delivery one step.
                            working.retain(|delivery| delivery.strong_count() > 0);
                        }
                        working.push(Arc::downgrade(&delivery));
                        in_flight.push(self.deliver(delivery));
                    }
                    Some(Err(err)) if err.is_transient() => {
                        tracing::warn!(plugin = self.plugin.as_str(), "{err}");
                    }
                    Some(Err(err)) => break Err(err),
                    None => break Ok(()),
                },
            }
        };
        // First the subscription, so that what it holds ahead goes to another engine at once.
        drop(intake);
        loop {
            tokio::select! {
                biased;
                _ = heartbeat.tick() => self.keep_alive(&working, period).await,
                ended = in_flight.next() => if ended.is_none() { break },
            }
        }
        ended
    }

    /// Brings one delivery to its one outcome.
    async fn deliver(&self, delivery: Arc<Delivery>) {
        self.metrics.received();
        let version = self.version.load_full();
        let ack_wait = Duration::from_millis(version.manifest.retry.ack_wait_ms);
        if delivery.receipt.is_some() && delivery.received.elapsed() > ack_wait.mul_f64(STALE) {
            // It waited so long for its turn that the server delivers it again: whoever gets that one handles it.
            return self.metrics.ended(Outcome::Retried);
        }
        let input = input_of(&delivery);
        let outcome = match self.step(&version, &delivery, &input).await {
            Ok(()) => {
                self.settle(&delivery, Settlement::Ack).await;
                Outcome::Done
            }
            Err(failure) => self.failed(&version, &delivery, &input, failure).await,
        };
        self.metrics.ended(outcome);
    }

    /// Tells the server which deliveries are still being worked on, so that it does not deliver them again.
    async fn keep_alive(&self, working: &Working, period: Duration) {
        for delivery in working.iter().filter_map(Weak::upgrade) {
            if delivery.received.elapsed() >= period {
                self.settle(&delivery, Settlement::InProgress).await;
            }
        }
    }

    /// The way of an event, as far as everything goes well.
    async fn step(&self, version: &Version, delivery: &Delivery, input: &str) -> Result<(), Failure> {
        let event = Event::decode(&delivery.message, origin_of(delivery)).map_err(Failure::Malformed)?;
        let event = Arc::new(event);
        let started = Instant::now();
        let handled = version.workers.handle(Arc::clone(&event)).await;
        self.metrics.called(started.elapsed());
        let rules = Rules {
            emit: &version.manifest.emit,
            limits: &version.manifest.limits,
            max_message_bytes: self.bus.max_message_bytes(),
        };
        let outputs = effects::check(&version.emitter, &event, input, handled?, rules)?;
        try_join_all(outputs.into_iter().enumerate().map(|(index, output)| self.publish(index, output)))
            .await?;
        Ok(())
    }

    async fn publish(&self, index: usize, output: Output) -> Result<(), Failure> {
        let sent = match output.delivery {
            OutputDelivery::Stored => self.bus.publish(output.message).await.map(|stored| stored.duplicate),
            OutputDelivery::Core => self.bus.publish_core(output.message).await.map(|()| false),
        };
        match sent {
            Ok(repeat) => {
                self.metrics.stored(repeat);
                Ok(())
            }
            Err(BusError::TooLarge { bytes, limit, .. }) => Err(Failure::OutputSize { index, bytes, limit }),
            Err(err) => {
                let reason = err.to_string();
                let for_good = match err {
                    // Between two leaders a stream does not answer; that is no event's fault.
                    BusError::NoStream { subject } => !self.has_stream(subject).await,
                    BusError::Unacceptable { .. } => true,
                    _ => false,
                };
                let failure = if for_good {
                    Failure::Unstorable { index, reason }
                } else {
                    Failure::Publish { index, reason }
                };
                Err(failure)
            }
        }
    }

    /// Whether some stream stores a subject, as far as anybody knows.
    async fn has_stream(&self, subject: String) -> bool {
        match Pattern::new(subject) {
            Ok(pattern) => self.bus.streams_for(&pattern).await.is_ok_and(|streams| !streams.is_empty()),
            Err(_) => false,
        }
    }

    async fn failed(&self, version: &Version, delivery: &Delivery, input: &str, failure: Failure) -> Outcome {
        let attempt = delivery.position.as_ref().map_or(1, |position| position.attempt);
        self.metrics.failed(&failure, input, attempt);
        let retry = &version.manifest.retry;
        let remedy = failure.remedy();
        let again = match remedy {
            Remedy::GiveUp => false,
            Remedy::Retry => attempt < retry.attempts,
            Remedy::Wait => true,
        };
        if again && delivery.receipt.is_some() {
            let wait = match &failure {
                Failure::Retry { after: Some(after), .. } => {
                    (*after).min(Duration::from_millis(retry.max_delay_ms))
                }
                // An outage must not become a hot loop, whatever the manifest says of failures.
                _ if remedy == Remedy::Wait => jittered(retry.delay_after(attempt).max(LEAST_WAIT)),
                _ => jittered(retry.delay_after(attempt)),
            };
            self.settle(delivery, Settlement::Nak(wait)).await;
            return Outcome::Retried;
        }
        let position = delivery.position.as_ref();
        let letter = Failed {
            message: &delivery.message,
            position,
            input,
            emitter: &version.emitter,
            failure: &failure,
        };
        match self.dead_letters.store(&self.plugin, letter).await {
            Ok(()) => {
                self.settle(delivery, Settlement::Term).await;
                Outcome::DeadLettered
            }
            Err(err) => {
                tracing::error!(
                    plugin = self.plugin.as_str(),
                    event = input,
                    "its dead letter was not stored: {err}"
                );
                if delivery.receipt.is_none() {
                    return Outcome::Dropped;
                }
                self.settle(delivery, Settlement::Nak(jittered(Duration::from_millis(retry.max_delay_ms))))
                    .await;
                Outcome::Retried
            }
        }
    }

    async fn settle(&self, delivery: &Delivery, settlement: Settlement) {
        let Some(receipt) = &delivery.receipt else { return };
        if let Err(err) = self.bus.settle(receipt, settlement).await {
            // The server delivers the event again after the ack wait, and the ids of its outputs make that harmless.
            tracing::warn!(plugin = self.plugin.as_str(), ?settlement, "settlement not sent: {err}");
        }
    }
}

/// Up to a quarter more, so that events which failed together do not come back together.
fn jittered(wait: Duration) -> Duration {
    wait + wait.mul_f64(fastrand::f64() / 4.0)
}

/// Names an event's place on the bus: stream, the stream's incarnation, sequence.
fn input_of(delivery: &Delivery) -> String {
    match &delivery.position {
        Some(at) => format!("{}@{:x}:{}", at.stream, at.incarnation_ms, at.sequence),
        // Without a stream nothing is ever delivered twice, so any name that is not used twice will do.
        None => format!("core:{:016x}", fastrand::u64(..)),
    }
}

fn origin_of(delivery: &Delivery) -> Origin {
    match &delivery.position {
        Some(at) => Origin {
            id: format!("{}:{}", at.stream, at.sequence),
            source: format!("nats:{}", at.stream),
            time_ns: at.stored_ns,
            attempt: at.attempt,
        },
        None => Origin {
            id: format!("core-{:016x}", fastrand::u64(..)),
            source: format!("nats:{}", delivery.message.subject.as_str()),
            time_ns: u64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or_default(),
            attempt: 1,
        },
    }
}
