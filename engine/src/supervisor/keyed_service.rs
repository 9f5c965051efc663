//! One plugin with a key in service: a task for each partition of its keys.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Request;
use super::load::Ready;
use super::reload::Surroundings;
use super::view::Views;
use crate::clock::SystemClock;
use crate::effects::Emitter;
use crate::flow::Pace;
use crate::keyed::{Keyed, Standing, Version, Witness};
use crate::manifest::{Manifest, PluginName};
use crate::telemetry::PluginMetrics;
use crate::unkeyed::{Guard, Sinks};

/// A plugin with a key in service.
pub(super) struct KeyedService {
    keyed: Arc<Keyed>,
    views: Views,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    /// Ends the tasks that tell what is in the way of the plugin's events and keep the streams of its outputs looked up.
    _telling: DropGuard,
}

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

impl KeyedService {
    pub fn start(
        plugin: PluginName,
        around: &Surroundings,
        metrics: PluginMetrics,
        ready: Ready,
        finishing: Vec<JoinHandle<()>>,
    ) -> Self {
        let witness = Telling {
            plugin: plugin.clone(),
            views: around.views.clone(),
            requests: around.requests.clone(),
        };
        let keyed = Arc::new(Keyed {
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
        });
        let ended = CancellationToken::new();
        let views = around.views.clone();
        let telling =
            super::service::tell(Arc::clone(&keyed), |keyed| (&keyed.plugin, &keyed.guard), views.clone());
        tokio::spawn(ended.clone().run_until_cancelled_owned(telling));
        let sinks = Arc::clone(&keyed);
        tokio::spawn(ended.clone().run_until_cancelled_owned(async move {
            sinks.sinks.keep(&*sinks.bus, || sinks.version.load().manifest.emit.clone()).await;
        }));
        let stop = CancellationToken::new();
        let mut service = Self { keyed, views, stop, tasks: Vec::new(), _telling: ended.drop_guard() };
        service.attend(finishing);
        service.warn();
        service
    }

    /// Puts another version into service. A turn that has begun stays with the one that took it.
    pub fn replace(&mut self, ready: Ready) {
        let manifest = Arc::clone(&ready.manifest);
        let before = self.keyed.version.swap(Arc::new(version(ready)));
        if before.manifest.emit != manifest.emit {
            self.keyed.sinks.forget();
            self.warn();
        }
        self.keyed.share.weigh(manifest.weight);
        self.keyed.guard.reset(manifest.breaker.clone());
        crate::faults::failpoint!("swapped");
        if reads_the_same(&before.manifest, &manifest) {
            return;
        }
        self.stop.cancel();
        self.stop = CancellationToken::new();
        let finishing = std::mem::take(&mut self.tasks);
        self.views.forget_subscriptions(&self.keyed.plugin);
        self.attend(finishing);
    }

    /// Stops taking events; the returned tasks end when the turns that have begun are over.
    pub fn stop(self) -> Vec<JoinHandle<()>> {
        self.stop.cancel();
        self.tasks
    }

    /// Starts a task for each partition, once those before have let theirs go.
    fn attend(&mut self, finishing: Vec<JoinHandle<()>>) {
        let partitions = self.keyed.version.load().manifest.state.partitions;
        let finished = CancellationToken::new();
        let signal = finished.clone();
        self.tasks.push(tokio::spawn(async move {
            for task in finishing {
                // A task that panicked has finished too.
                let _ended = task.await;
            }
            signal.cancel();
        }));
        for partition in 0..partitions {
            let standing = Standing::Problem("it is being set up".to_owned());
            self.views.partition(&self.keyed.plugin, partition, standing);
            let (keyed, stop, finished) = (Arc::clone(&self.keyed), self.stop.clone(), finished.clone());
            self.tasks.push(tokio::spawn(async move {
                finished.cancelled().await;
                keyed.serve(partition, stop).await;
            }));
        }
    }

    /// Looks whether the streams that it emits to keep what is promised.
    fn warn(&self) {
        let (keyed, views) = (Arc::clone(&self.keyed), self.views.clone());
        tokio::spawn(async move {
            let manifest = Arc::clone(&keyed.version.load().manifest);
            super::horizon::tell(&*keyed.bus, &keyed.plugin, &manifest, &views).await;
        });
    }
}

fn version(ready: Ready) -> Version {
    Version { handler: Box::new(ready.workers), manifest: ready.manifest, emitter: ready.emitter }
}

fn reads_the_same(before: &Manifest, after: &Manifest) -> bool {
    let of = |manifest: &Manifest| {
        let state = &manifest.state;
        (state.partitions, state.lease_ms, state.cache_mib, state.replicas)
    };
    before.subscribe == after.subscribe && before.key == after.key && of(before) == of(after)
}
