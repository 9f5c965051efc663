//! The exports of plugins with a key: what they do when a timer comes due, and how they upgrade what an older version stored.

use wasmtime::Store;
use wasmtime::component::{Component, ComponentExportIndex, ComponentType, Instance, Lower, TypedFunc};

use super::LoadError;
use super::contract::{Answer, GuestFailure, find_function};
use super::host::CallState;
use crate::effects::Proposed;
use crate::state;

/// The export that handles timers.
pub(super) const TIMERS: &str = "wasmill:plugin/timers@0.1.0";
/// The import that sets them.
pub(super) const TIMER_CONTROL: &str = "wasmill:plugin/timer-control@0.1.0";
/// The export that upgrades state.
const MIGRATE: &str = "wasmill:plugin/migrate@0.1.0";

/// `timer` of the contract, borrowed on its way into a guest.
#[derive(ComponentType, Lower)]
#[component(record)]
struct Timer<'a> {
    name: &'a str,
    key: &'a str,
    due: u64,
    data: &'a [u8],
}

type Field<'a> = (&'a str, &'a str, &'a [u8]);
type Migrated = (Result<Option<Vec<u8>>, String>,);

/// The exported `on-timer` of a component.
pub(super) struct OnTimer(ComponentExportIndex);

impl OnTimer {
    /// Finds it; none if the component does not handle timers.
    pub fn find(component: &Component) -> Result<Option<Self>, LoadError> {
        Ok(find_function(component, TIMERS, "on-timer")?.map(Self))
    }

    /// Checks its type.
    pub fn check(&self, store: &mut Store<CallState>, instance: &Instance) -> Result<(), String> {
        self.typed(store, instance).map(|_| ()).map_err(|err| format!("{err:#}"))
    }

    /// Calls it.
    pub fn call(
        &self,
        store: &mut Store<CallState>,
        instance: &Instance,
        key: &str,
        name: &str,
        timer: &state::Timer,
    ) -> wasmtime::Result<Result<Vec<Proposed>, GuestFailure>> {
        let record = Timer { name, key, due: timer.due_ns, data: &timer.data };
        let (answer,) = self.typed(store, instance)?.call(store, (record,))?;
        Ok(answer.map(|outputs| outputs.into_iter().map(Proposed::from).collect()))
    }

    fn typed<'a>(
        &self,
        store: &mut Store<CallState>,
        instance: &Instance,
    ) -> wasmtime::Result<TypedFunc<(Timer<'a>,), Answer>> {
        instance.get_typed_func(store, self.0)
    }
}

/// The exported `migrate-field` of a component.
pub(super) struct MigrateField(ComponentExportIndex);

impl MigrateField {
    /// Finds it; none if the component reads what every older version of it wrote.
    pub fn find(component: &Component) -> Result<Option<Self>, LoadError> {
        Ok(find_function(component, MIGRATE, "migrate-field")?.map(Self))
    }

    /// Checks its type.
    pub fn check(&self, store: &mut Store<CallState>, instance: &Instance) -> Result<(), String> {
        self.typed(store, instance).map(|_| ()).map_err(|err| format!("{err:#}"))
    }

    /// Calls it. An inner error is in the plugin's own words.
    pub fn call(
        &self,
        store: &mut Store<CallState>,
        instance: &Instance,
        (from, name, value): Field<'_>,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, String>> {
        let (migrated,) = self.typed(store, instance)?.call(store, (from, name, value))?;
        Ok(migrated)
    }

    fn typed<'a>(
        &self,
        store: &mut Store<CallState>,
        instance: &Instance,
    ) -> wasmtime::Result<TypedFunc<Field<'a>, Migrated>> {
        instance.get_typed_func(store, self.0)
    }
}
