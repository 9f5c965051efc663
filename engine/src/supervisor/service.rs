//! One plugin in service, with a key or without one: which version it is, and the tasks that bring it events.

use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::load::Ready;
use super::reload::Surroundings;
use super::view::Views;
use crate::clock::SystemClock;
use crate::faults::failpoint;
use crate::manifest::{Manifest, PluginName};
use crate::sandbox::Workers;
use crate::telemetry::PluginMetrics;
use crate::unkeyed::in_service::{InService, Version};

/// A way to deliver events to a plugin, whichever version is in service.
pub(super) trait Deliver: Send + Sync + Sized + 'static {
    /// What hands events to the plugin.
    type Handler: ?Sized + Send + Sync;

    fn handler(workers: Workers) -> Box<Self::Handler>;

    /// Without events yet.
    fn new(plugin: InService<Self::Handler>, around: &Surroundings) -> Self;

    fn plugin(&self) -> &InService<Self::Handler>;

    /// Whether the tasks of one manifest do for the other.
    fn reads_the_same(before: &Manifest, after: &Manifest) -> bool;

    /// Starts the tasks that bring it events until told to stop; none begins before `begin` is given.
    fn attend(
        self: &Arc<Self>,
        views: &Views,
        stop: &CancellationToken,
        begin: &CancellationToken,
    ) -> Vec<JoinHandle<()>>;
}

/// A plugin in service.
pub(super) struct Service<D> {
    deliverer: Arc<D>,
    views: Views,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    /// Ends the tasks that tell what is in the way of the plugin's events and keep the streams of its outputs looked up.
    _telling: DropGuard,
}

impl<D: Deliver> Service<D> {
    /// Starts it, once `finishing` have ended.
    pub fn start(
        plugin: PluginName,
        around: &Surroundings,
        metrics: PluginMetrics,
        ready: Ready,
        finishing: Vec<JoinHandle<()>>,
    ) -> Self {
        let (bus, dead_letters) = (Arc::clone(&around.load.bus), around.dead_letters.clone());
        let (clock, first) = (Arc::new(SystemClock), version::<D>(ready));
        let plugin = InService::new(plugin, bus, dead_letters, metrics, clock, &around.budget, first);
        let deliverer = Arc::new(D::new(plugin, around));
        let views = around.views.clone();
        let ended = CancellationToken::new();
        let telling = tell(Arc::clone(&deliverer), views.clone());
        tokio::spawn(ended.clone().run_until_cancelled_owned(telling));
        let looking = Arc::clone(&deliverer);
        tokio::spawn(
            ended.clone().run_until_cancelled_owned(async move { looking.plugin().keep_sinks().await }),
        );
        let stop = CancellationToken::new();
        let mut service = Self { deliverer, views, stop, tasks: Vec::new(), _telling: ended.drop_guard() };
        service.attend(finishing);
        service.warn();
        service
    }

    /// Puts another version into service. What brings it events is touched only if the manifest asks for something else.
    pub fn replace(&mut self, ready: Ready) {
        let plugin = self.deliverer.plugin();
        let manifest = Arc::clone(&ready.manifest);
        let before = Arc::clone(&plugin.version.swap(Arc::new(version::<D>(ready))).manifest);
        if before.emit != manifest.emit {
            plugin.sinks.forget();
        }
        if before.emit != manifest.emit || before.retry != manifest.retry {
            self.warn();
        }
        plugin.share.weigh(manifest.weight);
        // Another version may do better. What the breaker knows is of the one before.
        plugin.guard.reset(manifest.breaker.clone());
        failpoint!("swapped");
        if D::reads_the_same(&before, &manifest) {
            return;
        }
        self.stop.cancel();
        self.stop = CancellationToken::new();
        let finishing = std::mem::take(&mut self.tasks);
        self.views.forget_subscriptions(&plugin.name);
        self.attend(finishing);
    }

    /// Stops taking events; the returned tasks end when those in flight have.
    pub fn stop(self) -> Vec<JoinHandle<()>> {
        self.stop.cancel();
        self.tasks
    }

    /// Starts the tasks for its events, once those before them have finished: two must not share a consumer or a partition.
    fn attend(&mut self, finishing: Vec<JoinHandle<()>>) {
        let begin = CancellationToken::new();
        self.tasks = self.deliverer.attend(&self.views, &self.stop, &begin);
        self.tasks.push(tokio::spawn(async move {
            for task in finishing {
                // A task that panicked has finished too.
                let _ended = task.await;
            }
            failpoint!("resubscribing");
            begin.cancel();
        }));
    }

    /// Looks whether the streams that it emits to keep what is promised.
    fn warn(&self) {
        let (deliverer, views) = (Arc::clone(&self.deliverer), self.views.clone());
        tokio::spawn(async move {
            let plugin = deliverer.plugin();
            super::horizon::tell(&*plugin.bus, &plugin.name, &plugin.manifest(), &views).await;
        });
    }
}

/// Tells whoever asks what is in the way of a plugin's events, whenever that changes.
async fn tell<D: Deliver>(deliverer: Arc<D>, views: Views) {
    let plugin = deliverer.plugin();
    let mut watch = plugin.guard.watch();
    loop {
        let condition = watch.borrow_and_update().clone();
        views.condition(&plugin.name, condition);
        // The guard, and so the sender, is held here.
        let _changed = watch.changed().await;
    }
}

fn version<D: Deliver>(ready: Ready) -> Version<D::Handler> {
    Version { handler: D::handler(ready.workers), manifest: ready.manifest, emitter: ready.emitter }
}
