//! The Wasmill engine. The root module doc is the map of the code, written once the rooms stand.

pub mod admin;
pub mod bus;
pub mod cli;
pub mod config;
pub mod dead_letter;
pub mod digest;
pub mod effects;
pub mod event;
pub mod hint;
pub mod kept;
pub mod limits;
pub mod manifest;
pub mod message;
pub mod outcome;
pub mod plan;
pub mod plugin_dir;
pub mod sandbox;
pub mod status;
pub mod subject;
pub mod supervisor;
pub mod telemetry;
pub mod unkeyed;
