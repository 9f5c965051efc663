//! A plugin in service, with a key or without one.

use tokio::task::JoinHandle;

use super::load::Ready;
use super::reload::Surroundings;
use super::service::Service;
use crate::keyed::Keyed;
use crate::manifest::PluginName;
use crate::telemetry::PluginMetrics;
use crate::unkeyed::Deliverer;

/// A plugin in service.
pub(super) enum Serving {
    Unkeyed(Service<Deliverer>),
    Keyed(Service<Keyed>),
}

impl Serving {
    /// Starts it, once `finishing` have ended: what served before must not share its events.
    pub fn start(
        plugin: PluginName,
        around: &Surroundings,
        metrics: PluginMetrics,
        ready: Ready,
        finishing: Vec<JoinHandle<()>>,
    ) -> Self {
        if ready.manifest.key.is_some() {
            Self::Keyed(Service::start(plugin, around, metrics, ready, finishing))
        } else {
            Self::Unkeyed(Service::start(plugin, around, metrics, ready, finishing))
        }
    }

    /// Puts another version into service. One that has a key where the other had none, or the other way round, starts anew.
    pub fn replace(
        self,
        plugin: &PluginName,
        around: &Surroundings,
        metrics: PluginMetrics,
        ready: Ready,
    ) -> Self {
        match (self, ready.manifest.key.is_some()) {
            (Self::Unkeyed(mut service), false) => {
                service.replace(ready);
                Self::Unkeyed(service)
            }
            (Self::Keyed(mut service), true) => {
                service.replace(ready);
                Self::Keyed(service)
            }
            (other, _) => {
                around.views.forget_subscriptions(plugin);
                Self::start(plugin.clone(), around, metrics, ready, other.stop())
            }
        }
    }

    /// Stops taking events; the returned tasks end when those in flight have.
    pub fn stop(self) -> Vec<JoinHandle<()>> {
        match self {
            Self::Unkeyed(service) => service.stop(),
            Self::Keyed(service) => service.stop(),
        }
    }
}
