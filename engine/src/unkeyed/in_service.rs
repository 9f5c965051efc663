//! What a plugin in service has, with a key or without one.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::{Guard, Sinks};
use crate::bus::Bus;
use crate::clock::Clock;
use crate::dead_letter::DeadLetters;
use crate::effects::Emitter;
use crate::flow::{Budget, Pace, Share};
use crate::manifest::{Manifest, PluginName};
use crate::telemetry::PluginMetrics;

/// One version of a plugin in service.
pub struct Version<H: ?Sized> {
    /// What runs it.
    pub handler: Box<H>,
    /// Its manifest.
    pub manifest: Arc<Manifest>,
    /// What its outputs say of it.
    pub emitter: Emitter,
}

/// A plugin in service, whichever version that is.
pub struct InService<H: ?Sized> {
    /// Its name.
    pub name: PluginName,
    /// Where events come from and outputs go.
    pub bus: Arc<dyn Bus>,
    /// Where failed events go.
    pub dead_letters: DeadLetters,
    /// What is counted.
    pub metrics: PluginMetrics,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Its account with the engine's budget.
    pub share: Arc<Share>,
    /// How fast its outputs leave.
    pub pace: Pace,
    /// What keeps it from its events.
    pub guard: Guard,
    /// The streams that its outputs go to.
    pub sinks: Sinks,
    /// The version that takes what comes next. What has begun stays with the one that took it.
    pub version: ArcSwap<Version<H>>,
}

impl<H: ?Sized> InService<H> {
    /// With its first version.
    pub fn new(
        name: PluginName,
        bus: Arc<dyn Bus>,
        dead_letters: DeadLetters,
        metrics: PluginMetrics,
        clock: Arc<dyn Clock>,
        budget: &Budget,
        version: Version<H>,
    ) -> Self {
        Self {
            name,
            bus,
            dead_letters,
            metrics,
            clock,
            share: Arc::new(budget.share(version.manifest.weight)),
            pace: Pace::default(),
            guard: Guard::new(version.manifest.breaker.clone()),
            sinks: Sinks::default(),
            version: ArcSwap::from_pointee(version),
        }
    }

    /// The manifest of the version in service.
    pub fn manifest(&self) -> Arc<Manifest> {
        Arc::clone(&self.version.load().manifest)
    }

    /// Looks the streams that the outputs go to up anew, now and then and when asked to; never ends.
    pub async fn keep_sinks(&self) {
        self.sinks.keep(&*self.bus, || self.manifest().emit.clone()).await;
    }
}
