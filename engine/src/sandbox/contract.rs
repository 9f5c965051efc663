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
        let Some(interface) = find_interface(component)? else { return Ok(None) };
        let function = component.get_export_index(Some(&interface), "handle");
        let function =
            function.ok_or_else(|| LoadError::World(format!("export {HANDLER} has no function `handle`")))?;
        Ok(Some(Self(function)))
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

fn find_interface(component: &Component) -> Result<Option<ComponentExportIndex>, LoadError> {
    let exports = shape(component).exports;
    let Some(found) = exports.iter().find(|name| name.starts_with("wasmill:plugin/handler@")) else {
        return Ok(None);
    };
    if !found.starts_with("wasmill:plugin/handler@0.1.") {
        return Err(LoadError::World(format!("the component exports {found}, this engine serves {HANDLER}")));
    }
    match component.get_export(None, found) {
        Some((ComponentItem::ComponentInstance(_), index)) => Ok(Some(index)),
        _ => Err(LoadError::World(format!("export {found} is no interface"))),
    }
}
