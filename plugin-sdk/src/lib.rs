#![doc = include_str!("../README.md")]
//!
//! # Map
//!
//! - [`Event`], [`Output`], [`Failure`]: what a handler takes and answers; [`IntoOutputs`] lists the return types.
//! - [`plugin!`]: makes a function the plugin's handler.
//! - [`log`], [`clock`], [`config`], [`random`]: what the engine offers a handler. A component imports only those it calls.
//! - [`state`], [`timers`], [`lookup`], [`migrate`]: what a plugin with a `key` has beside; [`sketch`] for its state.
//! - [`aggregate`], [`window`], [`join`]: what plugins with a key keep of many events: counts to quantiles, windows over
//!   event time, joins within a time bound. Pure data, the same in every language: `WINDOWS.md`.
//! - [`pattern`]: sequences of events, and events that fail to come.
//! - [`json`]: fields and comparisons as the configs of plugins write them.
//! - [`testing`]: all of the above in native unit tests. Not part of the component.

mod answer;
mod decode;
mod event;
mod failure;
mod host;
mod macros;
mod output;

#[cfg(any(test, all(target_arch = "wasm32", feature = "arena-allocator")))]
mod arena;
#[cfg(target_arch = "wasm32")]
mod guest;

pub mod aggregate;
pub mod clock;
pub mod config;
pub mod join;
pub mod json;
pub mod log;
pub mod lookup;
pub mod migrate;
pub mod pattern;
pub mod random;
pub mod sketch;
pub mod state;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
pub mod timers;
pub mod window;

pub use answer::IntoOutputs;
pub use event::{Bytes, Event, Payload, RawEvent};
pub use failure::{Failure, OrFail, reject, retry};
pub use output::Output;

/// What [`plugin!`] expands to; no part of the API.
#[doc(hidden)]
pub mod __private {
    pub use crate::answer::{call, fire};
    #[cfg(target_arch = "wasm32")]
    pub use crate::guest::{
        About, bindings, describe, handle, migrate_bindings, migrate_field, on_timer, timers_bindings,
    };
}

/// The plugin on the project's first page compiles too.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct FirstPage;
