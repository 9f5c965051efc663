//! What is told about the plugins: written by the supervisor and its services, read by whoever asks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::dead_letter::REDRIVES;
use crate::kept::Record;
use crate::manifest::{Isolation, Manifest, PluginName};
use crate::status::{PluginState, PluginStatus, VersionStatus};
use crate::telemetry::PluginMetrics;

/// One plugin, as it is told about.
pub(super) struct View {
    metrics: PluginMetrics,
    state: PluginState,
    running: Option<VersionStatus>,
    previous: Option<VersionStatus>,
    rolled_back: bool,
    problem: Option<String>,
    /// By subscription: why it is not set up.
    subscription_problems: BTreeMap<String, String>,
    warnings: Vec<String>,
    /// Why redriven dead letters do not come in.
    redrives_problem: Option<String>,
    manifest: Option<Arc<Manifest>>,
}

/// All plugins, and a signal whenever something about one has changed.
#[derive(Clone)]
pub(super) struct Views {
    plugins: Arc<Mutex<BTreeMap<PluginName, View>>>,
    changed: watch::Sender<u64>,
}

impl Views {
    pub fn new() -> Self {
        Self { plugins: Arc::default(), changed: watch::Sender::new(0) }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PluginName, View>> {
        self.plugins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, name: &PluginName, change: impl FnOnce(&mut View)) {
        if let Some(view) = self.lock().get_mut(name) {
            let before = view.told_state();
            change(view);
            let after = view.told_state();
            if before != after {
                view.metrics.state(Some(before), Some(after));
            }
        }
        self.changed.send_modify(|count| *count += 1);
    }

    /// The plugin directory was looked through.
    pub fn looked(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub fn add(&self, name: &PluginName, metrics: PluginMetrics) {
        let state = PluginState::Starting;
        let added = self
            .lock()
            .entry(name.clone())
            .or_insert_with(|| View {
                metrics: metrics.clone(),
                state,
                running: None,
                previous: None,
                rolled_back: false,
                problem: None,
                subscription_problems: BTreeMap::new(),
                warnings: Vec::new(),
                redrives_problem: None,
                manifest: None,
            })
            .state;
        metrics.state(None, Some(added));
        self.changed.send_modify(|count| *count += 1);
    }

    pub fn remove(&self, name: &PluginName) {
        if let Some(view) = self.lock().remove(name) {
            view.metrics.state(Some(view.told_state()), None);
        }
        self.changed.send_modify(|count| *count += 1);
    }

    /// A version is in service. `problem` says why it is not the one in the directory, if it is not.
    pub fn in_service(
        &self,
        name: &PluginName,
        version: VersionStatus,
        manifest: Arc<Manifest>,
        record: Record,
        problem: Option<String>,
    ) {
        self.change(name, |view| {
            let known = [view.running.take(), view.previous.take()];
            view.previous = record.previous.map(|files| {
                let digest = files.component.to_string();
                // A version that an earlier process served is known by its digest only.
                known
                    .into_iter()
                    .flatten()
                    .find(|version| version.digest == digest)
                    .unwrap_or(VersionStatus { digest, version: String::new(), since: String::new() })
            });
            view.state = PluginState::Running;
            view.running = Some(version);
            view.manifest = Some(manifest);
            view.rolled_back = record.set_aside.is_some();
            view.problem = problem;
        });
    }

    /// Files were not put into service; what runs, if anything does, goes on.
    pub fn problem(&self, name: &PluginName, state_if_idle: PluginState, problem: String) {
        self.change(name, |view| {
            view.problem = Some(problem);
            if view.running.is_none() {
                view.state = state_if_idle;
            }
        });
    }

    /// Nothing runs any more.
    pub fn out_of_service(&self, name: &PluginName, state: PluginState) {
        self.change(name, |view| {
            view.running = None;
            view.problem = None;
            view.subscription_problems.clear();
            view.redrives_problem = None;
            view.state = state;
        });
    }

    pub fn subscription(&self, name: &PluginName, subscription: &str, problem: Option<String>) {
        self.change(name, |view| match problem {
            Some(problem) => {
                view.subscription_problems.insert(subscription.to_owned(), problem);
            }
            None => {
                view.subscription_problems.remove(subscription);
            }
        });
    }

    pub fn forget_subscriptions(&self, name: &PluginName) {
        self.change(name, |view| view.subscription_problems.clear());
    }

    pub fn warnings(&self, name: &PluginName, warnings: Vec<String>) {
        self.change(name, |view| view.warnings = warnings);
    }

    /// Redriven dead letters come in, or do not: no reason not to work.
    pub fn redrives(&self, name: &PluginName, problem: Option<String>) {
        self.change(name, |view| view.redrives_problem = problem);
    }

    pub fn one(&self, name: &PluginName) -> Option<PluginStatus> {
        self.lock().get(name).map(|view| view.status(name))
    }

    pub fn all(&self) -> Vec<PluginStatus> {
        self.lock().iter().map(|(name, view)| view.status(name)).collect()
    }
}

impl View {
    fn told_state(&self) -> PluginState {
        match self.state {
            PluginState::Running if !self.subscription_problems.is_empty() => PluginState::Waiting,
            state => state,
        }
    }

    fn status(&self, name: &PluginName) -> PluginStatus {
        let manifest = self.manifest.as_deref();
        let problems = self.problem.iter().cloned();
        let waiting = self.subscription_problems.iter().map(|(what, why)| format!("{what}: {why}"));
        let problem: Vec<String> = problems.chain(waiting).collect();
        let redrives = self.redrives_problem.iter().map(|why| {
            format!("redriven dead letters do not come in: {why}\n  hint: the engine needs stream {REDRIVES}")
        });
        PluginStatus {
            name: name.to_string(),
            state: self.told_state(),
            running: self.running.clone(),
            previous: self.previous.clone(),
            rolled_back: self.rolled_back,
            problem: (!problem.is_empty()).then(|| problem.join("\n")),
            last_failure: self.metrics.last_failure(),
            warnings: self.warnings.iter().cloned().chain(redrives).collect(),
            subscriptions: manifest.map(subscriptions).unwrap_or_default(),
            emits: manifest
                .map(|m| m.emit.subjects.iter().map(ToString::to_string).collect())
                .unwrap_or_default(),
            isolation: match manifest.map(|m| m.isolation) {
                Some(Isolation::Reuse) => "reuse".to_owned(),
                Some(Isolation::Fresh) => "fresh".to_owned(),
                None => String::new(),
            },
            counters: self.metrics.counters(),
        }
    }
}

fn subscriptions(manifest: &Manifest) -> Vec<String> {
    let of = |entry: &crate::manifest::Subscribe| -> Vec<String> {
        let stream = entry.stream.as_ref().map(|stream| format!("{stream}: ")).unwrap_or_default();
        entry.subjects.iter().map(|subject| format!("{stream}{subject}")).collect()
    };
    manifest.subscribe.iter().flat_map(of).collect()
}
