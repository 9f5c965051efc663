//! Long runs under load.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use wasmill_tests::checker::findings::Verdict;
use wasmill_tests::nats::{Cluster, NatsServer};

use crate::args::Args;
use crate::evidence;
use crate::keyed;
use crate::load::{Load, Pace};
use crate::report::Row;
use crate::stage::{Ended, Fired, Stage, Surroundings};

/// One that can be asked for by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// Three engines share the plugin; one is killed or frozen, again and again.
    Engines,
    /// Three servers keep the streams together; they are restarted one by one, and leaders step down.
    Cluster,
    /// Two engines compete for the keys of a plugin; the one that has them is killed or frozen, again and again.
    Keyed,
    /// No engine lives when timers are due.
    Timers,
}

/// About 400 events a second, a thousand outputs.
const PACE: Pace = Pace { batch: 10, pause: Duration::from_millis(25) };
/// With fewer events than this in a second, a run proves nothing.
const LEAST_EVENTS_PER_S: u64 = 50;
const ENGINES: usize = 3;
const SERVERS: usize = 3;
/// How long the servers of a cluster may take until all have what the leader has.
const CATCH_UP: Duration = Duration::from_secs(60);

impl Scenario {
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "engines" => Ok(Self::Engines),
            "cluster" => Ok(Self::Cluster),
            "keyed" => Ok(Self::Keyed),
            "timers" => Ok(Self::Timers),
            _ => bail!("there is no scenario {name:?}: engines, cluster, keyed or timers"),
        }
    }
}

/// Runs one, tells what came of it, and keeps the evidence if it is not valid.
pub fn run(around: &Surroundings, args: &Args, scenario: Scenario) -> Result<Row> {
    let (ended, mut row) = match scenario {
        Scenario::Engines => {
            let row =
                Row::new("engines", "three engines share a plugin; one is killed or frozen, again and again");
            (engines(around, args)?, row)
        }
        Scenario::Cluster => {
            let row = Row::new(
                "cluster",
                "three servers with streams of three replicas: rolling restarts, leaders step down",
            );
            (cluster(around, args)?, row)
        }
        Scenario::Keyed => {
            let row = Row::new(
                "keyed",
                "two engines compete for a plugin's keys; the owner is killed or frozen, the server restarted, the plugin swapped",
            );
            (keyed::under_fire(args)?, row)
        }
        Scenario::Timers => {
            let row =
                Row::new("timers", "all engines are dead when timers are due, and killed while they fire");
            (keyed::timers(args)?, row)
        }
    };
    row.add(&ended);
    println!("{}\n{}", ended.notes.join("\n"), ended.findings);
    if ended.verdict != Verdict::Valid {
        let path = evidence::keep(&format!("{}-{}", row.name, args.seed), &ended, "")?;
        eprintln!("{:?}: kept in {}", ended.verdict, path.display());
    }
    Ok(row)
}

fn begin(stage: &mut Stage<'_>, urls: &[String]) -> Result<()> {
    for _ in 0..ENGINES {
        let engine = stage.add_engine(urls.join(","))?;
        stage.engine(engine)?.start(None)?;
    }
    let load = Load::new(stage.rng.fork());
    stage.publish(load, 0, PACE);
    Ok(())
}

fn finish(stage: Stage<'_>, args: &Args, fired: Fired) -> Result<Ended> {
    stage.end(args.duration.as_secs() * LEAST_EVENTS_PER_S, fired)
}

fn engines(around: &Surroundings, args: &Args) -> Result<Ended> {
    let server = NatsServer::start()?;
    let urls = vec![server.url()];
    let mut stage = Stage::new(around, "engines", args.seed, urls.clone(), 1)?;
    begin(&mut stage, &urls)?;
    let until = Instant::now() + args.duration;
    let (mut kills, mut frozen) = (0, 0);
    while Instant::now() < until || kills == 0 || frozen == 0 {
        stage.pause(100, 800);
        let engine = stage.rng.usize(..ENGINES);
        // However short the run is, it sees both.
        if kills == 0 || (frozen > 0 && stage.rng.bool()) {
            stage.engine(engine)?.kill()?;
            stage.pause(0, 500);
            stage.engine(engine)?.start(None)?;
            kills += 1;
        } else {
            stage.engine(engine)?.signal("STOP")?;
            // Shorter and longer than the ack wait.
            stage.pause(200, 2_500);
            frozen += u32::from(stage.engine(engine)?.is_frozen()?);
            stage.engine(engine)?.signal("CONT")?;
        }
    }
    stage.note(format!("{kills} kills, {frozen} times frozen"));
    finish(stage, args, Ok(()))
}

fn cluster(around: &Surroundings, args: &Args) -> Result<Ended> {
    let mut cluster = Cluster::start(SERVERS)?;
    let urls = cluster.urls();
    let mut stage = Stage::new(around, "cluster", args.seed, urls.clone(), SERVERS)?;
    begin(&mut stage, &urls)?;
    let until = Instant::now() + args.duration;
    let (mut restarts, mut stepped_down) = (0_usize, 0);
    while Instant::now() < until || restarts < SERVERS {
        for verb in stage.leaders() {
            stage.pause(100, 700);
            // Without a leader just now there is none to step down.
            stepped_down += u32::from(stage.client.api(&verb, &Value::Null).is_ok());
        }
        stage.pause(100, 500);
        let server = cluster.server(restarts % SERVERS).context("there is no such server")?;
        // In good order and by SIGKILL in turn, round by round.
        if (restarts / SERVERS).is_multiple_of(2) {
            server.stop()?
        } else {
            server.kill()?
        }
        stage.pause(100, 1_000);
        server.restart()?;
        restarts += 1;
        stage.wait_for_replicas(CATCH_UP)?;
    }
    stage.note(format!("{restarts} servers restarted, {stepped_down} times a leader stepped down"));
    let fired = if stepped_down > 0 { Ok(()) } else { Err("no leader stepped down".to_owned()) };
    finish(stage, args, fired)
}
