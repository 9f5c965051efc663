//! How a plugin with a key comes to its events: a task for each partition of its keys.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Request;
use super::load::Ready;
use super::reload::Surroundings;
use super::service::{Deliver, Parts};
use super::view::Views;
use crate::clock::SystemClock;
use crate::effects::Emitter;
use crate::flow::Pace;
use crate::keyed::{Keyed, Standing, Version, Witness};
use crate::manifest::{Manifest, PluginName};
use crate::telemetry::PluginMetrics;
use crate::unkeyed::{Guard, Sinks};

/// Tells the supervisor how it stands.
struct Telling {
    plugin: PluginName,
    views: Views,
    requests: mpsc::Sender<Request>,
}

impl Witness for Telling {
    fn partition(&self, partition: u32, standing: Standing) {
        self.views.partition(&self.plugin, partition, standing);
    }

    fn migration_failed(&self, emitter: &Emitter, why: String) {
        // If the supervisor has too much to do, the next turn of the key asks again.
        let _full = self.requests.try_send(Request::Withdraw {
            plugin: self.plugin.clone(),
            digest: emitter.digest.clone(),
            why,
        });
    }
}

impl Deliver for Keyed {
    fn new(plugin: PluginName, around: &Surroundings, metrics: PluginMetrics, ready: Ready) -> Self {
        let witness = Telling {
            plugin: plugin.clone(),
            views: around.views.clone(),
            requests: around.requests.clone(),
        };
        Self {
            plugin,
            engine: around.engine.clone(),
            bus: Arc::clone(&around.load.bus),
            dead_letters: around.dead_letters.clone(),
            metrics,
            clock: Arc::new(SystemClock),
            share: Arc::new(around.budget.share(ready.manifest.weight)),
            pace: Pace::default(),
            guard: Guard::new(ready.manifest.breaker.clone()),
            sinks: Sinks::default(),
            witness: Box::new(witness),
            version: ArcSwap::from_pointee(version(ready)),
        }
    }

    fn parts(&self) -> Parts<'_> {
        let Self { plugin, bus, share, guard, sinks, .. } = self;
        Parts { plugin, bus: &**bus, share, guard, sinks }
    }

    fn manifest(&self) -> Arc<Manifest> {
        Arc::clone(&self.version.load().manifest)
    }

    fn swap(&self, ready: Ready) {
        self.version.store(Arc::new(version(ready)));
    }

    fn reads_the_same(before: &Manifest, after: &Manifest) -> bool {
        let of = |manifest: &Manifest| {
            let state = &manifest.state;
            (state.partitions, state.lease_ms, state.cache_mib, state.replicas)
        };
        before.subscribe == after.subscribe && before.key == after.key && of(before) == of(after)
    }

    /// One task for each partition.
    fn attend(
        self: &Arc<Self>,
        views: &Views,
        stop: &CancellationToken,
        begin: &CancellationToken,
    ) -> Vec<JoinHandle<()>> {
        let attend = |partition| {
            let standing = Standing::Problem("it is being set up".to_owned());
            views.partition(&self.plugin, partition, standing);
            let (keyed, stop, begin) = (Arc::clone(self), stop.clone(), begin.clone());
            tokio::spawn(async move {
                begin.cancelled().await;
                keyed.serve(partition, stop).await;
            })
        };
        (0..self.manifest().state.partitions).map(attend).collect()
    }
}

fn version(ready: Ready) -> Version {
    Version { handler: Box::new(ready.workers), manifest: ready.manifest, emitter: ready.emitter }
}
