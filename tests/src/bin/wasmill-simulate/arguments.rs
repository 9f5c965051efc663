//! What the command line asks for.

use std::ops::Range;

use anyhow::{Context as _, Result, bail};
use wasmill_tests::simulation::Subject;

const USAGE: &str = "usage: wasmill-simulate [--keyed|--unkeyed] [--seeds N] [--start S] [--jobs N] [--twice]
       wasmill-simulate [--keyed|--unkeyed] --seed X [--trace] [--mutant NAME]
       wasmill-simulate [--keyed|--unkeyed] --mutant NAME|all [--seeds N] [--start S] [--jobs N]
       wasmill-simulate --replay [--seeds N] [--start S]";

/// What to do.
pub enum Mode {
    /// Run seeds.
    Seeds,
    /// Run one seed, and show all that happens if so asked.
    One { seed: u64, trace: bool },
    /// See whether defects are found.
    Mutants,
    /// See whether events come to the same live and in replay.
    Replay,
}

/// The command line.
pub struct Arguments {
    pub mode: Mode,
    /// What to simulate: plugins with a key, those without one, or both.
    pub subjects: Vec<Subject>,
    pub start: u64,
    pub seeds: Option<u64>,
    pub jobs: usize,
    /// Whether to run each seed twice, and see whether that is the same.
    pub twice: bool,
    /// A defect of the engine, or `all`.
    pub mutant: Option<String>,
}

impl Arguments {
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let mut arguments = Self {
            mode: Mode::Seeds,
            subjects: Subject::ALL.to_vec(),
            start: 0,
            seeds: None,
            jobs: 2,
            twice: false,
            mutant: None,
        };
        let (mut seed, mut trace) = (None, false);
        while let Some(word) = words.next() {
            let mut value = || words.next().with_context(|| format!("{word} needs a value\n{USAGE}"));
            match word.as_str() {
                "--seeds" => arguments.seeds = Some(number(&value()?)?),
                "--start" => arguments.start = number(&value()?)?,
                "--jobs" => arguments.jobs = number(&value()?)?.try_into()?,
                "--mutant" => arguments.mutant = Some(value()?),
                "--seed" => seed = Some(number(&value()?)?),
                "--keyed" => arguments.subjects = vec![Subject::Keyed],
                "--unkeyed" => arguments.subjects = vec![Subject::Unkeyed],
                "--twice" => arguments.twice = true,
                "--replay" => replay = true,
                "--trace" => trace = true,
                _ => bail!("{word:?} is no argument\n{USAGE}"),
            }
        }
        arguments.mode = match (seed, &arguments.mutant) {
            _ if replay => Mode::Replay,
            (Some(seed), _) => Mode::One { seed, trace },
            (None, Some(_)) => Mode::Mutants,
            (None, None) => Mode::Seeds,
        };
        Ok(arguments)
    }

    /// The seeds to run.
    pub fn range(&self) -> Range<u64> {
        const SEEDS: u64 = 10_000;
        self.start..self.start.saturating_add(self.seeds.unwrap_or(SEEDS))
    }
}

fn number(text: &str) -> Result<u64> {
    text.parse().with_context(|| format!("{text:?} is no number\n{USAGE}"))
}
