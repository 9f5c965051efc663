//! What the end-to-end tests share.
//!
//! - [`parts`]: the programs and components that tests drive.
//! - [`checker`]: an independent judge of what an engine did.
//! - [`guests`]: the corpus of hostile guests.
//! - [`languages`]: the conformance suite, the same checks for a plugin in every language.
//! - [`place`]: an engine with directories of its own.
//! - [`proxy`]: a connection that breaks, stalls and lies when told to.
//! - [`streams`]: what is on the bus, read by a client of the test's own.
//! - [`nats`]: a real server for each test that wants one.
//! - [`simulation`]: delivery under faults, from a seed.

pub mod checker;
pub mod guests;
pub mod languages;
pub mod nats;
pub mod parts;
pub mod place;
pub mod proxy;
pub mod simulation;
pub mod streams;
