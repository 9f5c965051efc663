//! Many trials, a few at a time.

use std::collections::VecDeque;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::Result;
use wasmill_tests::checker::findings::Verdict;
use wasmill_tests::nats::NatsServer;

use crate::args::Args;
use crate::evidence;
use crate::points::Point;
use crate::report::Row;
use crate::stage::{Ended, Surroundings};

/// After so many trials the progress is told.
const TELL_EVERY: usize = 50;

type Queue = Mutex<VecDeque<(usize, u64)>>;

/// One trial that is over.
struct Over {
    point: usize,
    seed: u64,
    ended: Result<Ended>,
    server_log: String,
}

/// Trials at all points, one row for each.
pub fn run(around: &Surroundings, args: &Args, points: &[&'static Point]) -> Result<Vec<Row>> {
    let mut rows: Vec<Row> = points.iter().map(|point| Row::new(point.name, point.about)).collect();
    // Point by point within each seed, so that a run that is stopped early has seen them all.
    let tasks = (0..args.trials)
        .flat_map(|trial| (0..points.len()).map(move |point| (point, args.seed.wrapping_add(trial))));
    let queue: Queue = Mutex::new(tasks.collect());
    let (began, (tell, told)) = (Instant::now(), channel());
    std::thread::scope(|scope| -> Result<()> {
        for _ in 0..args.jobs {
            let (queue, tell) = (&queue, tell.clone());
            scope.spawn(move || work(around, points, queue, &tell));
        }
        drop(tell);
        for (count, over) in told.iter().enumerate() {
            let Some(row) = rows.get_mut(over.point) else { continue };
            add(row, over)?;
            if (count + 1) % TELL_EVERY == 0 {
                eprintln!("{} trials after {} s", count + 1, began.elapsed().as_secs());
            }
        }
        Ok(())
    })?;
    Ok(rows)
}

fn work(around: &Surroundings, points: &[&'static Point], queue: &Queue, tell: &Sender<Over>) {
    let mut server = None;
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    while let Some((number, seed)) = next() {
        let Some(point) = points.get(number) else { continue };
        let (ended, server_log) = match server.take().map_or_else(NatsServer::start, Ok) {
            Ok(mut running) => {
                let ended = point.run(around, &mut running, &format!("{number}-{seed}"), seed);
                let log = running.log();
                if ended.is_ok() && !point.spends_server {
                    server = Some(running);
                }
                (ended, log)
            }
            Err(err) => (Err(err), String::new()),
        };
        // Nobody listens any more if a report could not be written.
        let _heard = tell.send(Over { point: number, seed, ended, server_log });
    }
}

/// Counts a trial, and keeps what there is of one that is not valid.
fn add(row: &mut Row, over: Over) -> Result<()> {
    let name = format!("{}-{}", row.name, over.seed);
    match over.ended {
        Ok(ended) => {
            row.add(&ended);
            if ended.verdict != Verdict::Valid {
                let path = evidence::keep(&name, &ended, &over.server_log)?;
                let first = ended.findings.examples.first().map_or("", String::as_str);
                eprintln!("{name}: {:?} {first}\n  kept in {}", ended.verdict, path.display());
            }
        }
        Err(err) => {
            row.broken();
            eprintln!("{name}: the trial broke off: {err:#}");
        }
    }
    Ok(())
}
