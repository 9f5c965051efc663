//! The Wasmill engine. The root module doc is the map of the code, written once the rooms stand.

pub mod bus;
pub mod digest;
pub mod event;
pub mod hint;
pub mod limits;
pub mod manifest;
pub mod message;
pub mod outcome;
pub mod sandbox;
pub mod status;
pub mod subject;
