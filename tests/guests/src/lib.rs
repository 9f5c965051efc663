//! Guests that misbehave. One component: `mode` in the `[config]` table of its manifest chooses what it does, and other
//! keys of that table fill in the details. What must come of each stands in the tests' table `HOSTILE`.
//!
//! - [`chaos`]: what each event asks for.
//! - [`ends`]: traps, exits, retries and rejections.
//! - [`endless`]: calls that do not end by themselves.
//! - [`memory`]: growth, leaks and what an instance remembers.
//! - [`outputs`]: answers that are too many, too large, or lies.
//! - [`logs`]: floods of text.
//! - [`surroundings`]: looks for what a guest must not see.
#![cfg(target_arch = "wasm32")]
#![expect(
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "misbehaving is what this crate is for"
)]

mod chaos;
mod endless;
mod ends;
mod logs;
mod memory;
mod outputs;
mod surroundings;

#[allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    reason = "generated from the WIT, which documents every item"
)]
mod bindings {
    wit_bindgen::generate!({ path: "../../plugin-sdk/wit", world: "plugin" });
}

use bindings::exports::wasmill::plugin::handler::{Event, Failure, Guest, Output};
use bindings::wasmill::plugin::{clock, config, log, random};

type Answer = Result<Vec<Output>, Failure>;
type Mode = (&'static str, fn(&Event) -> Answer);

/// The families of modes, each in its own file.
const MODES: [&[Mode]; 7] = [
    chaos::MODES,
    ends::MODES,
    endless::MODES,
    memory::MODES,
    outputs::MODES,
    logs::MODES,
    surroundings::MODES,
];

struct Misbehaving;

impl Guest for Misbehaving {
    fn handle(event: Event) -> Answer {
        let wanted = setting("mode");
        match MODES.iter().copied().flatten().find(|(name, _)| *name == wanted) {
            Some((_, misbehave)) => misbehave(&event),
            None => Err(Failure::Reject(format!("there is no mode {wanted:?}"))),
        }
    }
}

#[expect(unsafe_code, reason = "what the component exports is declared by generated code")]
mod export {
    use super::{Misbehaving, bindings};
    bindings::export!(Misbehaving with_types_in bindings);
}

/// A value of the manifest; empty if it has none of that name.
fn setting(key: &str) -> String {
    config::get(key).unwrap_or_default()
}

/// An output without headers to the subject that the manifest names, else to `out`.
fn plain(data: impl Into<Vec<u8>>) -> Output {
    let subject = config::get("subject").unwrap_or_else(|| "out".to_owned());
    Output { subject, type_: None, headers: Vec::new(), data: data.into() }
}
