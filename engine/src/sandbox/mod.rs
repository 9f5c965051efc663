//! Guests: loading them, and calling them inside their limits. The only place that knows wasmtime.
//!
//! In reading order: [`Sandbox`] loads a component (`compile`, which makes it of a core module by `encode`, then `imports` and
//! `entry`), whose way in is the `contract`'s, that of a runner for source plugins (`script`) or that of wasmCloud
//! (`messaging`). [`Workers`] run its instances on threads of their own (`workers`, `instance`), each plugin within its share of
//! the cores (`shares`, `priority`), and `host`, `wasi`, `drafts` and `logs` are all that a guest can reach.
//!
//! Guests run synchronously and never on the runtime's threads: a plugin that loops holds up its own threads only.

mod batch;
mod caller;
mod command;
mod compile;
mod contract;
mod drafts;
mod encode;
mod entry;
mod host;
mod imports;
mod instance;
mod keyed;
mod logs;
mod machine;
mod messaging;
mod priority;
mod script;
mod shares;
pub mod snapshot;
mod timers;
mod wasi;
mod workers;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Semaphore;
use wasmtime::Engine;

pub use batch::{Batch, BatchHandled, Cause, FailedStep, Input, Step};
pub use caller::Caller;
pub use compile::{CHILD_COMMAND, child_main, this_program};
pub use contract::About;
pub use encode::componentize;
pub use entry::Shape;
pub use instance::Cut;
pub use logs::{LogLine, LogSink};
pub use workers::Workers;

use crate::artifact::Artifact;
use crate::digest::Digest;
use crate::limits::{Limits, MAX_SOURCE_BYTES, MAX_VERSION_BYTES, MIB};
use crate::lookup::Tables;
use crate::manifest::{Emit, Isolation, Kind, PluginName};
use crate::outcome::Failure;

/// Why a component cannot be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// A file of no bytes.
    #[error("the file is empty")]
    Empty,
    /// The file stops before the component does: cut off, or still being written.
    #[error("the file ends too early: it is truncated, or still being written")]
    Truncated,
    /// Anything but WebAssembly.
    #[error("the file is no WebAssembly")]
    NotWasm,
    /// A core module that lacks what a plugin needs, or imports what is not served.
    #[error("the file is a core module, and no component can be made of it: {0}")]
    CoreModule(String),
    /// The compiler's validation refused it.
    #[error("the component is invalid: {0}")]
    Invalid(String),
    /// Source that is no UTF-8.
    #[error("line {line} is no UTF-8 text")]
    NotText {
        /// The line, from 1.
        line: usize,
    },
    /// Source over [`crate::limits::MAX_SOURCE_BYTES`].
    #[error("the source has {bytes} bytes, over the limit of {MAX_SOURCE_BYTES}")]
    SourceSize {
        /// Its size.
        bytes: usize,
    },
    /// Source that its language does not accept, or that fails as it is loaded.
    #[error("{}{text}", position(*line, *column))]
    Source {
        /// The line, from 1; 0 if it is not known.
        line: u32,
        /// The column, from 1; 0 if it is not known.
        column: u32,
        /// What is wrong there, with the line's text.
        text: String,
    },
    /// There is no runner for a source plugin.
    #[error(
        "there is no runner for {language}: {looked} holds no {file}\n  hint: `cargo xtask build` makes the runners; plugins.runners says where they are",
        language = artifact.title(), file = artifact.title().to_lowercase() + ".wasm"
    )]
    NoRunner {
        /// The language.
        artifact: Artifact,
        /// The folders that were looked in.
        looked: String,
    },
    /// The runner itself is no good.
    #[error("the runner for {language}, {path}, cannot be used: {why}", language = artifact.title(), path = path.display())]
    Runner {
        /// The language.
        artifact: Artifact,
        /// Its file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Over `limits.component_mib`.
    #[error(
        "the component has {bytes} bytes, over its limit of {limit_mib} MiB\n  hint: limits.component_mib"
    )]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit_mib: u32,
    },
    /// Imports or exports that are not the contract's.
    #[error("the component is not made for this engine: {0}")]
    World(String),
    /// Its memories or tables are larger than any instance may have.
    #[error("the component asks for more than an instance may have: {0}")]
    Pool(String),
    /// It compiled too long.
    #[error("compiling took longer than {limit_s} s and was stopped")]
    CompileTime {
        /// The limit.
        limit_s: u64,
    },
    /// The compiler's process died.
    #[error("the compiler ended with {status}, perhaps over its limit of {limit_mib} MiB: {complaint}")]
    CompileCrash {
        /// How the process ended.
        status: String,
        /// The limit.
        limit_mib: u64,
        /// Its last words.
        complaint: String,
    },
    /// The compiler could not be run.
    #[error("the compiler failed: {0}")]
    Compiler(String),
    /// The directory for compiled code cannot be used.
    #[error("compiled code cannot be kept in {dir}: {why}", dir = dir.display())]
    Cache {
        /// The directory.
        dir: PathBuf,
        /// Why.
        why: String,
    },
    /// The first instance, or what it says about itself, failed.
    #[error("the component does not start ({name}): {0}", name = .0.name())]
    Start(Failure),
    /// Its version is too long to be told.
    #[error(
        "the component says that its version is one of {bytes} bytes, over the limit of {MAX_VERSION_BYTES}\n  hint: `describe` answers name, version and summary"
    )]
    Version {
        /// How long it is.
        bytes: usize,
    },
    /// The runtime itself could not be set up.
    #[error("the WebAssembly runtime cannot be set up: {0}")]
    Runtime(String),
}

