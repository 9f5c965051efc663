//! The contract as Rust types, and the handler that every plugin of the contract exports.

use wasmtime::Store;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, ComponentExportIndex, ComponentType, Instance, Lift, Lower, TypedFunc};

use super::LoadError;
use super::entry::shape;
use super::host::CallState;
use crate::effects::Proposed;
use crate::event;

#[allow(missing_docs, reason = "generated from the WIT, which documents every item")]
mod generated {
    wasmtime::component::bindgen!({
        path: "../plugin-sdk/wit",
        world: "keyed-imports",
        imports: { default: trappable },
    });
}
pub(crate) use generated::wasmill::plugin::{clock, config, log, lookup, random, state, timer_control};

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

pub(super) type Answer = (Result<Vec<Output>, GuestFailure>,);

pub(super) const PACKAGE: &str = "wasmill:plugin/";
/// The export that every plugin of the contract has.
pub(super) const HANDLER: &str = "wasmill:plugin/handler@0.1.0";
/// The optional export that says what a component is.
pub(crate) const DESCRIPTION: &str = "wasmill:plugin/description@0.1.0";
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

/// The exported `handle` of a component.
pub(crate) struct Handler(ComponentExportIndex);

impl Handler {
    /// Finds it; none if the component exports no handler of this contract at all.
    pub fn find(component: &Component) -> Result<Option<Self>, LoadError> {
        find_function(component, HANDLER, "handle").map(|found| found.map(Self))
    }

    /// Checks its type against the contract. Wasmtime tells types of functions by an instance of them.
    pub fn check(&self, store: &mut Store<CallState>, instance: &Instance) -> Result<(), String> {
        let function = instance.get_func(&mut *store, self.0).ok_or("export `handle` is no function")?;
        function.typed::<(Event<'static>,), Answer>(&*store).map(|_| ()).map_err(|err| format!("{err:#}"))
    }

    /// Calls it.
    #[allow(
        unsafe_code,
        reason = "checking the type again would cost a fifth of a small call; see the SAFETY comment"
    )]
    pub fn call(
        &self,
        store: &mut Store<CallState>,
        instance: &Instance,
        event: &event::Event,
    ) -> wasmtime::Result<Result<Vec<Proposed>, GuestFailure>> {
        let headers: Vec<_> =
            event.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let record = Event {
            id: &event.id,
            source: &event.source,
            kind: &event.kind,
            subject: &event.subject,
            time: event.time_ns,
            key: event.key.as_deref(),
            headers: &headers,
            data: &event.data,
            attempt: event.attempt,
            reply_to: event.reply_to.as_deref(),
        };
        let function = instance
            .get_func(&mut *store, self.0)
            .ok_or_else(|| wasmtime::Error::msg("export `handle` is no function"))?;
        // SAFETY: `check` found the function at this index of this component to have this type when the component was
        // loaded, and instances of one component have the same types.
        let function = unsafe { TypedFunc::<(Event<'_>,), Answer>::new_unchecked(function) };
        let (answer,) = function.call(store, (record,))?;
        Ok(answer.map(|outputs| outputs.into_iter().map(Proposed::from).collect()))
    }
}

/// Finds a function of an interface of the contract; none if the component does not export the interface.
pub(super) fn find_function(
    component: &Component,
    interface: &str,
    function: &str,
) -> Result<Option<ComponentExportIndex>, LoadError> {
    let exports = shape(component).exports;
    let (name, _) = interface.split_once('@').unwrap_or((interface, ""));
    let Some(found) = exports.iter().find(|found| found.split('@').next() == Some(name)) else {
        return Ok(None);
    };
    if !found.strip_prefix(name).is_some_and(|version| version.starts_with("@0.1.")) {
        return Err(LoadError::World(format!(
            "the component exports {found}, this engine serves {interface}"
        )));
    }
    let Some((ComponentItem::ComponentInstance(_), index)) = component.get_export(None, found) else {
        return Err(LoadError::World(format!("export {found} is no interface")));
    };
    let function_index = component.get_export_index(Some(&index), function);
    function_index
        .map(Some)
        .ok_or_else(|| LoadError::World(format!("export {interface} has no function `{function}`")))
}
