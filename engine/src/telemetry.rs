//! Every metric by name. Nothing else in the engine names one, and none is labelled by subject or by event.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::manifest::PluginName;
use crate::outcome::{Failure, Outcome};
use crate::status::{Counters, FailureStatus, PluginState};

type CallTimes = Family<PluginLabel, Histogram, fn() -> Histogram>;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PluginLabel {
    plugin: Name,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    plugin: Name,
    outcome: &'static str,
    /// The failure's name, or what else was in the way; empty if nothing was.
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    plugin: Name,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    plugin: Name,
    state: &'static str,
}

/// A plugin's name as a label: shared, because every label set holds one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Name(Arc<str>);

impl EncodeLabelValue for Name {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        (&*self.0).encode(encoder)
    }
}

/// All metrics of one engine.
#[derive(Clone)]
pub struct Telemetry(Arc<Inner>);

struct Inner {
    registry: Registry,
    received: Family<PluginLabel, Counter>,
    ended: Family<OutcomeLabels, Counter>,
    failed: Family<ReasonLabels, Counter>,
    outputs: Family<PluginLabel, Counter>,
    repeats: Family<PluginLabel, Counter>,
    in_flight: Family<PluginLabel, Gauge>,
    call_seconds: CallTimes,
    swaps: Family<PluginLabel, Counter>,
    refusals: Family<PluginLabel, Counter>,
    states: Family<StateLabels, Gauge>,
    connected: Gauge,
    reconnects: Counter,
    core_dropped: Counter,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self::new()
    }
}

impl Telemetry {
    /// A set of metrics, all at zero.
    #[must_use]
    pub fn new() -> Self {
        let inner = Inner {
            registry: Registry::with_prefix("wasmill"),
            received: Family::default(),
            ended: Family::default(),
            failed: Family::default(),
            outputs: Family::default(),
            repeats: Family::default(),
            in_flight: Family::default(),
            call_seconds: CallTimes::new_with_constructor(call_buckets),
            swaps: Family::default(),
            refusals: Family::default(),
            states: Family::default(),
            connected: Gauge::default(),
            reconnects: Counter::default(),
            core_dropped: Counter::default(),
        };
        Self(Arc::new(inner.registered()))
    }

    /// The handles of one plugin, so that the hot path looks nothing up.
    #[must_use]
    pub fn plugin(&self, name: &PluginName) -> PluginMetrics {
        let inner = &self.0;
        let label = PluginLabel { plugin: Name(name.as_str().into()) };
        let done =
            OutcomeLabels { plugin: label.plugin.clone(), outcome: Outcome::Done.as_str(), reason: "" };
        PluginMetrics {
            received: inner.received.get_or_create_owned(&label),
            done: inner.ended.get_or_create_owned(&done),
            ended: inner.ended.clone(),
            totals: Arc::default(),
            outputs: inner.outputs.get_or_create_owned(&label),
            repeats: inner.repeats.get_or_create_owned(&label),
            in_flight: inner.in_flight.get_or_create_owned(&label),
            call_seconds: inner.call_seconds.get_or_create_owned(&label),
            swaps: inner.swaps.get_or_create_owned(&label),
            refusals: inner.refusals.get_or_create_owned(&label),
            failed: inner.failed.clone(),
            states: inner.states.clone(),
            suppressed: Arc::new(AtomicU64::new(0)),
            last_failure: Arc::default(),
            label,
        }
    }

    /// The connection came or went.
    pub fn connection(&self, connected: bool) {
        self.0.connected.set(i64::from(connected));
        if connected {
            self.0.reconnects.inc();
        }
    }

    /// A core subscription lost messages before a plugin saw them.
    pub fn core_dropped(&self, count: u64) {
        self.0.core_dropped.inc_by(count);
    }

    /// All metrics in the Prometheus text format.
    #[must_use]
    pub fn exposition(&self) -> String {
        let mut page = String::new();
        // Writing to a string cannot fail.
        let _ok = text::encode(&mut page, &self.0.registry);
        page
    }
}

impl Inner {
    fn registered(mut self) -> Self {
        let registry = &mut self.registry;
        registry.register("events_received", "Deliveries taken from the bus", self.received.clone());
        registry.register("events_ended", "Deliveries by outcome and reason", self.ended.clone());
        registry.register("event_failures", "Failures by reason", self.failed.clone());
        registry.register("outputs", "Outputs stored", self.outputs.clone());
        registry.register(
            "outputs_repeated",
            "Outputs the stream had already and dropped",
            self.repeats.clone(),
        );
        registry.register("events_in_flight", "Deliveries being worked on", self.in_flight.clone());
        registry.register("call_seconds", "Time that a guest had an event", self.call_seconds.clone());
        registry.register("plugin_swaps", "Versions put into service", self.swaps.clone());
        registry.register("plugin_refusals", "Plugin files refused", self.refusals.clone());
        registry.register("plugin_state", "1 for the state a plugin is in", self.states.clone());
        registry.register("bus_connected", "1 while connected", self.connected.clone());
        registry.register("bus_connects", "Connections made", self.reconnects.clone());
        registry.register(
            "core_dropped",
            "Messages of core subscriptions lost for want of room",
            self.core_dropped.clone(),
        );
        self
    }
}

