//! What the end-to-end tests share.
//!
//! - [`parts`]: the programs and components that tests drive.
//! - [`guests`]: the corpus of hostile guests.
//! - [`place`]: an engine with directories of its own.
//! - [`streams`]: what is on the bus, read by a client of the test's own.
//! - [`nats`]: a real server for each test that wants one.
//! - [`simulation`]: delivery under faults, from a seed.

pub mod guests;
pub mod nats;
pub mod parts;
pub mod place;
pub mod simulation;
pub mod streams;
