//! Makes the conformance checks of every language and measures what each costs.
//!
//! `cargo xtask languages` builds what it needs and starts it. Figures come from a process of their own for each language,
//! so that none pays for the memory of another.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "printing the tables is the program's purpose")]

mod measure;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use wasmill::sandbox::Sandbox;
use wasmill_tests::languages::{self, Verdict, rows};
use wasmill_tests::parts;

const USAGE: &str = "usage: wasmill-languages [--only NAME,…] [--no-figures] [--report FILE]";

/// What the command line asks for.
#[derive(Default)]
struct Arguments {
    only: Vec<String>,
    no_figures: bool,
    report: Option<PathBuf>,
    /// Measure this language and tell the figures as JSON: what the program asks of itself.
    measure: Option<String>,
}

impl Arguments {
    fn parse() -> Result<Self> {
        let mut arguments = Self::default();
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut value = || words.next().with_context(|| format!("{word} wants a value\n{USAGE}"));
            match word.as_str() {
                "--only" => arguments.only.extend(value()?.split(',').map(str::to_owned)),
                "--report" => arguments.report = Some(PathBuf::from(value()?)),
                "--measure" => arguments.measure = Some(value()?),
                "--no-figures" => arguments.no_figures = true,
                _ => bail!("{word:?} is no argument\n{USAGE}"),
            }
        }
        if arguments.report.is_some() && (arguments.no_figures || !arguments.only.is_empty()) {
            bail!("a report is of all languages and has figures\n{USAGE}");
        }
        Ok(arguments)
    }
}

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

fn run() -> Result<bool> {
    let arguments = Arguments::parse()?;
    let runtime = tokio::runtime::Runtime::new()?;
    if let Some(name) = &arguments.measure {
        let rows = rows::named(std::slice::from_ref(name))?;
        let row = rows.first().context("there is no such language")?;
        let figures = runtime.block_on(measure::measure(row))?;
        println!("{}", serde_json::to_string(&figures)?);
        return Ok(true);
    }
    let rows = rows::named(&arguments.only)?;
    let cache = parts::languages()?.join("compiled");
    let sandbox = Sandbox::with_runners(parts::wasmill()?, cache, parts::runner_dirs()?)?;
    let matrix = runtime.block_on(languages::run(&sandbox, &rows))?;
    drop(sandbox);
    println!("{}", matrix.text());
    let failures = matrix.failures().len();
    if !arguments.no_figures {
        let mut lines = Vec::new();
        for (row, verdicts) in &matrix.rows {
            // What does not work has no price.
            if !verdicts.contains(&Verdict::Pass) {
                continue;
            }
            eprintln!("── measuring {}", row.name);
            lines.push(report::Line { row, verdicts, figures: measure::in_a_process_of_its_own(row)? });
        }
        let report = report::Report::new(lines)?;
        println!("{}", report.text());
        if let Some(file) = arguments.report.filter(|_| failures == 0) {
            report.write_into(&file)?;
            eprintln!("wrote  {}", file.display());
        }
    }
    if failures > 0 {
        eprintln!("error: {failures} checks failed");
    }
    Ok(failures == 0)
}
