//! What runs: one task that compares the plugin directory with the plugins in service and does what differs.
//!
//! The watcher, a slow timer and the API only nudge it. Build before you tear down: a version is loaded and tried out while
//! the old one serves, and takes over in one step; what is no good replaces nothing.
//!
//! In reading order: this file (the engine as others see it), `reload` (the task), `look` (what it finds), `load` (files
//! become a version), `serving` and `service` (a version takes events), `unkeyed_service` and `keyed_service` (where
//! they come from), `view` (what is told), `horizon` (what to warn of), `guest_log` (what guests say).

mod guest_log;
mod horizon;
mod keyed_service;
mod load;
mod look;
mod reload;
mod service;
mod serving;
mod unkeyed_service;
mod view;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::bus::{Bus, BusError, BusEvent, StreamSpec};
use crate::dead_letter::DeadLetters;
use crate::flow::{Budget, Load};
use crate::kept::Kept;
use crate::limits::{DEFAULT_IN_FLIGHT_EVENTS, DEFAULT_IN_FLIGHT_MIB, MIB};
use crate::manifest::PluginName;
use crate::plugin_dir::{DirError, PluginDir};
use crate::sandbox::{LoadError, Sandbox};
use crate::status::{PluginState, PluginStatus};
use crate::telemetry::Telemetry;

/// Names this run of the engine alone: whoever looks at a lease is to know where to look.
fn engine_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = if host.trim().is_empty() { "engine" } else { host.trim() };
    format!("{host}-{}-{:08x}", std::process::id(), fastrand::u32(..))
}

/// Requests that may wait for the supervisor.
const MAX_WAITING_REQUESTS: usize = 16;

/// How long sending what is waiting to be sent may take beyond the grace.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Where an engine finds its things.
#[derive(Debug, Clone)]
pub struct EngineSettings {
    /// The plugin directory. It is made if absent.
    pub plugins_dir: PathBuf,
    /// Compiled code and kept versions. It is made if absent.
    pub data_dir: PathBuf,
    /// Where to look for the runners of source plugins, `<language>.wasm`; the first that is there is taken.
    pub runner_dirs: Vec<PathBuf>,
    /// The program that compiles components: see [`crate::sandbox::CHILD_COMMAND`].
    pub compiler: PathBuf,
    /// Streams to create if absent.
    pub streams: Vec<StreamSpec>,
    /// What may be in flight, and what is refused.
    pub delivery: DeliverySettings,
}

/// What may be in flight in the whole engine, and what is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliverySettings {
    /// Refuse a plugin, rather than warn, if a stream that it emits to forgets message ids before an event can have been
    /// delivered for the last time.
    pub strict: bool,
    /// The most events and bytes in flight, of all plugins together.
    pub in_flight: Load,
}

impl Default for DeliverySettings {
    fn default() -> Self {
        let bytes = (DEFAULT_IN_FLIGHT_MIB * MIB) as u64;
        Self { strict: false, in_flight: Load { events: DEFAULT_IN_FLIGHT_EVENTS, bytes } }
    }
}

