//! An independent judge of what an engine did: it knows what was published and what each event must cause, reads the streams
//! back, and compares.
//!
//! - [`wire`], [`client`], [`read`]: NATS over a socket of its own. Neither the engine's code nor its client is used, because
//!   a fault that both sides share would be invisible.
//! - [`model`]: what an event asks for, and so what must come of it.
//! - [`history`]: what was published.
//! - [`judge`]: the comparison, a pure function; [`findings`]: what it found, and the verdict.
//! - [`ledger`]: the same for plugins with a key: their state, their timers, and the order of what they emit.
//! - `tests`: every kind of fault is found in a history that was doctored to have it.

pub mod client;
pub mod findings;
pub mod history;
pub mod judge;
pub mod ledger;
pub mod model;
pub mod read;
#[cfg(test)]
mod tests;
pub mod wire;
