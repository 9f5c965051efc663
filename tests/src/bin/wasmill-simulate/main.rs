//! Runs the simulation of delivery over many seeds, over one, or against deliberate defects of the engine.

#![allow(clippy::print_stdout, reason = "telling what was found is the program's purpose")]

mod arguments;
mod mutants;

use std::process::ExitCode;

use anyhow::{Result, bail};
use wasmill_tests::simulation::hunt::hunt;
use wasmill_tests::simulation::{minimal, run};

use self::arguments::{Arguments, Mode};

fn main() -> ExitCode {
    let ended = Arguments::parse(std::env::args().skip(1)).and_then(|arguments| match &arguments.mode {
        Mode::Seeds => seeds(&arguments),
        Mode::One { seed, trace } => one(*seed, *trace, arguments.mutant.as_deref()),
        Mode::Mutants => mutants::catch(&arguments),
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            println!("error: {err:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs seeds one after the other.
fn seeds(arguments: &Arguments) -> Result<()> {
    let range = arguments.range();
    let hunt = hunt(range.clone(), arguments.jobs, arguments.twice)?;
    let rate = hunt.ran as f64 / hunt.took.as_secs_f64();
    println!("{} seeds from {} in {:.1?}, {rate:.0} a second", hunt.ran, range.start, hunt.took);
    match hunt.broken {
        None => Ok(()),
        Some(report) if arguments.twice && run(report.seed)?.broken.is_none() => bail!("{}", report.story()),
        Some(report) => broken(report.seed, None),
    }
}

/// Runs one seed and shows what happened.
fn one(seed: u64, trace: bool, mutant: Option<&str>) -> Result<()> {
    if mutant.is_some() {
        mutants::switch_on(mutant)?;
    }
    let report = run(seed)?;
    if trace {
        print!("{}", report.trace.render(None));
    }
    println!("seed {seed}: {} things happened, hash {:016x}", report.trace.len(), report.trace.hash());
    match report.broken {
        None => Ok(()),
        Some(_) => broken(seed, mutant),
    }
}

/// Tells of a broken promise by the smallest run that breaks it.
fn broken(seed: u64, mutant: Option<&str>) -> Result<()> {
    let (faults, report) = minimal(seed)?;
    println!("{}", report.story());
    println!("that was with these faults alone: {faults:?}");
    let with = mutant.map(|mutant| format!(", with the defect {mutant}")).unwrap_or_default();
    bail!("seed {seed} breaks a promise{with}")
}
