//! Measures what Wasmill costs, side by side with the same work done natively, in one run.
//!
//! Only ratios travel between machines; the figures beside them say what they were taken from.

#![allow(clippy::print_stdout, reason = "printing the table is the program's purpose")]

mod calls;
mod keyed;
mod native;
mod neighbour;
mod sources;
mod throughput;

use anyhow::{Result, bail};

const USAGE: &str = "usage: wasmill-bench [calls|throughput|neighbour|sources|keyed] [--events N] [--rounds N] [--plugins N] [--keys N] [--only WORDS]";

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |flag: &str, default: usize| -> Result<usize> {
        match args.iter().position(|arg| arg == flag) {
            Some(at) => Ok(args.get(at + 1).map_or("", String::as_str).parse()?),
            None => Ok(default),
        }
    };
    let runtime = tokio::runtime::Runtime::new()?;
    match args.first().map(String::as_str) {
        // The native consumer is this program again, so that the system accounts for its CPU time by itself.
        Some("native") => {
            let with_context = args.iter().any(|arg| arg == "--context");
            return runtime.block_on(native::consume(args.get(1).map_or("", String::as_str), with_context));
        }
        Some("native-keyed") => return runtime.block_on(keyed::native::consume(&args)),
        Some("keyed") => {
            let only = args.iter().position(|arg| arg == "--only").and_then(|at| args.get(at + 1));
            let (events, rounds) = (number("--events", 100_000)?, number("--rounds", 3)?);
            let keys = number("--keys", 1_000_000)?;
            return runtime.block_on(keyed::run(events, rounds, keys, only.map_or("", String::as_str)));
        }
        Some("calls") => return runtime.block_on(calls::run()),
        Some("neighbour") => {
            return runtime.block_on(neighbour::run(number("--events", 10_000)?, number("--rounds", 3)?));
        }
        Some("sources") => return runtime.block_on(sources::run(number("--plugins", 100)?)),
        Some("throughput") => {}
        Some(other) if !other.starts_with("--") => bail!("{other:?} is no part of the benchmark\n{USAGE}"),
        _ => runtime.block_on(calls::run())?,
    }
    runtime.block_on(throughput::run(number("--events", 200_000)?, number("--rounds", 3)?))?;
    runtime.block_on(neighbour::run(10_000, number("--rounds", 3)?))?;
    runtime.block_on(sources::run(number("--plugins", 100)?))
}
