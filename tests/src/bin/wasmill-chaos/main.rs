//! Kills, cuts and confuses real engines and servers, and lets an independent checker judge what came of it.
//!
//! - [`args`]: what is asked for.
//! - [`points`]: where a trial strikes, and one trial from its beginning to the verdict. [`failpoints`], [`kills`] and
//!   [`network`] do the striking.
//! - [`stage`]: what a run works on; [`engine`]: one engine; [`load`]: the events.
//! - [`trials`]: many trials at several points, a few at a time.
//! - [`scenario`]: long runs under load: engines that share plugins, and a cluster of servers.
//! - [`keyed`]: plugins with a key in an [`arena`] of their own, with events from [`entries`].
//! - [`report`]: the table; [`evidence`]: what is kept of a run that is not valid.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the table is the program's purpose, and its progress is for people"
)]

mod arena;
mod args;
mod engine;
mod entries;
mod evidence;
mod failpoints;
mod keyed;
mod kills;
mod load;
mod network;
mod points;
mod report;
mod scenario;
mod stage;
mod trials;

use std::process::ExitCode;

use anyhow::{Result, ensure};

use crate::args::{Args, Wanted};

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(err) => {
            eprintln!("error: {err:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all runs were valid.
fn run() -> Result<bool> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let Some(args) = Args::parse(&words)? else {
        println!("{}", args::usage());
        return Ok(true);
    };
    let uncovered = points::uncovered();
    ensure!(
        uncovered.is_empty(),
        "failpoints of the engine that no point strikes at: {}",
        uncovered.join(", ")
    );
    let runtime = tokio::runtime::Runtime::new()?;
    let around = stage::Surroundings::new(runtime.handle().clone(), args.mutant.clone())?;
    let rows = match &args.wanted {
        Wanted::Trials(points) => trials::run(&around, &args, points)?,
        Wanted::Scenario(scenario) => vec![scenario::run(&around, &args, *scenario)?],
    };
    let table = report::table(&rows);
    println!("{table}");
    if let Some(path) = &args.report {
        report::write(path, &args, &rows, &table)?;
    }
    Ok(rows.iter().all(report::Row::is_valid))
}
