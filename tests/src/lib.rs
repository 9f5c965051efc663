//! What the end-to-end tests share.
//!
//! - [`parts`]: the programs and components that tests drive.
//! - [`guests`]: the corpus of hostile guests.
//! - [`nats`]: a real server for each test that wants one.

pub mod guests;
pub mod nats;
pub mod parts;
