//! The component's side of the contract: generated bindings, and the way between their types and the SDK's.

use std::time::Duration;

use crate::migrate::{Field, Migrated};
use crate::timers::Timer;
use crate::{Event, Failure, IntoOutputs, Output, Payload, RawEvent, answer};

use bindings::exports::wasmill::plugin::{description, handler};
pub use handler::Event as WireEvent;

/// Generated from `wit/`.
#[allow(
    unsafe_code,
    missing_docs,
    reason = "generated: the canonical ABI passes raw pointers; the WIT is the documentation"
)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "wit",
        inline: "
            package wasmill:sdk;
            world every-plugin {
                include wasmill:plugin/described-plugin@0.1.0;
                include wasmill:plugin/keyed-imports@0.1.0;
            }
        ",
        world: "wasmill:sdk/every-plugin",
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_plugin",
    });
}

/// The export of plugins with timers, apart: what a component exports is said by what is linked into it.
#[allow(
    unsafe_code,
    missing_docs,
    reason = "generated: the canonical ABI passes raw pointers; the WIT is the documentation"
)]
pub mod timers_bindings {
    wit_bindgen::generate!({
        path: "wit",
        inline: "
            package wasmill:sdk;
            world with-timers { export wasmill:plugin/timers@0.1.0; }
        ",
        world: "wasmill:sdk/with-timers",
        with: { "wasmill:plugin/types@0.1.0": crate::guest::bindings::wasmill::plugin::types },
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_timers",
    });
}

/// The export of plugins that migrate their state, apart for the same reason.
#[allow(
    unsafe_code,
    missing_docs,
    reason = "generated: the canonical ABI passes raw pointers; the WIT is the documentation"
)]
pub mod migrate_bindings {
    wit_bindgen::generate!({
        path: "wit",
        inline: "
            package wasmill:sdk;
            world with-migrate { export wasmill:plugin/migrate@0.1.0; }
        ",
        world: "wasmill:sdk/with-migrate",
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_migrate",
    });
}

/// What a plugin says about itself.
pub struct About {
    /// The package's name.
    pub name: &'static str,
    /// The package's version.
    pub version: &'static str,
    /// The package's description.
    pub summary: &'static str,
    /// The subject patterns it is made for.
    pub subjects: &'static [&'static str],
    /// The subject patterns it emits to.
    pub emits: &'static [&'static str],
}

/// Handles one event of the engine.
pub fn handle<T, R>(
    handler: impl FnOnce(Event<T>) -> R,
    event: WireEvent,
) -> Result<Vec<handler::Output>, handler::Failure>
where
    T: Payload,
    R: IntoOutputs,
{
    lowered(answer::call(handler, RawEvent::from_wire(event)))
}

/// Handles one due timer of the engine.
pub fn on_timer<T, R>(
    handler: impl FnOnce(Timer<T>) -> R,
    timer: bindings::wasmill::plugin::types::Timer,
) -> Result<Vec<handler::Output>, handler::Failure>
where
    T: Payload,
    R: IntoOutputs,
{
    lowered(answer::fire(handler, Timer::of(timer.name, timer.key, timer.due, timer.data)))
}

/// Migrates one field of the engine's.
pub fn migrate_field(
    migrate: impl FnOnce(Field) -> Migrated,
    from_version: String,
    name: String,
    value: Vec<u8>,
) -> Result<Option<Vec<u8>>, String> {
    migrate(Field { from_version, name, value }).map_err(|failure| failure.reason().to_owned())
}

fn lowered(answer: Result<Vec<Output>, Failure>) -> Result<Vec<handler::Output>, handler::Failure> {
    match answer {
        Ok(outputs) => Ok(outputs.into_iter().map(output).collect()),
        Err(failure) => Err(refusal(failure)),
    }
}

/// Answers the engine's question what this is.
pub fn describe(about: About) -> description::About {
    let list = |texts: &[&str]| texts.iter().map(|&text| text.into()).collect();
    description::About {
        name: about.name.into(),
        version: about.version.into(),
        summary: about.summary.into(),
        subjects: list(about.subjects),
        emits: list(about.emits),
    }
}

fn output(output: Output) -> handler::Output {
    let Output { subject, kind, headers, data } = output;
    handler::Output { subject, type_: kind, headers, data }
}

fn refusal(failure: Failure) -> handler::Failure {
    match failure {
        Failure::Reject { reason } => handler::Failure::Reject(reason),
        Failure::Exception { message, trace } => {
            handler::Failure::Exception(bindings::wasmill::plugin::types::Exception { message, trace })
        }
        Failure::Retry { after, reason } => {
            handler::Failure::Retry(bindings::wasmill::plugin::types::Retry {
                after_ms: after.map(whole_millis),
                reason,
            })
        }
    }
}

fn whole_millis(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
}