/// How the names of the imports begin that answer `no-key` to a plugin without a key.
const KEYED: [&str; 2] = ["wasmill:plugin/state@", "wasmill:plugin/timer-control@"];

/// A component that compiled, fits the contract and has shown that it starts.
pub struct Prepared {
    fitted: Arc<entry::Fitted>,
    shared: Arc<host::Shared>,
    about: Option<About>,
    shape: Shape,
    isolation: Isolation,
    weight: u32,
}

impl Prepared {
    /// What it says about itself.
    #[must_use]
    pub fn about(&self) -> Option<&About> {
        self.about.as_ref()
    }

    /// What it imports and exports.
    #[must_use]
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Whether it upgrades state that an older version of it stored.
    #[must_use]
    pub fn migrates(&self) -> bool {
        self.fitted.migrates()
    }

    /// Which of the imports that need a key it has.
    #[must_use]
    pub fn needs_key(&self) -> Vec<&str> {
        let needs = |name: &&str| KEYED.iter().any(|keyed| name.starts_with(keyed));
        self.shape.imports.iter().map(String::as_str).filter(needs).collect()
    }
}

fn position(line: u32, column: u32) -> String {
    match (line, column) {
        (0, _) => String::new(),
        (line, 0) => format!("line {line}: "),
        (line, column) => format!("line {line}, column {column}: "),
    }
}

/// What loading needs to know of a plugin beside its bytes.
#[derive(Debug, Clone)]
pub struct LoadSpec {
    /// The plugin's name.
    pub name: PluginName,
    /// What its bytes are.
    pub artifact: Artifact,
    /// How it is handed events.
    pub kind: Kind,
    /// The digest of the bytes, under which compiled code is kept.
    pub digest: Digest,
    /// What it may use.
    pub limits: Limits,
    /// Whether instances are shared between events.
    pub isolation: Isolation,
    /// Its share of the cores, where others want them too.
    pub weight: u32,
    /// Where it may publish.
    pub emit: Emit,
    /// The `[config]` table.
    pub config: serde_json::Map<String, serde_json::Value>,
    /// The tables that it may read.
    pub lookup: Arc<dyn Tables>,
}

/// The place where guests run.
pub struct Sandbox {
    engine: Engine,
    linker: wasmtime::component::Linker<host::CallState>,
    /// The one for programs, whose host functions may wait.
    command_linker: wasmtime::component::Linker<host::CallState>,
    compiler: compile::Compiler,
    runners: script::Runners,
    scheduling: workers::Scheduling,
    /// First instances at once. A hundred plugins found together would otherwise keep each other from starting within their
    /// time.
    starts: Semaphore,
    _ticker: machine::Ticker,
}

impl Sandbox {
    /// Sets the runtime up. `compiler` is the program whose subcommand [`CHILD_COMMAND`] calls [`child_main`];
    /// `cache` keeps compiled code.
    ///
    /// # Errors
    /// If the runtime cannot reserve its pool or the directory cannot be trusted.
    pub fn new(compiler: PathBuf, cache: PathBuf) -> Result<Arc<Self>, LoadError> {
        Self::with_runners(compiler, cache, Vec::new())
    }

