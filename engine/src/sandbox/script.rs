//! Source plugins: a runner is a component that holds an interpreter, and asks the engine for the source it shall run.
//!
//! A runner is compiled once and shared by all plugins of its language; each has instances of its own. The border between
//! engine and runner is `engine/runners/wit`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Mutex;
use wasmtime::component::{ComponentType, Instance, Lift, Linker, Lower};
use wasmtime::{Engine, Store, StoreContextMut};

use super::compile::Compiler;
use super::contract::About;
use super::entry::{Fitted, Role, wrong_type};
use super::host::CallState;
use super::{LoadError, LoadSpec};
use crate::artifact::Artifact;
use crate::digest::Digest;
use crate::limits::MAX_SOURCE_BYTES;
use crate::outcome::one_line;

/// What a runner imports.
pub(super) const SOURCE: &str = "wasmill:runner/source@0.1.0";
/// What it exports beside the contract's handler.
pub(super) const SCRIPT: &str = "wasmill:runner/script@0.1.0";

/// How much of a runner's account of a fault is told.
const MAX_FAULT_CHARS: usize = 480;
const MAX_FAULT_FRAMES: usize = 4;

/// The source of one plugin.
#[derive(Debug)]
pub(crate) struct Script {
    /// The file's name, for tracebacks.
    name: String,
    text: String,
}

impl Script {
    /// The script of a plugin; none if its code is WebAssembly.
    pub fn of(spec: &LoadSpec, bytes: &[u8]) -> Result<Option<Self>, LoadError> {
        if !spec.artifact.is_source() {
            return Ok(None);
        }
        if bytes.len() > MAX_SOURCE_BYTES {
            let bytes = bytes.len();
            return Err(LoadError::SourceSize { bytes });
        }
        let text = std::str::from_utf8(bytes).map_err(|err| {
            let before = bytes.get(..err.valid_up_to()).unwrap_or_default();
            LoadError::NotText { line: 1 + before.iter().filter(|byte| **byte == b'\n').count() }
        })?;
        let name = format!("{}.{}", spec.name, spec.artifact.extension());
        Ok(Some(Self { name, text: text.to_owned() }))
    }
}

/// `file` of the runner's WIT.
#[derive(ComponentType, Lower)]
#[component(record)]
struct File {
    name: String,
    text: String,
}

/// `fault` of the runner's WIT.
#[derive(ComponentType, Lift)]
#[component(record)]
struct Fault {
    message: String,
    line: u32,
    column: u32,
    excerpt: String,
    trace: String,
}

/// Links what a runner asks for.
pub(super) fn add_to_linker(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    let mut source = linker.instance(SOURCE)?;
    source.func_wrap("read", |store: StoreContextMut<'_, CallState>, (): ()| {
        let script = store.data().shared.script.as_ref();
        let script = script.ok_or_else(|| wasmtime::Error::msg("there is no source to read"))?;
        Ok((File { name: script.name.clone(), text: script.text.clone() },))
    })
}

/// Runs the top level of the source, and asks it what it is.
pub(super) fn load(
    store: &mut Store<CallState>,
    instance: &Instance,
) -> wasmtime::Result<Result<Option<About>, LoadError>> {
    let Some(interface) = instance.get_export_index(&mut *store, None, SCRIPT) else {
        return Ok(Err(LoadError::World(format!("the runner does not export {SCRIPT}"))));
    };
    let function = instance.get_export_index(&mut *store, Some(&interface), "load");
    let function =
        function.ok_or_else(|| wasmtime::Error::msg(format!("{SCRIPT} has no function `load`")))?;
    let load = match instance.get_typed_func::<(), (Result<Option<About>, Fault>,)>(&mut *store, function) {
        Ok(load) => load,
        Err(err) => return Ok(Err(LoadError::World(wrong_type("load", &format!("{err:#}"))))),
    };
    let (told,) = load.call(&mut *store, ())?;
    Ok(told.map_err(|fault| fault_at(fault, store.data())))
}

/// A fault in people's words. An error after a refused growth is the language's way to say that memory ran out.
fn fault_at(fault: Fault, state: &CallState) -> LoadError {
    let bounded = |text: &str| one_line(text.trim().chars().take(MAX_FAULT_CHARS).collect());
    let mut text = bounded(&fault.message);
    let frames = fault.trace.lines().take(MAX_FAULT_FRAMES).map(|frame| format!("in {frame}"));
    for line in std::iter::once(fault.excerpt.clone()).chain(frames).map(|line| bounded(&line)) {
        if !line.is_empty() {
            text.push_str(&format!("\n    {line}"));
        }
    }
    if let Some(refused) = &state.refused {
        text.push_str(&format!("\n    {refused}"));
    }
    LoadError::Source { line: fault.line, column: fault.column, text }
}

/// The runners of this engine.
pub(super) struct Runners {
    /// Where to look for `<language>.wasm`, the first that is there.
    dirs: Vec<PathBuf>,
    loaded: Mutex<BTreeMap<Artifact, Arc<Fitted>>>,
}

impl Runners {
    pub fn new(dirs: Vec<PathBuf>) -> Self {
        Self { dirs, loaded: Mutex::default() }
    }

    /// The runner of a language, compiled the first time that it is asked for.
    pub async fn get(
        &self,
        artifact: Artifact,
        engine: &Engine,
        linker: &Linker<CallState>,
        compiler: &Compiler,
    ) -> Result<Arc<Fitted>, LoadError> {
        let mut loaded = self.loaded.lock().await;
        if let Some(runner) = loaded.get(&artifact) {
            return Ok(Arc::clone(runner));
        }
        let path = self.find(artifact)?;
        let file = path.clone();
        let read = tokio::task::spawn_blocking(move || {
            std::fs::read(&file).map(|bytes| (Digest::of(&bytes), bytes))
        });
        let fault = |why: String| LoadError::Runner { artifact, path: path.clone(), why };
        let (digest, bytes) = read
            .await
            .map_err(|err| LoadError::Runtime(err.to_string()))?
            .map_err(|err| fault(err.to_string()))?;
        tracing::info!(
            file = %path.display(),
            "the {} runner is being loaded; the first time it is compiled, which takes a while",
            artifact.title()
        );
        let component = compiler.component(engine, digest, &bytes).await;
        let component = component.map_err(|err| fault(err.to_string()))?;
        let fitted = Fitted::new(linker, &component, Role::Runner).map_err(|err| fault(err.to_string()))?;
        let fitted = Arc::new(fitted);
        loaded.insert(artifact, Arc::clone(&fitted));
        Ok(fitted)
    }

    fn find(&self, artifact: Artifact) -> Result<PathBuf, LoadError> {
        let name = format!("{}.wasm", artifact.title().to_lowercase());
        let found = self.dirs.iter().map(|dir| dir.join(&name)).find(|path| path.is_file());
        found.ok_or_else(|| LoadError::NoRunner {
            artifact,
            looked: self.dirs.iter().map(|dir| dir.display().to_string()).collect::<Vec<_>>().join(", "),
        })
    }
}
