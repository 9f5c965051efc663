//! Many seeds on several threads, until one breaks a promise.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::{Broken, Report, Subject};

/// What came of many seeds.
#[derive(Debug)]
pub struct Hunt {
    /// How many were run.
    pub ran: u64,
    /// How long that took.
    pub took: Duration,
    /// The first of them that broke a promise, if one did.
    pub broken: Option<Report>,
}

/// Runs seeds in order, `jobs` at a time. The first that breaks a promise ends it, however the threads run. `twice` runs
/// each a second time and takes it for broken if that is another run.
///
/// # Errors
/// When a run could not be made.
pub fn hunt(subject: Subject, seeds: Range<u64>, jobs: usize, twice: bool) -> std::io::Result<Hunt> {
    let began = Instant::now();
    let next = AtomicU64::new(seeds.start);
    // No seed from here on is begun.
    let end = AtomicU64::new(seeds.end);
    let broken: Mutex<Option<Report>> = Mutex::new(None);
    let work = || -> std::io::Result<u64> {
        let mut ran = 0;
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end.load(Ordering::Relaxed) {
                return Ok(ran);
            }
            let report = if twice { run_twice(subject, seed)? } else { subject.run(seed)? };
            ran += 1;
            if report.broken.is_some() {
                end.fetch_min(seed, Ordering::Relaxed);
                let mut first = broken.lock().unwrap_or_else(PoisonError::into_inner);
                if first.as_ref().is_none_or(|first| seed < first.seed) {
                    *first = Some(report);
                }
            }
        }
    };
    let ran = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..jobs.max(1)).map(|_| scope.spawn(work)).collect();
        let joined = threads.into_iter().map(|thread| {
            thread.join().unwrap_or_else(|_| {
                Err(std::io::Error::other("a run panicked; its seed is on the thread's message"))
            })
        });
        joined.sum::<std::io::Result<u64>>()
    })?;
    let broken = broken.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(Hunt { ran, took: began.elapsed(), broken })
}

fn run_twice(subject: Subject, seed: u64) -> std::io::Result<Report> {
    let (mut one, other) = (subject.run(seed)?, subject.run(seed)?);
    if one.broken.is_none() && one.trace != other.trace {
        let (first, second) = (one.trace.render(None), other.trace.render(None));
        let differs = first.lines().zip(second.lines()).find(|(first, second)| first != second);
        let detail = format!("it goes on differently here: {differs:#?}");
        one.broken = Some(Broken { promise: "a-run-is-a-function-of-its-seed", detail, input: 0 });
    }
    Ok(one)
}
