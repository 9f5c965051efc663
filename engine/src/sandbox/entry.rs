//! The way into a guest: which kind of component it is, and one function that hands it an event whichever it is.

use wasmtime::Store;
use wasmtime::component::{Component, Instance, InstancePre, Linker};

use super::LoadError;
use super::command;
use super::contract::{self, HANDLER};
use super::host::CallState;
use super::instance::{Cut, Done, Task, bounded, declined, retried};
use super::timers::{MigrateField, OnTimer, TIMER_CONTROL, TIMERS};
use super::{imports, messaging};
use crate::effects::Proposed;
use crate::event::Event;
use crate::outcome::Failure;

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
    timers: Option<OnTimer>,
    migrate: Option<MigrateField>,
}

/// What a component is loaded as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// A plugin.
    Plugin,
    /// A program that reads lines.
    Command,
    /// The engine's own interpreter of a language, which may ask for the source that it runs.
    Runner,
}

/// What a component exports to be handed events.
enum Entry {
    /// The contract's own handler.
    Contract(contract::Handler),
    /// The handler of wasmCloud's messaging.
    Messaging(messaging::Handler),
    /// A program, which lives longer than a call: `command` runs it.
    Command(command::Run),
}

impl Fitted {
    /// Checks imports and exports, and resolves them for cheap instantiation.
    pub fn new(linker: &Linker<CallState>, component: &Component, role: Role) -> Result<Self, LoadError> {
        check_exports(component)?;
        imports::check(component, role)?;
        let pre = linker.instantiate_pre(component).map_err(|err| LoadError::World(import_problem(&err)))?;
        let timers = OnTimer::find(component)?;
        let names = shape(component).imports;
        if timers.is_none() && names.iter().any(|name| name == TIMER_CONTROL) {
            return Err(LoadError::World(format!(
                "it imports {TIMER_CONTROL} and does not export {TIMERS}: nobody would handle the timers that it sets"
            )));
        }
        let migrate = MigrateField::find(component)?;
        let entry = find_entry(component, role)?;
        Ok(Self { pre, entry, timers, migrate })
    }

    /// Checks the type of the way in.
    pub fn check(&self, store: &mut Store<CallState>, instance: &Instance) -> Result<(), LoadError> {
        let unfit = |function| move |fault: String| LoadError::World(wrong_type(function, &fault));
        match &self.entry {
            Entry::Contract(handler) => handler.check(store, instance).map_err(unfit("handle"))?,
            Entry::Messaging(handler) => handler.check(store, instance).map_err(unfit("handle-message"))?,
            Entry::Command(_) => {}
        }
        if let Some(timers) = &self.timers {
            timers.check(store, instance).map_err(unfit("on-timer"))?;
        }
        let Some(migrate) = &self.migrate else { return Ok(()) };
        migrate.check(store, instance).map_err(unfit("migrate-field"))
    }

    /// Whether it upgrades what its older versions stored.
    pub fn migrates(&self) -> bool {
        self.migrate.is_some()
    }

    /// Gives it a task. An inner error is the guest's own answer and leaves the instance intact.
    pub fn call(
        &self,
        store: &mut Store<CallState>,
        instance: &Instance,
        task: &Task<'_>,
    ) -> wasmtime::Result<Result<Done, Cut>> {
        match task {
            Task::Event(event) => Ok(self.event(store, instance, event)?.map(Done::Outputs)),
            Task::Timer { key, name, timer } => {
                let Some(timers) = &self.timers else { return Ok(Err(no_timers(name).into())) };
                let answer = timers.call(&mut *store, instance, key, name, timer)?;
                Ok(answer.map(Done::Outputs).map_err(|failure| declined(failure, store.data())))
            }
            Task::Migration { name, value, from, .. } => {
                let Some(migrate) = &self.migrate else { return Ok(Ok(Done::Field(Some(value.to_vec())))) };
                let field = migrate.call(&mut *store, instance, (from, name, value))?;
                Ok(field.map(Done::Field).map_err(|reason| not_migrated(name, from, reason)))
            }
        }
    }

    fn event(
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
            Entry::Messaging(handler) => Ok(handler.call(store, instance, event)?.map_err(retried)),
            Entry::Command(_) => Err(wasmtime::Error::msg("a program is not called, it is fed")),
        }
    }

    /// The way into a program, if it is one.
    pub fn run(&self) -> Option<&command::Run> {
        match &self.entry {
            Entry::Command(run) => Some(run),
            Entry::Contract(_) | Entry::Messaging(_) => None,
        }
    }
}

/// A timer that nobody handles.
pub(super) fn no_timers(name: &str) -> Failure {
    Failure::NoTimers { name: name.to_owned() }
}

fn not_migrated(field: &str, from: &str, reason: String) -> Cut {
    let (field, from) = (field.to_owned(), from.to_owned());
    Failure::Migrate { field, from, reason: bounded(reason) }.into()
}

fn find_entry(component: &Component, role: Role) -> Result<Entry, LoadError> {
    let run = command::Run::find(component);
    if role == Role::Command {
        let none = || {
            LoadError::World(
                "the manifest says `kind = \"command\"`, and it is no program: it exports no wasi:cli/run@0.2".to_owned(),
            )
        };
        return run.map(Entry::Command).ok_or_else(none);
    }
    if let Some(handler) = contract::Handler::find(component)? {
        return sole_way_out(component).map(|()| Entry::Contract(handler));
    }
    if let Some(handler) = messaging::Handler::find(component)? {
        return Ok(Entry::Messaging(handler));
    }
    if run.is_some() {
        return Err(LoadError::World(
            "it is a program that reads lines, not a plugin\n  hint: `kind = \"command\"` in the manifest"
                .to_owned(),
        ));
    }
    Err(no_way_in(component))
}

/// Checks that there is a way in at all: what a stray component imports is beside the point.
fn check_exports(component: &Component) -> Result<(), LoadError> {
    let ways = ["wasmill:plugin/handler@", "wasmcloud:messaging/handler@", "wasi:cli/run@"];
    let known = |name: &String| ways.iter().any(|way| name.starts_with(way));
    if shape(component).exports.iter().any(known) { Ok(()) } else { Err(no_way_in(component)) }
}

fn no_way_in(component: &Component) -> LoadError {
    let exports = shape(component).exports;
    let list = if exports.is_empty() { "nothing".to_owned() } else { exports.join(", ") };
    LoadError::World(format!(
        "export {HANDLER} is missing; the component exports {list}\n  hint: build it for the world wasmill:plugin/plugin"
    ))
}

/// A handler of the contract answers with its outputs: it has no use for another way to publish.
fn sole_way_out(component: &Component) -> Result<(), LoadError> {
    if shape(component).imports.iter().any(|name| name == messaging::CONSUMER) {
        return Err(LoadError::World(format!(
            "it exports {HANDLER}, whose outputs are what `handle` returns, and imports {}\n  hint: that is for components \
             which export {} alone",
            messaging::CONSUMER,
            messaging::HANDLER
        )));
    }
    Ok(())
}

/// What is wrong with a function's type.
pub(super) fn wrong_type(function: &str, fault: &str) -> String {
    format!(
        "export `{function}` does not have the type the contract gives it: {fault}\n  hint: build against the WIT of this engine"
    )
}

/// The client library's own account names the import and, for a mismatch, the function and the types.
fn import_problem(err: &wasmtime::Error) -> String {
    format!("an import does not fit: {err:#}\n  hint: build against WASI 0.2 and the WIT of this engine")
}
