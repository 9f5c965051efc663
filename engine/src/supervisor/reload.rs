//! The task that keeps the plugins in service like the plugin directory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior};

use super::load::{Around, Candidate, Ready, Refusal, Source, load};
use super::serving::Serving;
use super::view::Views;
use super::{Request, RollbackError};
use crate::dead_letter::DeadLetters;
use crate::faults::failpoint;
use crate::flow::Budget;
use crate::kept::{Kept, Record};
use crate::limits::RESCAN_MS;
use crate::manifest::PluginName;
use crate::plan::Files;
use crate::plugin_dir::{self, PluginDir, Watcher};
use crate::status::{PluginState, VersionStatus};
use crate::telemetry::{PluginMetrics, Telemetry};

/// What every plugin shares.
pub(super) struct Surroundings {
    /// Names this run of the engine.
    pub engine: String,
    /// How services ask for something.
    pub requests: mpsc::Sender<Request>,
    pub load: Around,
    pub dead_letters: DeadLetters,
    pub telemetry: Telemetry,
    pub kept: Kept,
    pub views: Views,
    pub budget: Budget,
}

/// One plugin that the directory holds, or held when last looked at.
pub(super) struct Plugin {
    metrics: PluginMetrics,
    pub(super) tried: Option<Files>,
    /// A load under way; its number tells it from one that was overtaken.
    loading: Option<u64>,
    pub(super) service: Option<Serving>,
    /// The digest of the version that was withdrawn last.
    withdrawn: Option<String>,
    /// The problem told last, so that it is told once however often it is met.
    told: Option<String>,
}

/// Why a version is being loaded.
enum Origin {
    /// The plugin directory holds it.
    Directory,
    /// What the directory holds is no good, or was set aside; this one was in service before. With the reason.
    Kept(String),
    /// The version after it was withdrawn. With the reason.
    Withdrawn(String),
    /// An operator wants it back.
    RollBack(oneshot::Sender<Result<(), RollbackError>>),
}

struct Loaded {
    name: PluginName,
    number: u64,
    origin: Origin,
    result: Result<Candidate, Refusal>,
}

/// The task's state.
pub(super) struct Reload {
    pub(super) around: Surroundings,
    pub(super) plugins: BTreeMap<PluginName, Plugin>,
    loads: JoinSet<Loaded>,
    started: u64,
    finishing: Vec<JoinHandle<()>>,
    /// Faults of the directory told last time, so that each is told once.
    pub(super) told: Vec<String>,
    pub(super) look_again: Option<Instant>,
}

impl Reload {
    pub fn new(around: Surroundings) -> Self {
        Self {
            around,
            plugins: BTreeMap::new(),
            loads: JoinSet::new(),
            started: 0,
            finishing: Vec::new(),
            told: Vec::new(),
            look_again: None,
        }
    }

