//! Runs the simulation of delivery over many seeds, over one, or against deliberate defects of the engine.

#![allow(clippy::print_stdout, reason = "telling what was found is the program's purpose")]

mod arguments;
mod mutants;

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail, ensure};
use wasmill_tests::simulation::hunt::hunt;
use wasmill_tests::simulation::keyed::replay::effects_of;
use wasmill_tests::simulation::{Report, Subject, minimal, minimal_keyed};

use self::arguments::{Arguments, Mode};

fn main() -> ExitCode {
    let ended = Arguments::parse(std::env::args().skip(1)).and_then(|arguments| match &arguments.mode {
        Mode::Seeds => arguments.subjects.iter().try_for_each(|subject| seeds(*subject, &arguments)),
        Mode::One { seed, trace } => {
            let mutant = arguments.mutant.as_deref();
            arguments.subjects.iter().try_for_each(|subject| one(*subject, *seed, *trace, mutant))
        }
        Mode::Mutants => mutants::catch(&arguments),
        Mode::Replay => replay(&arguments),
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
fn seeds(subject: Subject, arguments: &Arguments) -> Result<()> {
    let range = arguments.range();
    let hunt = hunt(subject, range.clone(), arguments.jobs, arguments.twice)?;
    let rate = hunt.ran as f64 / hunt.took.as_secs_f64();
    let name = subject.as_str();
    println!("{name}: {} seeds from {} in {:.1?}, {rate:.0} a second", hunt.ran, range.start, hunt.took);
    match hunt.broken {
        None => Ok(()),
        Some(report) if arguments.twice && subject.run(report.seed)?.broken.is_none() => {
            bail!("{}", report.story())
        }
        Some(report) => broken(subject, report.seed, None),
    }
}

/// Runs one seed and shows what happened.
fn one(subject: Subject, seed: u64, trace: bool, mutant: Option<&str>) -> Result<()> {
    if mutant.is_some() {
        mutants::switch_on(mutant)?;
    }
    let report = subject.run(seed)?;
    if trace {
        print!("{}", report.trace.render(None));
    }
    let (name, things, hash) = (subject.as_str(), report.trace.len(), report.trace.hash());
    println!("{name}, seed {seed}: {things} things happened, hash {hash:016x}");
    match report.broken {
        None => Ok(()),
        Some(_) => broken(subject, seed, mutant),
    }
}

/// Tells of a broken promise by the smallest run that breaks it.
fn broken(subject: Subject, seed: u64, mutant: Option<&str>) -> Result<()> {
    let (faults, report): (String, Report) = match subject {
        Subject::Unkeyed => minimal(seed).map(|(faults, report)| (format!("{faults:?}"), report))?,
        Subject::Keyed => minimal_keyed(seed).map(|(faults, report)| (format!("{faults:?}"), report))?,
    };
    println!("{}", report.story());
    println!("that was with these faults alone: {faults}");
    let with = mutant.map(|mutant| format!(", with the defect {mutant}")).unwrap_or_default();
    bail!("seed {seed} breaks a promise{with}")
}

/// Compares what comes of each seed's events live and in replay.
fn replay(arguments: &Arguments) -> Result<()> {
    let range = arguments.range();
    for seed in range.clone() {
        let live = effects_of(seed, true).with_context(|| format!("seed {seed}, live"))?;
        let replayed = effects_of(seed, false).with_context(|| format!("seed {seed}, in replay"))?;
        ensure!(live == replayed, "seed {seed} differs: live {live:#?}, in replay {replayed:#?}");
    }
    println!("replay: {} seeds from {} come to the same", range.end - range.start, range.start);
    Ok(())
}
