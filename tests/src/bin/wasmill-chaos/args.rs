//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::points::{POINTS, Point};
use crate::scenario::Scenario;

/// What is asked for.
pub struct Args {
    pub wanted: Wanted,
    /// Trials at each point.
    pub trials: u64,
    /// The first trial's seed; each further one has the next.
    pub seed: u64,
    /// How many trials go on at a time.
    pub jobs: usize,
    /// How long a scenario lasts.
    pub duration: Duration,
    /// How much a scenario of plugins with a key has to do.
    pub amount: Amount,
    /// A defect of the engine, to see that it is caught.
    pub mutant: Option<String>,
    /// Where the Markdown goes.
    pub report: Option<PathBuf>,
    /// The words of the command line.
    pub words: Vec<String>,
}

/// How much happens.
#[derive(Debug, Clone, Copy)]
pub struct Amount {
    pub events: usize,
    pub keys: u32,
    /// How often an engine is killed.
    pub kills: u32,
}

/// Trials or a scenario.
pub enum Wanted {
    Trials(Vec<&'static Point>),
    Scenario(Scenario),
}

impl Args {
    /// None if help is asked for.
    pub fn parse(words: &[String]) -> Result<Option<Self>> {
        let mut args = Self {
            wanted: Wanted::Trials(POINTS.iter().collect()),
            trials: 1,
            seed: 1,
            jobs: 4,
            duration: Duration::from_secs(120),
            amount: Amount { events: 10_000, keys: 500, kills: 10 },
            mutant: None,
            report: None,
            words: words.to_vec(),
        };
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            if word == "--help" || word == "-h" {
                return Ok(None);
            }
            let value = rest.next().with_context(|| format!("{word} needs a value\n{}", usage()))?;
            let number = || value.parse::<u64>().with_context(|| format!("{word} {value}"));
            match word.as_str() {
                "--trials" => args.trials = number()?,
                "--seed" => args.seed = number()?,
                "--jobs" => args.jobs = usize::try_from(number()?)?.max(1),
                "--seconds" => args.duration = Duration::from_secs(number()?),
                "--events" => args.amount.events = usize::try_from(number()?)?.max(100),
                "--keys" => args.amount.keys = u32::try_from(number()?)?.max(1),
                "--kills" => args.amount.kills = u32::try_from(number()?)?,
                "--mutant" => args.mutant = Some(value.clone()),
                "--report" => args.report = Some(PathBuf::from(value)),
                "--points" => args.wanted = Wanted::Trials(points(value)?),
                "--scenario" => args.wanted = Wanted::Scenario(Scenario::named(value)?),
                _ => bail!("{word} is unknown\n{}", usage()),
            }
        }
        Ok(Some(args))
    }
}

fn points(names: &str) -> Result<Vec<&'static Point>> {
    let find = |name: &str| {
        POINTS
            .iter()
            .find(|point| point.name == name)
            .with_context(|| format!("there is no point {name:?}\n{}", usage()))
    };
    names.split(',').map(find).collect()
}

/// What may be asked for.
pub fn usage() -> String {
    let mut text = String::from(
        "usage: wasmill-chaos [--trials N] [--seed S] [--jobs J] [--points a,b] [--mutant NAME] [--report FILE]\n       \
         wasmill-chaos --scenario engines|cluster [--seconds N] [--seed S] [--mutant NAME] [--report FILE]\n       \
         wasmill-chaos --scenario keyed|timers [--events N] [--keys N] [--kills N] [--seed S] [--mutant NAME] [--report FILE]\n\n\
         points:\n",
    );
    for point in POINTS {
        text.push_str(&format!("  {:<20} {}\n", point.name, point.about));
    }
    text
}
