//! Runs plugins written in JavaScript: QuickJS behind the plugin contract.
//!
//! [`vm`] is the engine and what is loaded in it, [`modules`] what can be imported, [`host`] and [`keyed`] what of it is native,
//! [`event`] and [`output`] the way in and out of a handler, [`thrown`] what becomes of an exception, [`place`] and [`map`]
//! where in the source it was, [`build`] how a source gets into a component.
//!
//! One JavaScript engine lives in one instance of the component. It has no clock, no randomness and no world of its own:
//! everything comes from the contract's imports.

mod build;
mod event;
mod host;
mod keyed;
mod map;
mod memory;
mod modules;
mod output;
mod place;
mod thrown;
mod vm;
#[cfg(not(feature = "runner"))]
#[path = "plugin.rs"]
mod world;
#[cfg(feature = "runner")]
#[path = "runner.rs"]
mod world;

/// Microseconds since the Unix epoch: what QuickJS asks for `Date`.
#[unsafe(no_mangle)]
extern "C" fn __rquickjs_host_now_us() -> f64 {
    (world::clock::now() / 1_000) as f64
}
