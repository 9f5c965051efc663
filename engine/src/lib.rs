//! The Wasmill engine: events from NATS through sandboxed, hot-swapped WebAssembly plugins and back onto the bus.
//!
//! # Map
//!
//! Rooms stand on floors. A room may use what is below it, never what is above it; a test holds this.
//!
//! Floor 0, pure: no I/O, no runtime.
//! - [`subject`], [`message`], [`event`]: what travels, as checked types.
//! - [`manifest`], [`limits`], [`plan`]: what the operator sets, every bound, and hot reload as a function.
//! - [`artifact`], [`lines`]: what a plugin's code comes as, and events as the lines of JSON that commands read.
//! - [`effects`], [`outcome`], [`status`], [`digest`], [`hint`]: what a handler's answer may do, how an event can end, what is
//!   told of it.
//! - [`breaker`], [`cycles`]: when a plugin is quarantined, and which plugins feed themselves.
//! - [`key`], [`state`], [`record`], [`progress`]: where the key of an event stands, what a key holds and how that is stored, and
//!   how far a stream has been read.
//! - [`lookup`]: the tables that plugins may read.
//! - [`clock`]: the time of day, as a parameter.
//!
//! Floor 1, one foreign world each: they never use each other.
//! - [`bus`]: what the engine needs of a bus, NATS (alone imports its client) and the one in memory.
//! - [`sandbox`]: guests and their limits (alone imports wasmtime).
//! - [`plugin_dir`], [`kept`]: the watched directory (alone imports the watcher) and the versions kept for rollback.
//! - [`telemetry`]: every metric by name.
//! - [`faults`]: deliberate harm, for tests; an ordinary build holds none of it.
//!
//! Floor 2, the data plane.
//! - [`unkeyed`]: the way of an event, from receipt to ack. Start here.
//! - [`keyed`]: the way of an event whose plugin has a key: one record, one write.
//! - [`tables`]: buckets that plugins look things up in.
//! - [`flow`]: how much may be in flight, and how fast outputs leave.
//! - [`dead_letter`]: what becomes of events that fail for good.
//!
//! Floor 3, the control plane.
//! - [`supervisor`]: which plugins run, and in which version.
//! - [`admin`]: the HTTP side.
//!
//! Floor 4, wiring.
//! - [`config`], [`cli`]: `wasmill.toml` and the commands.
//!
//! # What is never there
//!
//! - No guest runs on a thread of the async runtime.
//! - No input is acked before all that it caused is stored.
//! - No queue, cache or payload is without a bound.
//! - No string from a guest or the network goes deeper than the room that checks it.

pub mod admin;
pub mod artifact;
pub mod breaker;
pub mod bus;
pub mod cli;
pub mod clock;
pub mod config;
pub mod cycles;
pub mod dead_letter;
pub mod digest;
pub mod effects;
pub mod event;
pub mod faults;
pub mod flow;
pub mod hint;
pub mod kept;
pub mod key;
pub mod keyed;
pub mod limits;
pub mod lines;
pub mod lookup;
pub mod manifest;
pub mod message;
pub mod outcome;
pub mod plan;
pub mod plugin_dir;
pub mod progress;
pub mod record;
pub mod sandbox;
pub mod state;
pub mod status;
pub mod subject;
pub mod supervisor;
pub mod tables;
pub mod telemetry;
pub mod unkeyed;