    /// The same, with the folders in which to look for the runners of source plugins, `<language>.wasm`.
    ///
    /// # Errors
    /// As for [`Sandbox::new`]. A runner that is missing is told when a plugin wants it.
    pub fn with_runners(
        compiler: PathBuf,
        cache: PathBuf,
        runners: Vec<PathBuf>,
    ) -> Result<Arc<Self>, LoadError> {
        let runtime = |err: wasmtime::Error| LoadError::Runtime(format!("{err:#}"));
        let engine = machine::running_engine().map_err(runtime)?;
        let linker = instance::linker(&engine).map_err(runtime)?;
        let command_linker = command::linker(&engine).map_err(runtime)?;
        let compiler = compile::Compiler::new(compiler, cache, &engine)?;
        let shares = shares::Shares::new();
        let ticker = machine::Ticker::start(&engine, Arc::clone(&shares))
            .map_err(|err| LoadError::Runtime(err.to_string()))?;
        let spawner = priority::Spawner::start().map_err(|err| LoadError::Runtime(err.to_string()))?;
        let scheduling = workers::Scheduling { shares, spawner };
        let runners = script::Runners::new(runners);
        let starts = Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from));
        Ok(Arc::new(Self {
            engine,
            linker,
            command_linker,
            compiler,
            runners,
            scheduling,
            starts,
            _ticker: ticker,
        }))
    }

    /// Loads a plugin's code: compiles it in another process (a source plugin's runner once for all of them), checks it
    /// against the contract, makes a first instance and asks it what it is. What that instance logs goes to `sink`.
    ///
    /// # Errors
    /// Says what is wrong with the component.
    pub async fn load(
        self: &Arc<Self>,
        bytes: &[u8],
        spec: &LoadSpec,
        sink: LogSink,
    ) -> Result<Arc<Prepared>, LoadError> {
        let limit_mib = spec.limits.component_mib;
        if bytes.len() > limit_mib as usize * MIB {
            return Err(LoadError::TooLarge { bytes: bytes.len(), limit_mib });
        }
        let script = script::Script::of(spec, bytes)?;
        if script.is_some() && spec.kind == Kind::Command {
            let text = "`kind = \"command\"` is for programs compiled to WebAssembly, not for source";
            return Err(LoadError::World(text.to_owned()));
        }
        let fitted = if script.is_some() {
            self.runners.get(spec.artifact, &self.engine, &self.linker, &self.compiler).await?
        } else {
            let component = self.compiler.component(&self.engine, spec.digest, bytes).await?;
            let (linker, role) = match spec.kind {
                Kind::Plugin => (&self.linker, entry::Role::Plugin),
                Kind::Command => (&self.command_linker, entry::Role::Command),
            };
            Arc::new(entry::Fitted::new(linker, &component, role)?)
        };
        let mut prepared = Prepared {
            shape: entry::shape(fitted.pre.component()),
            fitted,
            shared: Arc::new(host::Shared::new(spec, script)),
            about: None,
            isolation: spec.isolation,
            weight: spec.weight,
        };
        let sandbox = Arc::clone(self);
        let turn = self.starts.acquire().await.map_err(|err| LoadError::Runtime(err.to_string()))?;
        let tried = tokio::task::spawn_blocking(move || {
            let about = instance::try_out(&sandbox.engine, &prepared, &sink)?;
            let bytes = about.as_ref().map_or(0, |about| about.version.len());
            if bytes > MAX_VERSION_BYTES {
                return Err(LoadError::Version { bytes });
            }
            prepared.about = about;
            Ok(Arc::new(prepared))
        });
        let tried = tried.await.map_err(|err| LoadError::Runtime(err.to_string()));
        drop(turn);
        tried?
    }

    /// Starts the threads that run a plugin's instances.
    ///
    /// # Errors
    /// If the system gives no threads.
    pub fn start(self: &Arc<Self>, prepared: Arc<Prepared>, sink: LogSink) -> std::io::Result<Workers> {
        Workers::start(self.engine.clone(), &self.scheduling, prepared, sink)
    }

    /// Something that calls the plugin on the thread that asks, whoever else wants the cores.
    #[must_use]
    pub fn caller(self: &Arc<Self>, prepared: Arc<Prepared>, sink: LogSink) -> Caller {
        Caller::new(self.engine.clone(), prepared, sink, None)
    }
}
