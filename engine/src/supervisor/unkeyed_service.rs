//! How a plugin without a key comes to its events: a task for each of its subscriptions.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::reload::Surroundings;
use super::service::Deliver;
use super::view::Views;
use crate::breaker::Gate;
use crate::bus::{BusError, CoreSpec, DurableSpec, Intake};
use crate::dead_letter::{redrives_spec, redrives_subscription};
use crate::faults::failpoint;
use crate::limits::PREFETCH_BYTES;
use crate::manifest::{Manifest, PluginName, Subscribe};
use crate::sandbox::Workers;
use crate::subject::Pattern;
use crate::unkeyed::in_service::InService;
use crate::unkeyed::{Deliverer, Flow, Handler, Past};

/// Messages of a core subscription that may wait for their plugin.
const CORE_BUFFER: usize = 8_192;
/// The wait before a subscription that failed is tried again, first and at most.
const RESUBSCRIBE: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(15));
/// How often a stream that is being read is looked up.
const WATCH: Duration = Duration::from_secs(5);
/// Several engines may share one consumer: each works on this fraction of what may be unacked.
const ENGINES_PER_CONSUMER: u32 = 4;

impl Deliver for Deliverer {
    type Handler = dyn Handler;

    fn handler(workers: Workers) -> Box<dyn Handler> {
        Box::new(workers)
    }

    fn new(plugin: InService<dyn Handler>, _around: &Surroundings) -> Self {
        Self { plugin, past: Past::default() }
    }

    fn plugin(&self) -> &InService<dyn Handler> {
        &self.plugin
    }

    fn reads_the_same(before: &Manifest, after: &Manifest) -> bool {
        before.subscribe == after.subscribe
            && before.concurrency == after.concurrency
            && before.retry.ack_wait_ms == after.retry.ack_wait_ms
    }

    /// One task for each subscription.
    fn attend(
        self: &Arc<Self>,
        views: &Views,
        stop: &CancellationToken,
        begin: &CancellationToken,
    ) -> Vec<JoinHandle<()>> {
        let manifest = self.plugin.manifest();
        let name = &self.plugin.name;
        let redrives = redrives_subscription(name, manifest.concurrency, manifest.retry.ack_wait_ms);
        let subscribed = manifest.subscribe.iter().flat_map(|entry| sources(name, &manifest, entry));
        let attend = |source: Source| {
            let attendant = Attendant {
                what: source.to_string(),
                deliverer: Arc::clone(self),
                views: views.clone(),
                stop: stop.clone(),
                source,
            };
            if !matches!(attendant.source, Source::Redrives(_)) {
                attendant.tell(Some("it is being set up".to_owned()));
            }
            let begin = begin.clone();
            tokio::spawn(async move {
                begin.cancelled().await;
                attendant.run().await;
            })
        };
        subscribed.chain(redrives.map(Source::Redrives)).map(attend).collect()
    }
}

/// One subscription on the bus.
enum Source {
    Durable(DurableSpec),
    /// Dead letters that somebody sends back. A plugin that cannot have them does its work all the same.
    Redrives(DurableSpec),
    Core(CoreSpec),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Durable(spec) | Self::Redrives(spec) => write!(f, "stream {}", spec.stream),
            Self::Core(spec) => write!(f, "subject {}", spec.subject),
        }
    }
}

fn sources(plugin: &PluginName, manifest: &Manifest, entry: &Subscribe) -> Vec<Source> {
    if let Some(spec) = durable_spec(plugin, manifest, entry) {
        return vec![Source::Durable(spec)];
    }
    let queue_group = Some(format!("wasmill-{plugin}"));
    let core = |subject: &Pattern| CoreSpec {
        subject: subject.clone(),
        queue_group: queue_group.clone(),
        buffer: CORE_BUFFER,
    };
    entry.subjects.iter().map(core).map(Source::Core).collect()
}

