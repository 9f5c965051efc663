//! The end-to-end tests: one binary, so that it is linked once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "tests assert by panicking, and so do the functions that they share"
)]

mod batches;
mod bus_conformance;
mod chaos;
mod cli;
mod commands;
mod core_modules;
mod dead_letters;
mod delivery;
mod demo;
mod examples;
mod hostile;
mod keyed;
mod keyed_batches;
mod keyed_examples;
mod keyed_plugins;
mod keyed_runners;
mod keyed_sdk;
mod kill;
mod languages;
mod messaging;
mod programs;
mod quarantine;
mod reload;
mod setbacks;
mod shares;
mod simulation;
mod source_plugins;
mod swap;
mod tidy;