/// 10 µs to 5 s, in steps of 2.5 or so.
fn call_buckets() -> Histogram {
    Histogram::new(exponential_buckets(0.000_01, 2.5, 15))
}

/// Endings of whatever reason.
#[derive(Default)]
struct Totals {
    retried: AtomicU64,
    dead_lettered: AtomicU64,
    dropped: AtomicU64,
}

/// The metrics of one plugin.
#[derive(Clone)]
pub struct PluginMetrics {
    label: PluginLabel,
    received: Counter,
    /// The one ending that is counted often.
    done: Counter,
    ended: Family<OutcomeLabels, Counter>,
    totals: Arc<Totals>,
    outputs: Counter,
    repeats: Counter,
    in_flight: Gauge,
    call_seconds: Histogram,
    swaps: Counter,
    refusals: Counter,
    failed: Family<ReasonLabels, Counter>,
    states: Family<StateLabels, Gauge>,
    suppressed: Arc<AtomicU64>,
    last_failure: Arc<Mutex<Option<FailureStatus>>>,
}

/// Of failures of one plugin, each of the first so many is logged, then one in so many.
const LOGGED_FAILURES: u64 = 100;

impl PluginMetrics {
    /// A delivery was taken from the bus.
    pub fn received(&self) {
        self.received.inc();
        self.in_flight.inc();
    }

    /// A delivery has ended. `reason` names what was in the way; it is empty if nothing was.
    pub fn ended(&self, outcome: Outcome, reason: &'static str) {
        let total = match outcome {
            Outcome::Done => None,
            Outcome::Retried => Some(&self.totals.retried),
            Outcome::DeadLettered => Some(&self.totals.dead_lettered),
            Outcome::Dropped => Some(&self.totals.dropped),
        };
        match total {
            None => _ = self.done.inc(),
            Some(total) => {
                total.fetch_add(1, Ordering::Relaxed);
                let plugin = self.label.plugin.clone();
                let labels = OutcomeLabels { plugin, outcome: outcome.as_str(), reason };
                self.ended.get_or_create(&labels).inc();
            }
        }
        self.in_flight.dec();
    }

    /// An event failed. Counted always, logged within reason: a flood of bad events must not become a flood of lines.
    pub fn failed(&self, failure: &Failure, event_id: &str, attempt: u32) {
        let labels = ReasonLabels { plugin: self.label.plugin.clone(), reason: failure.name() };
        self.failed.get_or_create(&labels).inc();
        let told = FailureStatus {
            reason: failure.name().to_owned(),
            detail: failure.text(),
            event: event_id.to_owned(),
            time: jiff::Timestamp::now().to_string(),
        };
        *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(told);
        let count = self.suppressed.fetch_add(1, Ordering::Relaxed);
        if count < LOGGED_FAILURES || count.is_multiple_of(LOGGED_FAILURES) {
            let plugin = &*self.label.plugin.0;
            tracing::warn!(plugin, event = event_id, attempt, reason = failure.name(), "{}", failure.line());
        }
    }

    /// The last failure that was counted.
    #[must_use]
    pub fn last_failure(&self) -> Option<FailureStatus> {
        self.last_failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// An output was stored; `repeat` if the stream had it already.
    pub fn stored(&self, repeat: bool) {
        if repeat {
            self.repeats.inc()
        } else {
            self.outputs.inc()
        };
    }

    /// How long a call took.
    pub fn called(&self, took: Duration) {
        self.call_seconds.observe(took.as_secs_f64());
    }

    /// A version went into service.
    pub fn swapped(&self) {
        self.swaps.inc();
    }

    /// The plugin's files were refused.
    pub fn refused(&self) {
        self.refusals.inc();
    }

    /// The plugin changed from one state to another.
    pub fn state(&self, from: Option<PluginState>, to: Option<PluginState>) {
        for (state, value) in [(from, 0), (to, 1)] {
            if let Some(state) = state {
                let labels = StateLabels { plugin: self.label.plugin.clone(), state: state.as_str() };
                self.states.get_or_create(&labels).set(value);
            }
        }
    }

    /// The counts so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let total = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counters {
            received: self.received.get(),
            done: self.done.get(),
            retried: total(&self.totals.retried),
            dead_lettered: total(&self.totals.dead_lettered),
            dropped: total(&self.totals.dropped),
            outputs: self.outputs.get(),
            in_flight: u64::try_from(self.in_flight.get()).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counters_balance_and_are_exposed() {
        let telemetry = Telemetry::new();
        let metrics = telemetry.plugin(&PluginName::new("alerts").unwrap());
        for outcome in [Outcome::Done, Outcome::Retried, Outcome::DeadLettered, Outcome::Dropped] {
            metrics.received();
            metrics.ended(outcome, "");
        }
        metrics.received();
        metrics.failed(&Failure::Stack, "e1", 1);
        let c = metrics.counters();
        assert_eq!(metrics.last_failure().unwrap().reason, "stack-limit");
        assert_eq!(c.received, c.done + c.retried + c.dead_lettered + c.dropped + c.in_flight);
        let page = telemetry.exposition();
        assert!(
            page.contains("wasmill_events_ended_total{plugin=\"alerts\",outcome=\"done\",reason=\"\"} 1"),
            "{page}"
        );
        assert!(page.contains("reason=\"stack-limit\"} 1"));
        assert!(page.ends_with("# EOF\n"));
    }
}