    pub async fn run(
        mut self,
        mut dir: PluginDir,
        _watcher: Watcher,
        mut nudges: mpsc::Receiver<()>,
        mut inbox: mpsc::Receiver<Request>,
    ) {
        let mut rescan = tokio::time::interval(Duration::from_millis(RESCAN_MS));
        rescan.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let again = self.look_again.unwrap_or_else(|| Instant::now() + Duration::from_millis(RESCAN_MS));
            tokio::select! {
                request = inbox.recv() => match request {
                    Some(Request::RollBack(name, reply)) => self.roll_back(name, reply),
                    Some(Request::Withdraw { plugin, digest, why }) => self.withdraw(plugin, &digest, why),
                    Some(Request::Stop) | None => break,
                },
                Some(loaded) = self.loads.join_next() => match loaded {
                    Ok(loaded) => self.loaded(loaded, &dir),
                    Err(err) => tracing::error!("loading a plugin panicked: {err}"),
                },
                Some(()) = nudges.recv() => self.soon(),
                () = tokio::time::sleep_until(again), if self.look_again.is_some() => dir = self.look(dir).await,
                _ = rescan.tick() => dir = self.look(dir).await,
            }
        }
        self.stop().await;
    }

    pub(super) fn plugin(&mut self, name: &PluginName) -> &mut Plugin {
        let (telemetry, views) = (&self.around.telemetry, &self.around.views);
        self.plugins.entry(name.clone()).or_insert_with(|| {
            let metrics = telemetry.plugin(name);
            views.add(name, metrics.clone());
            Plugin { metrics, tried: None, loading: None, service: None, withdrawn: None, told: None }
        })
    }

    /// Tells why a plugin's files are not in service as they stand: in the status always, in the log once.
    pub(super) fn problem(&mut self, name: &PluginName, state_if_idle: PluginState, problem: String) {
        let plugin = self.plugin(name);
        if plugin.told.as_ref() != Some(&problem) {
            plugin.told = Some(problem.clone());
            if state_if_idle == PluginState::Incomplete {
                // Between two copies that is how a plugin arrives.
                tracing::warn!(plugin = name.as_str(), "{problem}");
            } else {
                tracing::error!(plugin = name.as_str(), "refused: {problem}");
                plugin.metrics.refused();
            }
        }
        self.around.views.problem(name, state_if_idle, problem);
    }

    pub(super) fn load_found(&mut self, name: PluginName, files: Files, dir: &PluginDir) {
        let first = self.plugin(&name).tried.is_none();
        self.plugin(&name).tried = Some(files);
        if first && let Some(current) = self.set_aside(&name, files) {
            let why = "a rollback set the files in the plugin directory aside".to_owned();
            self.load_kept(name, current, Origin::Kept(why));
            return;
        }
        let (path, wanted) = (dir.path().to_owned(), name.clone());
        self.start_load(name, files, Origin::Directory, move || {
            plugin_dir::read(&path, &wanted, &files).map_err(|err| Refusal::Changed(err.to_string()))
        });
    }

    /// The version to run instead, if a rollback before this engine's start set these files aside.
    fn set_aside(&self, name: &PluginName, files: Files) -> Option<Files> {
        let record = self.record(name);
        (record.set_aside == Some(files)).then_some(record.current).flatten()
    }

    fn record(&self, name: &PluginName) -> Record {
        self.around.kept.record(name).unwrap_or_else(|err| {
            tracing::error!(plugin = name.as_str(), "what was kept of it cannot be read: {err}");
            Record::default()
        })
    }

    fn load_kept(&mut self, name: PluginName, files: Files, origin: Origin) {
        let (kept, wanted) = (self.around.kept.clone(), name.clone());
        self.start_load(name, files, origin, move || {
            kept.read(&wanted, &files).map_err(|err| Refusal::Because(err.to_string()))
        });
    }

    /// `read` is called where it may take its time: the largest components have tens of megabytes.
    fn start_load(
        &mut self,
        name: PluginName,
        files: Files,
        origin: Origin,
        read: impl FnOnce() -> Result<(Vec<u8>, String), Refusal> + Send + 'static,
    ) {
        self.started += 1;
        let number = self.started;
        self.plugin(&name).loading = Some(number);
        let around = self.around.load.clone();
        let serves = self.plugin(&name).service.is_some();
        self.loads.spawn(async move {
            let result = match tokio::task::spawn_blocking(read).await {
                Ok(Ok((component, manifest))) => {
                    load(&around, serves, &name, Source { files, component, manifest }).await
                }
                Ok(Err(refusal)) => Err(refusal),
                Err(err) => Err(Refusal::Because(format!("reading its files failed: {err}"))),
            };
            Loaded { name, number, origin, result }
        });
    }

    fn loaded(&mut self, loaded: Loaded, dir: &PluginDir) {
        let Loaded { name, number, origin, result } = loaded;
        let overtaken = self.plugins.get(&name).is_none_or(|plugin| plugin.loading != Some(number));
        if overtaken {
            if let Origin::RollBack(reply) = origin {
                let reason = "its files changed meanwhile".to_owned();
                answer(reply, Err(RollbackError::Refused { plugin: name.to_string(), reason }));
            }
            return;
        }
        self.plugin(&name).loading = None;
        match result {
            Ok(candidate) => self.put_into_service(&name, candidate, origin),
            Err(refusal) => self.refuse(&name, refusal, origin, dir),
        }
    }

    fn put_into_service(&mut self, name: &PluginName, candidate: Candidate, origin: Origin) {
        let Candidate { ready, source } = candidate;
        let Source { files, component, manifest } = source;
        failpoint!("swap-loaded");
        let tried = self.plugins.get(name).and_then(|plugin| plugin.tried);
        let kept = &self.around.kept;
        let record = match &origin {
            Origin::Directory => kept.keep(name, files, &component, &manifest),
            Origin::Kept(_) => kept.record(name),
            Origin::RollBack(_) | Origin::Withdrawn(_) => kept.roll_back(name, tried),
        };
        let record = record.unwrap_or_else(|err| {
            tracing::error!(plugin = name.as_str(), "this version cannot be kept for a rollback: {err}");
            Record::default()
        });
        let told = VersionStatus {
            artifact: files.artifact,
            digest: files.component.to_string(),
            version: ready.emitter.version.clone(),
            since: jiff::Timestamp::now().to_string(),
        };
        tracing::info!(
            plugin = name.as_str(),
            digest = files.component.short(),
            version = told.version,
            "in service"
        );
        failpoint!("swap-kept");
        let manifest = Arc::clone(&ready.manifest);
        self.serve(name, ready);
        let (problem, reply) = match origin {
            Origin::Directory => (None, None),
            Origin::Kept(why) | Origin::Withdrawn(why) => (Some(why), None),
            Origin::RollBack(reply) => (None, Some(reply)),
        };
        self.around.views.in_service(name, told, manifest, record, problem);
        if let Some(reply) = reply {
            answer(reply, Ok(()));
        }
    }

    fn serve(&mut self, name: &PluginName, ready: Ready) {
        let plugin = self.plugin(name);
        plugin.metrics.swapped();
        plugin.told = None;
        let metrics = plugin.metrics.clone();
        let service = match plugin.service.take() {
            Some(service) => service.replace(name, &self.around, metrics, ready),
            None => Serving::start(name.clone(), &self.around, metrics, ready, Vec::new()),
        };
        self.plugin(name).service = Some(service);
    }

    /// Puts the version before a version that is not fit for service back. If there is none, it goes on trying.
    fn withdraw(&mut self, name: PluginName, digest: &str, why: String) {
        let record = self.record(&name);
        let current = record.current.is_some_and(|files| files.component.to_string() == digest);
        if !current || self.plugin(&name).loading.is_some() {
            return;
        }
        let before = self.plugin(&name).withdrawn.replace(digest.to_owned());
        match record.previous {
            // Each of two that cannot read what the other wrote would make way for the other for ever.
            Some(previous) if before.is_none_or(|before| before != previous.component.to_string()) => {
                self.load_kept(name, previous, Origin::Withdrawn(why));
            }
            Some(_) | None => self.problem(&name, PluginState::Refused, why),
        }
    }

    fn refuse(&mut self, name: &PluginName, refusal: Refusal, origin: Origin, dir: &PluginDir) {
        let reason = match refusal {
            Refusal::Disabled => return self.disable(name),
            Refusal::Malformed(artifact, _)
                if matches!(origin, Origin::Directory) && dir.may_be_growing(name, artifact) =>
            {
                return self.try_again(name);
            }
            Refusal::Changed(what) if matches!(origin, Origin::Directory) => {
                tracing::debug!(plugin = name.as_str(), "{what}");
                return self.try_again(name);
            }
            Refusal::NotYet(reason) => {
                if matches!(origin, Origin::Directory) {
                    // Not tried, so that the next look tries again.
                    self.plugin(name).tried = None;
                }
                reason
            }
            Refusal::Malformed(_, reason) | Refusal::Changed(reason) | Refusal::Because(reason) => reason,
        };
        match origin {
            Origin::RollBack(reply) => {
                // What the rollback overtook is due again.
                self.try_again(name);
                answer(reply, Err(RollbackError::Refused { plugin: name.to_string(), reason }));
            }
            Origin::Kept(why) | Origin::Withdrawn(why) => {
                let problem = format!("{why}\nthe version that served before does not run either: {reason}");
                self.problem(name, PluginState::Refused, problem);
            }
            Origin::Directory => {
                self.problem(name, PluginState::Refused, reason.clone());
                let serves = self.plugin(name).service.is_some();
                if let (false, Some(current)) = (serves, self.record(name).current) {
                    self.load_kept(name.clone(), current, Origin::Kept(reason));
                }
            }
        }
    }

    /// Forgets that the files in the directory were tried, and looks at them again soon.
    fn try_again(&mut self, name: &PluginName) {
        self.plugin(name).tried = None;
        self.soon();
    }

    fn disable(&mut self, name: &PluginName) {
        let service = self.plugin(name).service.take();
        self.finish(service);
        self.around.views.out_of_service(name, PluginState::Disabled);
        tracing::info!(plugin = name.as_str(), "disabled by its manifest");
    }

    pub(super) fn remove(&mut self, name: &PluginName) {
        let Some(plugin) = self.plugins.remove(name) else { return };
        self.finish(plugin.service);
        self.around.views.remove(name);
        tracing::info!(
            plugin = name.as_str(),
            "removed; its consumers stay on the server with what waits in them"
        );
    }

    fn finish(&mut self, service: Option<Serving>) {
        self.finishing.retain(|task| !task.is_finished());
        if let Some(service) = service {
            self.finishing.extend(service.stop());
        }
    }

    fn roll_back(&mut self, name: PluginName, reply: oneshot::Sender<Result<(), RollbackError>>) {
        match self.record(&name).previous {
            Some(previous) => self.load_kept(name, previous, Origin::RollBack(reply)),
            None => answer(reply, Err(RollbackError::NothingKept(name.to_string()))),
        }
    }

    async fn stop(mut self) {
        self.loads.shutdown().await;
        let services: Vec<_> = self.plugins.values_mut().map(|plugin| plugin.service.take()).collect();
        for service in services {
            self.finish(service);
        }
        for task in self.finishing {
            // A task that panicked has finished too.
            let _ended = task.await;
        }
    }
}

fn answer(reply: oneshot::Sender<Result<(), RollbackError>>, result: Result<(), RollbackError>) {
    // Whoever asked may have gone.
    let _gone = reply.send(result);
}
