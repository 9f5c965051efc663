//! Runs plugins written in JavaScript: QuickJS behind the plugin contract.
//!
//! [`vm`] is the engine and what is loaded in it, [`modules`] what can be imported, [`host`] what of it is native, [`event`] and [`output`] the way in
//! and out of a handler, [`thrown`] what becomes of an exception, [`place`] where in the source it was.
//!
//! One JavaScript engine lives in one instance of the component. It has no clock, no randomness and no world of its own:
//! everything comes from the contract's imports.

mod event;
mod host;
mod memory;
mod modules;
mod output;
mod place;
mod thrown;
mod vm;

wit_bindgen::generate!({
    path: ["../../../plugin-sdk/wit", "../wit"],
    world: "wasmill:runner/runner",
    generate_all,
    disable_run_ctors_once_workaround: true,
});

use exports::wasmill::plugin::handler;
use exports::wasmill::runner::script;
use wasmill::plugin::clock;
use wasmill::plugin::types::{About, Event, Failure, Output};

struct Runner;

impl handler::Guest for Runner {
    fn handle(event: Event) -> Result<Vec<Output>, Failure> {
        vm::handle(event)
    }
}

impl script::Guest for Runner {
    fn load() -> Result<Option<About>, script::Fault> {
        vm::load()
    }
}

export!(Runner);

/// Microseconds since the Unix epoch: what QuickJS asks for `Date`.
#[unsafe(no_mangle)]
extern "C" fn __rquickjs_host_now_us() -> f64 {
    (clock::now() / 1_000) as f64
}
