//! The way into a guest: which kind of component it is, and one function that hands it an event whichever it is.

use wasmtime::Store;
use wasmtime::component::{Component, Instance, InstancePre, Linker};

use super::LoadError;
use super::contract::{self, HANDLER, PACKAGE};
use super::host::CallState;
use super::instance::{Cut, declined};
use super::script::SOURCE;
use crate::effects::Proposed;
use crate::event::Event;

/// In the contract, and not yet served: a component that imports one is told so.
const UNSERVED: [&str; 3] =
    ["wasmill:plugin/state@", "wasmill:plugin/timer-control@", "wasmill:plugin/lookup@"];

/// The names of what a component imports and exports, for people.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Shape {
    /// What it needs of its host.
    pub imports: Vec<String>,
    /// What it offers.
    pub exports: Vec<String>,
}

/// Reads a component's shape.
pub(crate) fn shape(component: &Component) -> Shape {
    let ty = component.component_type();
    let engine = component.engine();
    Shape {
        imports: ty.imports(engine).map(|(name, _)| name.to_owned()).collect(),
        exports: ty.exports(engine).map(|(name, _)| name.to_owned()).collect(),
    }
}

/// A component whose imports are resolved and whose way in has been found.
pub(crate) struct Fitted {
    pub pre: InstancePre<CallState>,
    entry: Entry,
}

/// What a component is loaded as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// A plugin.
    Plugin,
    /// The engine's own interpreter of a language, which may ask for the source that it runs.
    Runner,
}

/// What a component exports to be handed events.
enum Entry {
    /// The contract's own handler.
    Contract(contract::Handler),
}

impl Fitted {
    /// Checks imports and exports, and resolves them for cheap instantiation.
    pub fn new(linker: &Linker<CallState>, component: &Component, role: Role) -> Result<Self, LoadError> {
        check_imports(component, role)?;
        let pre = linker.instantiate_pre(component).map_err(|err| LoadError::World(import_problem(&err)))?;
        let entry = find_entry(component)?;
        Ok(Self { pre, entry })
    }

    /// Checks the type of the way in.
    pub fn check(&self, store: &mut Store<CallState>, instance: &Instance) -> Result<(), LoadError> {
        match &self.entry {
            Entry::Contract(handler) => {
                handler.check(store, instance).map_err(|fault| LoadError::World(wrong_type("handle", &fault)))
            }
        }
    }

    /// Hands it one event. An inner error is the guest's own answer and leaves the instance intact.
    pub fn call(
        &self,
        store: &mut Store<CallState>,
        instance: &Instance,
        event: &Event,
    ) -> wasmtime::Result<Result<Vec<Proposed>, Cut>> {
        match &self.entry {
            Entry::Contract(handler) => {
                let answer = handler.call(&mut *store, instance, event)?;
                Ok(answer.map_err(|failure| declined(failure, store.data())))
            }
        }
    }
}

fn find_entry(component: &Component) -> Result<Entry, LoadError> {
    if let Some(handler) = contract::Handler::find(component)? {
        return Ok(Entry::Contract(handler));
    }
    let exports = shape(component).exports;
    let list = if exports.is_empty() { "nothing".to_owned() } else { exports.join(", ") };
    Err(LoadError::World(format!(
        "export {HANDLER} is missing; the component exports {list}\n  hint: build it for the world wasmill:plugin/plugin"
    )))
}

/// What is wrong with a function's type.
pub(super) fn wrong_type(function: &str, fault: &str) -> String {
    format!(
        "export `{function}` does not have the type the contract gives it: {fault}\n  hint: build against the WIT of this engine"
    )
}

fn check_imports(component: &Component, role: Role) -> Result<(), LoadError> {
    for name in shape(component).imports {
        if role == Role::Runner && name == SOURCE {
            continue;
        }
        if UNSERVED.iter().any(|unserved| name.starts_with(unserved)) {
            return Err(LoadError::World(format!(
                "import {name} is part of the contract, but this engine ({}) does not serve it yet",
                env!("CARGO_PKG_VERSION")
            )));
        }
        let foreign = !name.starts_with(PACKAGE) && !name.starts_with("wasi:");
        if foreign {
            return Err(LoadError::World(format!(
                "import {name} is unknown; an engine serves {PACKAGE}{{log,clock,config,random}}@0.1.0 and, without files, \
                 environment or network, WASI 0.2"
            )));
        }
        if name.starts_with(PACKAGE) && !name.contains("@0.1.") {
            return Err(LoadError::World(format!(
                "the component imports {name}, this engine serves version 0.1.0"
            )));
        }
    }
    Ok(())
}

/// The client library's own account names the import and, for a mismatch, the function and the types.
fn import_problem(err: &wasmtime::Error) -> String {
    format!("an import does not fit: {err:#}\n  hint: build against WASI 0.2 and the WIT of this engine")
}
