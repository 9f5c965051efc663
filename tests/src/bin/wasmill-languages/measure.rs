//! What one language costs: its file, its loading, its calls, its instances.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use serde::{Deserialize, Serialize};
use wasmill::event::Event;
use wasmill::manifest::Isolation;
use wasmill::sandbox::{Caller, Sandbox};
use wasmill_tests::languages::Row;
use wasmill_tests::languages::checks::{event, event_with};
use wasmill_tests::languages::loaded::{Heard, Loaded};
use wasmill_tests::parts;

/// How long calls of one kind are made, at least so many and at most so many.
const MEASURE_FOR: Duration = Duration::from_millis(1_500);
const LEAST_CALLS: usize = 200;
const MOST_CALLS: usize = 20_000;
/// Calls before those that count.
const WARM_UP: usize = 50;
/// Instances whose memory is compared with that of one.
const INSTANCES: u64 = 20;
/// Loads from the cache of which the median is told.
const LOADS: usize = 5;

/// An order of about 300 bytes.
const ORDER: &str = r#"{"id":"order-123456","amount":129.95,"name":"Ada Lovelace, 12 Analytical Row, London","tags":["express","gift","fragile"],"currency":"GBP","merchant":{"name":"Corner Shop","category":"grocery","city":"Bruges"},"card":{"scheme":"debit","country":"BE","last4":"4242"},"channel":"web","note":"two lines"}"#;

/// The figures of one language. Times in nanoseconds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Figures {
    /// Bytes of the file that the engine is given.
    pub file_bytes: u64,
    /// Bytes of the runner that it shares with others, if it has one.
    pub runner_bytes: Option<u64>,
    /// The first load, compiling included.
    pub compile_ns: u64,
    /// A load once the compiled code is there.
    pub load_ns: u64,
    /// A call that does nothing, the instance reused.
    pub none_ns: u64,
    /// A call that reads and writes JSON, the instance reused.
    pub transform_ns: u64,
    /// A call that does nothing, in an instance of its own.
    pub fresh_ns: u64,
    /// Memory of one more instance, in bytes.
    pub instance_bytes: u64,
}

/// Measures a language in another process.
pub fn in_a_process_of_its_own(row: &Row) -> Result<Figures> {
    let output = Command::new(std::env::current_exe()?).args(["--measure", row.name]).output()?;
    if !output.status.success() {
        return Err(anyhow!("{}: {}", row.name, String::from_utf8_lossy(&output.stderr).trim()));
    }
    serde_json::from_slice(&output.stdout).with_context(|| format!("the figures of {}", row.name))
}

/// Measures a language.
pub async fn measure(row: &'static Row) -> Result<Figures> {
    let temp = tempfile::tempdir()?;
    let cache = temp.path().join("compiled");
    let mut figures = Figures::default();
    let mut loads = Vec::new();
    // One that compiles, then those that need not.
    for round in 0..=LOADS {
        let sandbox = Sandbox::with_runners(parts::wasmill()?, cache.clone(), parts::runner_dirs()?)?;
        let loaded = Loaded::new(&sandbox, row)?;
        let started = Instant::now();
        loaded.load("", Isolation::Reuse).await?;
        match round {
            0 => figures.compile_ns = nanos(started.elapsed()),
            _ => loads.push(nanos(started.elapsed())),
        }
        figures.file_bytes = loaded.bytes.len() as u64;
    }
    figures.load_ns = median(loads)?;
    let artifact = row.kind.artifact();
    if artifact.is_source() {
        let name = format!("{}.wasm", artifact.title().to_lowercase());
        let mut runners = parts::runner_dirs()?.into_iter().map(|dir| dir.join(&name));
        figures.runner_bytes = runners.find_map(|file| std::fs::metadata(file).ok()).map(|meta| meta.len());
    }
    let sandbox = Sandbox::with_runners(parts::wasmill()?, cache, parts::runner_dirs()?)?;
    let loaded = Loaded::new(&sandbox, row)?;
    let reuse = loaded.load("", Isolation::Reuse).await?;
    let fresh = loaded.load("", Isolation::Fresh).await?;
    let caller = |served| loaded.caller(served, Heard::default().sink());
    let mut callers: Vec<_> = (0..=INSTANCES).map(|_| caller(&reuse)).collect();
    let (mut calling, mut starting) = (caller(&reuse), caller(&fresh));
    let work = move || -> Result<Figures> {
        // Memory first: later the pool holds what instances before have left.
        figures.instance_bytes = memory_each(&mut callers)?;
        drop(callers);
        figures.none_ns = time(&mut calling, &event("none"))?;
        figures.transform_ns = time(&mut calling, &event_with("transform", ORDER))?;
        figures.fresh_ns = time(&mut starting, &event("none"))?;
        Ok(figures)
    };
    tokio::task::spawn_blocking(work).await?
}

/// What each instance after the first adds to the memory of this process.
fn memory_each(callers: &mut [Caller]) -> Result<u64> {
    let mut before = None;
    for caller in callers {
        for event in [event("none"), event_with("transform", ORDER)] {
            call(caller, &event)?;
        }
        if before.is_none() {
            before = Some(anonymous_bytes()?);
        }
    }
    Ok(anonymous_bytes()?.saturating_sub(before.unwrap_or_default()) / INSTANCES)
}

/// Memory of this process that no file stands behind: machine code is mapped from the cache and shared, what an instance
/// has written is its own.
fn anonymous_bytes() -> Result<u64> {
    let told =
        std::fs::read_to_string("/proc/self/smaps_rollup").context("this system does not tell memory")?;
    let line = told.lines().find_map(|line| line.strip_prefix("Anonymous:")).context("no line Anonymous")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1_024)
}

/// The median of single calls.
fn time(caller: &mut Caller, event: &Event) -> Result<u64> {
    for _ in 0..WARM_UP {
        call(caller, event)?;
    }
    let (began, mut times) = (Instant::now(), Vec::new());
    while times.len() < LEAST_CALLS || (times.len() < MOST_CALLS && began.elapsed() < MEASURE_FOR) {
        let started = Instant::now();
        call(caller, event)?;
        times.push(nanos(started.elapsed()));
    }
    median(times)
}

fn call(caller: &mut Caller, event: &Event) -> Result<()> {
    caller.call(event).map(std::hint::black_box).map(|_| ()).map_err(|cut| anyhow!("{}", cut.failure))
}

fn median(mut times: Vec<u64>) -> Result<u64> {
    times.sort_unstable();
    times.get(times.len() / 2).copied().context("nothing was measured")
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
