//! What a run of a plugin with a key works on: a server, two engines that compete, and the verdict at the end.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use anyhow::{Context as _, Result};
use fastrand::Rng;
use wasmill_tests::checker::judge::Found;
use wasmill_tests::checker::ledger::Book;
use wasmill_tests::checker::ledger::accounts::settle;
use wasmill_tests::checker::ledger::audit::{Held, audit};
use wasmill_tests::checker::ledger::scene::{PLUGIN, Scene, manifest, version};
use wasmill_tests::nats::NatsServer;

use crate::args::Args;
use crate::engine::Engine;
use crate::stage::{Ended, Fired};

/// The versions of the plugin.
const VERSIONS: std::ops::Range<u16> = 1_000..1_004;
/// How many engines compete.
pub const ENGINES: usize = 2;
/// How long an engine may take to put the plugin into service.
pub const IN_SERVICE: Duration = Duration::from_secs(30);
/// How long an engine that was told to stop may take.
const STOP: Duration = Duration::from_secs(30);

/// What was done.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Engines that owned the keys when SIGKILL came.
    pub owners_killed: u32,
    /// Engines that killed themselves at a failpoint, by its name.
    pub at_failpoints: BTreeMap<&'static str, u32>,
    /// Failpoints that an engine did not come by.
    pub in_vain: u32,
    /// Other engines that SIGKILL came to.
    pub others_killed: u32,
    /// Owners frozen until another had taken over.
    pub frozen: u32,
    pub server_restarts: u32,
    pub swaps: u32,
}

impl Tally {
    /// Kills that had something to hit.
    pub fn kills(&self) -> u32 {
        self.owners_killed + self.at_failpoints.values().sum::<u32>()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} kills: {} owners at random, at failpoints {:?}; beside these {} others killed, {} failpoints in vain; \
             {} owners frozen past their lease, {} server restarts, {} swaps",
            self.kills(),
            self.owners_killed,
            self.at_failpoints,
            self.others_killed,
            self.in_vain,
            self.frozen,
            self.server_restarts,
            self.swaps
        )
    }
}

/// One run.
pub struct Arena {
    pub server: NatsServer,
    pub scene: Scene,
    pub engines: Vec<Engine>,
    /// Every choice of the run comes from here.
    pub rng: Rng,
    pub tally: Tally,
    versions: Vec<Vec<u8>>,
}

impl Arena {
    /// A server with streams, and engines that are not started yet.
    pub fn new(args: &Args) -> Result<Self> {
        let server = NatsServer::start()?;
        let scene = Scene::new(&server.url())?;
        let versions: Vec<_> = VERSIONS.map(version).collect::<Result<_>>()?;
        let first = versions.first().context("no version")?;
        let environment: Vec<_> = args.mutant.iter().map(|mutant| ("MUTANT", mutant.clone())).collect();
        let engine = |_| Engine::new(PLUGIN, first, &manifest(""), server.url(), environment.clone());
        let engines = (0..ENGINES).map(engine).collect::<Result<_>>()?;
        let (rng, tally) = (Rng::with_seed(args.seed), Tally::default());
        Ok(Self { server, scene, engines, rng, tally, versions })
    }

    pub fn engine(&mut self, number: usize) -> Result<&mut Engine> {
        self.engines.get_mut(number).context("there is no such engine")
    }

    /// Starts an engine and waits until it takes part.
    pub fn start(&mut self, number: usize, failpoint: Option<&str>) -> Result<()> {
        self.engine(number)?.start(failpoint)?;
        self.engine(number)?.wait_until_in_service(1, IN_SERVICE)
    }

    /// The engine that says that it owns the keys, if one does.
    pub fn owner(&self) -> Option<usize> {
        self.engines.iter().position(Engine::says_it_owns)
    }

    /// Gives every engine another version of the component.
    pub fn swap(&mut self) -> Result<()> {
        self.tally.swaps += 1;
        let version =
            self.versions.get(self.tally.swaps as usize % self.versions.len()).context("no version")?;
        self.engines.iter().try_for_each(|engine| engine.put_component(version))
    }

    /// A random time between two numbers of milliseconds passes.
    pub fn pause(&mut self, from_ms: u64, to_ms: u64) {
        std::thread::sleep(Duration::from_millis(self.rng.u64(from_ms..=to_ms)));
    }

    /// SIGKILL for one engine.
    pub fn kill(&mut self, number: usize) -> Result<()> {
        let owns = self.engine(number)?.says_it_owns();
        if self.engine(number)?.kill()? {
            *if owns { &mut self.tally.owners_killed } else { &mut self.tally.others_killed } += 1;
        }
        Ok(())
    }

    /// Lets the engines finish, stops them, reads everything back and compares.
    pub fn end(mut self, book: &Book, least_events: u64, fired: Fired) -> Result<Ended> {
        let done = self.scene.wait_until_done()?;
        let mut troubles = Vec::new();
        // One that is stopped before it owns anything has nothing to let go.
        if let Err(err) = self.wait_for_owner() {
            troubles.push(err.to_string());
        }
        // An engine that still runs might still publish: only what is read after its end counts.
        for engine in &mut self.engines {
            troubles.extend(engine.stop(STOP)?);
        }
        if !done {
            troubles.push("nothing came any more, and not all was there".to_owned());
        }
        let held = self.scene.held()?;
        let mut findings = audit(book, &held)?;
        troubles.into_iter().for_each(|trouble| findings.trouble(trouble));
        let accounts = settle(&held.events)?;
        let timers: usize = accounts.values().map(|account| account.fires.len()).sum();
        let notes = vec![
            self.tally.to_string(),
            format!(
                "{} events of {} keys, {timers} timers fired, {} outputs, {} dead letters",
                held.events.len(),
                accounts.len(),
                held.outputs.len(),
                held.letters.len()
            ),
        ];
        let logs = self.engines.iter().map(Engine::log).collect();
        let Held { outputs, letters, buckets, .. } = held;
        let found = Found { outputs, letters, unsettled: 0 };
        let state = buckets.into_iter().flatten().collect();
        let (fired_at_all, verdict) = (fired.is_ok(), findings.verdict(least_events, fired));
        let history = book.to_lines();
        Ok(Ended { verdict, fired: fired_at_all, findings, history, found, state, notes, logs })
    }
}
