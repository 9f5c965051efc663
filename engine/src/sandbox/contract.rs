//! The contract as Rust types, and the check that a component fits it.

use wasmtime::Store;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{
    Component, ComponentExportIndex, ComponentType, Instance, InstancePre, Lift, Linker, Lower, TypedFunc,
};

use super::LoadError;
use super::host::CallState;
use crate::effects::Proposed;

#[allow(missing_docs, reason = "generated from the WIT, which documents every item")]
mod generated {
    wasmtime::component::bindgen!({
        path: "../plugin-sdk/wit",
        world: "imports",
        imports: { default: trappable },
    });
}
pub(crate) use generated::wasmill::plugin::{clock, config, log, random};

/// `event` of the contract, borrowed: handing an event to a guest copies it once, into the guest.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct Event<'a> {
    pub id: &'a str,
    pub source: &'a str,
    #[component(name = "type")]
    pub kind: &'a str,
    pub subject: &'a str,
    pub time: u64,
    pub key: Option<&'a str>,
    pub headers: &'a [(&'a str, &'a str)],
    pub data: &'a [u8],
    pub attempt: u32,
    #[component(name = "reply-to")]
    pub reply_to: Option<&'a str>,
}

/// `retry` of the contract.
#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct Retry {
    #[component(name = "after-ms")]
    pub after_ms: Option<u64>,
    pub reason: String,
}

/// `exception` of the contract.
#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct Exception {
    pub message: String,
    pub trace: String,
}

/// `failure` of the contract.
#[derive(ComponentType, Lift)]
#[component(variant)]
pub(crate) enum GuestFailure {
    #[component(name = "retry")]
    Retry(Retry),
    #[component(name = "reject")]
    Reject(String),
    #[component(name = "exception")]
    Exception(Exception),
}

/// `output` of the contract.
#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct Output {
    pub subject: String,
    #[component(name = "type")]
    pub kind: Option<String>,
    pub headers: Vec<(String, String)>,
    pub data: Vec<u8>,
}

impl From<Output> for Proposed {
    fn from(output: Output) -> Self {
        Self { subject: output.subject, kind: output.kind, headers: output.headers, data: output.data }
    }
}

type Answer = (Result<Vec<Output>, GuestFailure>,);

const PACKAGE: &str = "wasmill:plugin/";
const HANDLER: &str = "wasmill:plugin/handler@0.1.0";
/// The optional export that says what a component is.
pub(crate) const DESCRIPTION: &str = "wasmill:plugin/description@0.1.0";
/// In the contract, and not yet served: a component that imports one is told so.
const UNSERVED: [&str; 3] =
    ["wasmill:plugin/state@", "wasmill:plugin/timer-control@", "wasmill:plugin/lookup@"];

/// What a component says about itself, unchecked.
#[derive(Debug, Clone, Default, PartialEq, Eq, ComponentType, Lift)]
#[component(record)]
pub struct About {
    /// The plugin's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// One sentence.
    pub summary: String,
    /// The subjects it is made for.
    pub subjects: Vec<String>,
    /// The subjects it emits to.
    pub emits: Vec<String>,
}

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

/// A component whose imports are resolved and whose handler has been found.
pub(crate) struct Fitted {
    pub pre: InstancePre<CallState>,
    handle: ComponentExportIndex,
}

impl Fitted {
    /// Checks imports and exports, and resolves them for cheap instantiation.
    pub fn new(linker: &Linker<CallState>, component: &Component) -> Result<Self, LoadError> {
        let interface = check_exports(component)?;
        check_imports(component)?;
        let pre = linker.instantiate_pre(component).map_err(|err| LoadError::World(import_problem(&err)))?;
        let handle = component
            .get_export_index(Some(&interface), "handle")
            .ok_or_else(|| LoadError::World(format!("export {HANDLER} has no function `handle`")))?;
        Ok(Self { pre, handle })
    }

    /// Checks the type of `handle` against the contract. Wasmtime tells types of functions by an instance of them.
    pub fn check_handle(&self, store: &mut Store<CallState>, instance: &Instance) -> Result<(), String> {
        let function = instance.get_func(&mut *store, self.handle).ok_or("export `handle` is no function")?;
        function.typed::<(Event<'static>,), Answer>(&*store).map(|_| ()).map_err(|err| format!("{err:#}"))
    }

    /// Calls `handle`.
    #[allow(
        unsafe_code,
        reason = "checking the type again would cost a fifth of a small call; see the SAFETY comment"
    )]
    pub fn call(
        &self,
        store: &mut Store<CallState>,
        instance: &Instance,
        event: Event<'_>,
    ) -> wasmtime::Result<Answer> {
        let function = instance
            .get_func(&mut *store, self.handle)
            .ok_or_else(|| wasmtime::Error::msg("export `handle` is no function"))?;
        // SAFETY: `check_handle` found the function at this index of this component to have this type when the component
        // was loaded, and instances of one component have the same types.
        let function = unsafe { TypedFunc::<(Event<'_>,), Answer>::new_unchecked(function) };
        function.call(store, (event,))
    }
}

fn check_exports(component: &Component) -> Result<ComponentExportIndex, LoadError> {
    let exports = shape(component).exports;
    let Some(found) = exports.iter().find(|name| name.starts_with("wasmill:plugin/handler@")) else {
        let list = if exports.is_empty() { "nothing".to_owned() } else { exports.join(", ") };
        return Err(LoadError::World(format!(
            "export {HANDLER} is missing; the component exports {list}\n  hint: build it for the world wasmill:plugin/plugin"
        )));
    };
    if !found.starts_with("wasmill:plugin/handler@0.1.") {
        return Err(LoadError::World(format!("the component exports {found}, this engine serves {HANDLER}")));
    }
    match component.get_export(None, found) {
        Some((ComponentItem::ComponentInstance(_), index)) => Ok(index),
        _ => Err(LoadError::World(format!("export {found} is no interface"))),
    }
}

fn check_imports(component: &Component) -> Result<(), LoadError> {
    for name in shape(component).imports {
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