/// Why an engine does not start.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The bus refused a stream.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The sandbox cannot be set up.
    #[error(transparent)]
    Sandbox(#[from] LoadError),
    /// The plugin directory cannot be used.
    #[error(transparent)]
    Dir(#[from] DirError),
    /// A directory cannot be made.
    #[error("{path} cannot be made: {source}", path = path.display())]
    Make {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another engine keeps its data there.
    #[error("another engine keeps its data in {path}\n  hint: give each its own data.dir", path = path.display())]
    DataInUse {
        /// The directory.
        path: PathBuf,
    },
}

/// Why a rollback was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RollbackError {
    /// No plugin of that name.
    #[error("there is no plugin {0:?}")]
    Unknown(String),
    /// Nothing is kept.
    #[error("no earlier version of plugin {0} is kept")]
    NothingKept(String),
    /// The earlier version does not run.
    #[error("the earlier version of plugin {plugin} does not run: {reason}")]
    Refused {
        /// The plugin.
        plugin: String,
        /// Why.
        reason: String,
    },
    /// The engine is stopping.
    #[error("the engine is stopping")]
    Stopping,
}

enum Request {
    RollBack(PluginName, oneshot::Sender<Result<(), RollbackError>>),
    /// A version in service turned out not to be fit for it.
    Withdraw {
        plugin: PluginName,
        digest: String,
        why: String,
    },
    Stop,
}

/// A running engine.
pub struct Engine {
    requests: mpsc::Sender<Request>,
    views: view::Views,
    bus: Arc<dyn Bus>,
    /// The task, and the lock on the data directory that it needs.
    task: Mutex<Option<(JoinHandle<()>, std::fs::File)>>,
    listener: JoinHandle<()>,
}

impl Engine {
    /// Starts an engine: streams first, then the plugins that the directory holds.
    ///
    /// # Errors
    /// If something that every plugin needs is missing. What is wrong with one plugin is told by its status.
    pub async fn start(
        settings: EngineSettings,
        bus: Arc<dyn Bus>,
        telemetry: Telemetry,
    ) -> Result<Self, EngineError> {
        for dir in [&settings.plugins_dir, &settings.data_dir] {
            if !dir.is_dir() {
                tracing::info!(dir = %dir.display(), "the directory was not there and is made");
            }
            std::fs::create_dir_all(dir).map_err(|source| EngineError::Make { path: dir.clone(), source })?;
        }
        let data_lock = lock(&settings.data_dir)?;
        for spec in &settings.streams {
            bus.ensure_stream(spec).await?;
        }
        let dead_letters = DeadLetters::open(Arc::clone(&bus)).await?;
        let compiled = settings.data_dir.join("compiled");
        let sandbox = Sandbox::with_runners(settings.compiler, compiled, settings.runner_dirs)?;
        let dir = PluginDir::new(settings.plugins_dir);
        let (watcher, nudges) = dir.watch()?;
        let views = view::Views::new();
        let (requests, inbox) = mpsc::channel(MAX_WAITING_REQUESTS);
        let listener = tokio::spawn(listen(bus.events(), bus.is_connected(), telemetry.clone()));
        let reload = reload::Reload::new(reload::Surroundings {
            engine: engine_name(),
            requests: requests.clone(),
            load: load::Around { sandbox, bus: Arc::clone(&bus), strict: settings.delivery.strict },
            dead_letters,
            telemetry,
            kept: Kept::new(settings.data_dir.join("plugins")),
            views: views.clone(),
            budget: Budget::new(settings.delivery.in_flight),
        });
        let task = tokio::spawn(reload.run(dir, watcher, nudges, inbox));
        Ok(Self { requests, views, bus, task: Mutex::new(Some((task, data_lock))), listener })
    }

    /// All plugins, by name.
    #[must_use]
    pub fn status(&self) -> Vec<PluginStatus> {
        self.views.all()
    }

    /// One plugin.
    #[must_use]
    pub fn plugin(&self, name: &PluginName) -> Option<PluginStatus> {
        self.views.one(name)
    }

    /// A signal whenever a plugin's status may have changed, its counters aside.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.views.changes()
    }

    /// Why the engine is not ready for work; nothing if it is.
    #[must_use]
    pub fn unready(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if !self.bus.is_connected() {
            reasons.push("no connection to the bus".to_owned());
        }
        if *self.views.changes().borrow() == 0 {
            reasons.push("the plugin directory has not been read yet".to_owned());
        }
        let waiting = self.status().into_iter().filter(|plugin| {
            matches!(plugin.state, PluginState::Starting | PluginState::Waiting | PluginState::Blocked)
        });
        reasons.extend(waiting.map(|plugin| {
            let why = plugin.problem.map(|problem| format!(": {problem}")).unwrap_or_default();
            format!("plugin {} is {}{why}", plugin.name, plugin.state.as_str())
        }));
        reasons
    }

    /// Which plugins are quarantined, and why. The engine is ready for the work of the others.
    #[must_use]
    pub fn quarantined(&self) -> Vec<String> {
        let all = self.status().into_iter();
        all.filter_map(|plugin| {
            Some(format!("plugin {} is quarantined: {}", plugin.name, plugin.quarantine?.reason))
        })
        .collect()
    }

    /// Brings the version before the present one back. The files in the plugin directory are set aside until they change.
    ///
    /// # Errors
    /// If there is none, or it does not run; then the present one goes on.
    pub async fn roll_back(&self, name: &PluginName) -> Result<PluginStatus, RollbackError> {
        if self.plugin(name).is_none() {
            return Err(RollbackError::Unknown(name.to_string()));
        }
        let (reply, answer) = oneshot::channel();
        self.requests
            .send(Request::RollBack(name.clone(), reply))
            .await
            .map_err(|_| RollbackError::Stopping)?;
        answer.await.map_err(|_| RollbackError::Stopping)??;
        self.views.one(name).ok_or_else(|| RollbackError::Unknown(name.to_string()))
    }

    /// Stops: takes no more events, finishes those in flight for at most `grace`, sends what is waiting to be sent.
    /// Says whether all were finished. Only the first call does anything.
    pub async fn stop(&self, grace: Duration) -> bool {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((mut task, _data_lock)) = task else { return true };
        // The supervisor may have ended already, by a panic; then there is nothing to finish.
        let _gone = self.requests.send(Request::Stop).await;
        let until = tokio::time::Instant::now() + grace;
        let finished = tokio::time::timeout_at(until, &mut task).await.is_ok();
        if !finished {
            task.abort();
        }
        // What was given back last is worth a moment more; without a connection nothing is.
        let patience = if self.bus.is_connected() { LAST_WORDS } else { Duration::ZERO };
        match tokio::time::timeout_at(until + patience, self.bus.close()).await {
            Ok(Ok(())) => {}
            Ok(Err(err)) => tracing::warn!("what was sent last may not have arrived: {err}"),
            Err(_) => tracing::warn!("what was sent last may not have arrived: no answer in time"),
        }
        self.listener.abort();
        finished
    }
}

/// Makes sure that no other engine uses the directory. The system gives the lock back however this process ends.
fn lock(data_dir: &Path) -> Result<std::fs::File, EngineError> {
    let path = data_dir.join("lock");
    let made = std::fs::File::options().create(true).truncate(false).write(true).open(&path);
    let file = made.map_err(|source| EngineError::Make { path: path.clone(), source })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(EngineError::DataInUse { path: data_dir.to_owned() }),
        Err(std::fs::TryLockError::Error(source)) => Err(EngineError::Make { path, source }),
    }
}

async fn listen(
    mut events: tokio::sync::broadcast::Receiver<BusEvent>,
    connected: bool,
    telemetry: Telemetry,
) {
    use tokio::sync::broadcast::error::RecvError;
    telemetry.connection(connected);
    loop {
        match events.recv().await {
            Ok(BusEvent::Connected) => {
                tracing::info!("connected to the bus");
                telemetry.connection(true);
            }
            Ok(BusEvent::Disconnected) => {
                tracing::warn!("the connection to the bus broke off; trying again");
                telemetry.connection(false);
            }
            Ok(BusEvent::Dropped { subject, count }) => {
                tracing::warn!(
                    subject,
                    count,
                    "messages of a core subscription were dropped: nobody took them in time"
                );
                telemetry.core_dropped(count);
            }
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}
