//! What is told about the plugins: written by the supervisor and its services, read by whoever asks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::cycles::cycles;
use crate::dead_letter::REDRIVES;
use crate::kept::Record;
use crate::keyed::Standing;
use crate::manifest::{Isolation, Manifest, PluginName};
use crate::status::{PluginState, PluginStatus, QuarantineStatus, VersionStatus};
use crate::telemetry::PluginMetrics;
use crate::unkeyed::Condition;

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
    /// How its events may come back to it.
    cycle: Option<String>,
    quarantine: Option<QuarantineStatus>,
    /// Why its dead letters are not stored.
    dead_letters: Option<String>,
    /// Why its outputs are not stored.
    outputs: Option<String>,
    manifest: Option<Arc<Manifest>>,
    /// How it stands with the partitions of its keys.
    partitions: BTreeMap<u32, String>,
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
                cycle: None,
                quarantine: None,
                dead_letters: None,
                outputs: None,
                manifest: None,
                partitions: BTreeMap::new(),
            })
            .state;
        metrics.state(None, Some(added));
        self.changed.send_modify(|count| *count += 1);
    }

    pub fn remove(&self, name: &PluginName) {
        if let Some(view) = self.lock().remove(name) {
            view.metrics.state(Some(view.told_state()), None);
        }
        self.look_for_cycles();
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
                known.into_iter().flatten().find(|version| version.digest == digest).unwrap_or(
                    VersionStatus {
                        artifact: files.artifact,
                        digest,
                        version: String::new(),
                        since: String::new(),
                    },
                )
            });
            view.state = PluginState::Running;
            view.running = Some(version);
            view.manifest = Some(manifest);
            view.rolled_back = record.set_aside.is_some();
            view.problem = problem;
        });
        self.look_for_cycles();
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
            view.partitions.clear();
            view.quarantine = None;
            view.dead_letters = None;
            view.outputs = None;
            view.state = state;
        });
        self.look_for_cycles();
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
        self.change(name, |view| {
            view.subscription_problems.clear();
            view.partitions.clear();
        });
    }

    /// How it stands with a partition of its keys.
    pub fn partition(&self, name: &PluginName, partition: u32, standing: Standing) {
        let (told, problem) = match standing {
            Standing::Owned => ("owned".to_owned(), None),
            Standing::Standby { owner } => (format!("standby: {owner} owns it"), None),
            Standing::Problem(problem) => ("not owned".to_owned(), Some(problem)),
        };
        if self
            .lock()
            .get(name)
            .is_some_and(|view| view.partitions.get(&partition) == Some(&told) && problem.is_none())
        {
            return;
        }
        self.subscription(name, &format!("partition {partition}"), problem);
        self.change(name, |view| _ = view.partitions.insert(partition, told));
    }

    pub fn warnings(&self, name: &PluginName, warnings: Vec<String>) {
        self.change(name, |view| view.warnings = warnings);
    }

    /// What is in the way of its events changed.
    pub fn condition(&self, name: &PluginName, condition: Condition) {
        self.change(name, |view| {
            view.quarantine = condition.quarantine;
            view.dead_letters = condition.dead_letters;
            view.outputs = condition.outputs;
        });
    }

    /// Finds out anew which plugins in service may feed themselves.
    fn look_for_cycles(&self) {
        let mut plugins = self.lock();
        let in_service = plugins.iter().filter(|(_, view)| view.running.is_some());
        let mut found = cycles(in_service.filter_map(|(name, view)| Some((name, view.manifest.as_deref()?))));
        for (name, view) in plugins.iter_mut() {
            let cycle = found.remove(name);
            if let Some(warning) = cycle.as_ref().filter(|_| view.cycle != cycle) {
                tracing::warn!(plugin = name.as_str(), "{warning}");
            }
            view.cycle = cycle;
        }
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
            PluginState::Running if self.dead_letters.is_some() || self.outputs.is_some() => {
                PluginState::Blocked
            }
            PluginState::Running if self.quarantine.is_some() => PluginState::Quarantined,
            PluginState::Running if !self.subscription_problems.is_empty() => PluginState::Waiting,
            state => state,
        }
    }

    fn status(&self, name: &PluginName) -> PluginStatus {
        let manifest = self.manifest.as_deref();
        let problems = self.problem.iter().cloned();
        let waiting = self.subscription_problems.iter().map(|(what, why)| format!("{what}: {why}"));
        let blocked = self.dead_letters.iter().map(|why| {
            format!(
                "its dead letters are not stored, so events that failed for good come again and again: {why}"
            )
        });
        let refused = self
            .outputs
            .iter()
            .map(|why| format!("its outputs are not stored, so their events come again and again: {why}"));
        let quarantined = self.quarantine.iter().map(|quarantine| {
            let QuarantineStatus { since, reason, next_probe } = quarantine;
            format!("quarantined since {since}: {reason}\n  hint: its events wait in their stream; the next is tried at {next_probe}, or as soon as its files change")
        });
        let redrives = self.redrives_problem.iter().map(|why| {
            format!("redriven dead letters do not come in: {why}\n  hint: the engine needs stream {REDRIVES}")
        });
        let problem: Vec<String> =
            problems.chain(blocked).chain(refused).chain(quarantined).chain(waiting).collect();
        PluginStatus {
            name: name.to_string(),
            state: self.told_state(),
            running: self.running.clone(),
            previous: self.previous.clone(),
            rolled_back: self.rolled_back,
            problem: (!problem.is_empty()).then(|| problem.join("\n")),
            last_failure: self.metrics.last_failure(),
            quarantine: self.quarantine.clone(),
            warnings: self.warnings.iter().chain(&self.cycle).cloned().chain(redrives).collect(),
            partitions: self
                .partitions
                .iter()
                .map(|(partition, told)| format!("{partition}: {told}"))
                .collect(),
            subscriptions: manifest.map(subscriptions).unwrap_or_default(),
            emits: manifest
                .map(|m| m.emit.subjects.iter().map(ToString::to_string).collect())
                .unwrap_or_default(),
            isolation: match manifest.and_then(|m| m.isolation) {
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