/// The durable consumer behind a subscription; none for a core subscription.
pub(super) fn durable_spec(
    plugin: &PluginName,
    manifest: &Manifest,
    entry: &Subscribe,
) -> Option<DurableSpec> {
    Some(DurableSpec {
        stream: entry.stream.clone()?,
        durable: entry.durable.clone().unwrap_or_else(|| format!("wasmill-{plugin}")),
        filters: entry.subjects.clone(),
        start: entry.start,
        ack_wait: Duration::from_millis(manifest.retry.ack_wait_ms),
        max_ack_pending: manifest.concurrency * ENGINES_PER_CONSUMER,
        prefetch: manifest.concurrency as usize,
        prefetch_bytes: PREFETCH_BYTES,
    })
}

/// Keeps one subscription up.
struct Attendant {
    /// What it attends to, for people.
    what: String,
    deliverer: Arc<Deliverer>,
    views: Views,
    stop: CancellationToken,
    source: Source,
}

impl Attendant {
    async fn run(self) {
        let what = &self.what;
        let plugin = &self.deliverer.plugin.name;
        let mut wait = RESUBSCRIBE.0;
        let mut logged = None;
        while !self.stop.is_cancelled() {
            let opened = tokio::select! {
                () = self.stop.cancelled() => return,
                opened = self.open() => opened,
            };
            let ended = match opened {
                Ok((intake, flow)) => {
                    self.tell(None);
                    failpoint!("resubscribed");
                    wait = RESUBSCRIBE.0;
                    tokio::select! {
                        ended = self.deliverer.run(intake, flow, self.stop.clone()) => ended,
                        never = self.watch() => match never {},
                    }
                }
                Err(err) => Err(err),
            };
            if let Err(err) = ended {
                let problem = err.to_string();
                // An engine that may not read redrives is one that its operator wants so.
                if !matches!(self.source, Source::Redrives(_)) || logged.as_ref() != Some(&problem) {
                    tracing::warn!(plugin = plugin.as_str(), "{what}: {problem}; trying again in {wait:?}");
                    logged = Some(problem.clone());
                }
                self.tell(Some(problem));
            }
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(wait) => wait = (wait * 2).min(RESUBSCRIBE.1),
            }
        }
    }

    /// Tells why the subscription does not stand, or that it does.
    fn tell(&self, problem: Option<String>) {
        let plugin = &self.deliverer.plugin.name;
        match &self.source {
            Source::Redrives(_) => self.views.redrives(plugin, problem),
            Source::Durable(_) | Source::Core(_) => self.views.subscription(plugin, &self.what, problem),
        }
    }

    /// Tells whether the stream is still there. An intake that stands goes on by itself when a stream comes back, so it says
    /// nothing of one that is gone.
    async fn watch(&self) -> Infallible {
        let Source::Durable(spec) = &self.source else { return std::future::pending().await };
        let mut told = false;
        loop {
            tokio::time::sleep(WATCH).await;
            let missing = match self.deliverer.plugin.bus.stream(&spec.stream).await {
                Ok(_) => None,
                Err(err @ BusError::StreamMissing(_)) => Some(err.to_string()),
                // Nothing is known: the connection has a status of its own.
                Err(_) => continue,
            };
            if missing.is_some() != told {
                told = missing.is_some();
                self.tell(missing);
            }
        }
    }

    /// Subscribes, once the breaker lets events pass.
    async fn open(&self) -> Result<(Box<dyn Intake>, Flow), BusError> {
        let bus = &self.deliverer.plugin.bus;
        if matches!(self.source, Source::Redrives(_)) {
            bus.ensure_stream(&redrives_spec()?).await?;
        }
        match &self.source {
            Source::Durable(spec) | Source::Redrives(spec) => {
                match self.deliverer.plugin.guard.admitted().await {
                    Gate::Open => Ok((bus.consume(spec).await?, Flow::All)),
                    Gate::Probing | Gate::Shut { .. } => {
                        let one = DurableSpec { prefetch: 1, ..spec.clone() };
                        Ok((bus.consume(&one).await?, Flow::Probes))
                    }
                }
            }
            Source::Core(spec) => Ok((bus.subscribe(spec).await?, Flow::Unguarded)),
        }
    }
}
