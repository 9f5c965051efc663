//! How a plugin with a key comes to its events: a task for each partition of its keys.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Request;
use super::reload::Surroundings;
use super::service::Deliver;
use super::view::Views;
use crate::effects::Emitter;
use crate::keyed::{Handler, Keyed, Standing, Witness};
use crate::manifest::{Manifest, PluginName};
use crate::sandbox::Workers;
use crate::unkeyed::in_service::InService;

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
    type Handler = dyn Handler;

    fn handler(workers: Workers) -> Box<dyn Handler> {
        Box::new(workers)
    }

    fn new(plugin: InService<dyn Handler>, around: &Surroundings) -> Self {
        let witness = Telling {
            plugin: plugin.name.clone(),
            views: around.views.clone(),
            requests: around.requests.clone(),
        };
        Self { plugin, engine: around.engine.clone(), witness: Box::new(witness) }
    }

    fn plugin(&self) -> &InService<dyn Handler> {
        &self.plugin
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
            views.partition(&self.plugin.name, partition, standing);
            let (keyed, stop, begin) = (Arc::clone(self), stop.clone(), begin.clone());
            tokio::spawn(async move {
                begin.cancelled().await;
                keyed.serve(partition, stop).await;
            })
        };
        (0..self.plugin.manifest().state.partitions).map(attend).collect()
    }
}
