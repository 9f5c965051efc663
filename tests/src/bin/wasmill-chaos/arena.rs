//! What a run of a plugin with a key works on: a server, two engines that compete, and the verdict at the end.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use fastrand::Rng;
use wasmill_tests::checker::client::{Client, StreamPlan};
use wasmill_tests::checker::judge::Found;
use wasmill_tests::checker::ledger::Book;
use wasmill_tests::checker::ledger::accounts::{Accounts, settle};
use wasmill_tests::checker::ledger::audit::{Held, audit};
use wasmill_tests::nats::NatsServer;
use wasmill_tests::{guests, parts};

use crate::args::Args;
use crate::engine::Engine;
use crate::stage::{DEAD_LETTERS, Ended, Fired};

pub const PLUGIN: &str = "ledger";
const INPUT: &str = "ENTRIES";
/// The subject of the events.
pub const SUBJECT: &str = "entries";
const OUTPUT: &str = "ACCOUNTS";
const OUTPUT_SUBJECT: &str = "accounts";
/// How its guest calls itself, and what the other versions are called.
const VERSIONS: [&str; 4] = [
    "1.0.0-with.accounts.of.the.shape.1000",
    "1.0.0-with.accounts.of.the.shape.1001",
    "1.0.0-with.accounts.of.the.shape.1002",
    "1.0.0-with.accounts.of.the.shape.1003",
];
/// How many engines compete.
pub const ENGINES: usize = 2;
/// How long an engine may take to put the plugin into service.
pub const IN_SERVICE: Duration = Duration::from_secs(30);
/// How long nothing may come of anything before the end is taken to have been reached.
const STANDSTILL: Duration = Duration::from_secs(45);
/// How long an engine that was told to stop may take.
const STOP: Duration = Duration::from_secs(30);
/// How often somebody looks how far it is.
const LOOK: Duration = Duration::from_millis(50);

/// What was done.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Engines that owned the keys when SIGKILL came.
    pub owners_killed: u32,
    /// Engines that killed themselves at a failpoint, by its name.
    pub at_failpoints: std::collections::BTreeMap<&'static str, u32>,
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
    pub client: Client,
    pub engines: Vec<Engine>,
    /// Every choice of the run comes from here.
    pub rng: Rng,
    pub tally: Tally,
    versions: Vec<Vec<u8>>,
}

impl Arena {
    /// A server with streams, and engines that are not started yet. `state` is more of the manifest's table of that name.
    pub fn new(args: &Args, state: &str) -> Result<Self> {
        let server = NatsServer::start()?;
        let mut client = Client::connect(&[server.url()])?;
        for (name, subjects) in
            [(INPUT, SUBJECT), (OUTPUT, OUTPUT_SUBJECT), (DEAD_LETTERS, "wasmill.dead-letter.>")]
        {
            client.create_stream(StreamPlan { name, subjects, replicas: 1 })?;
        }
        let component = std::fs::read(parts::test_ledger()?)?;
        let [first, ..] = VERSIONS;
        let versions: Vec<_> = VERSIONS
            .iter()
            .map(|version| guests::renamed(&component, first, version))
            .collect::<Result<_>>()?;
        let environment: Vec<_> = args.mutant.iter().map(|mutant| ("MUTANT", mutant.clone())).collect();
        let engine = |_| Engine::new(PLUGIN, &component, &manifest(state), server.url(), environment.clone());
        let engines = (0..ENGINES).map(engine).collect::<Result<_>>()?;
        let (rng, tally) = (Rng::with_seed(args.seed), Tally::default());
        Ok(Self { server, client, engines, rng, tally, versions })
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
        let version = self.versions.get(self.tally.swaps as usize % VERSIONS.len()).context("no version")?;
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

    /// The epoch of the owner and how far it has come in the stream of events; nothing before there is one.
    pub fn standing(&mut self) -> (u64, u64) {
        let (bucket, subject) = (format!("KV_{}", bucket()), format!("$KV.{}.owner", bucket()));
        let found = self.client.read(&bucket, &subject).unwrap_or_default();
        let owner = found.last().and_then(|owner| serde_json::from_slice::<serde_json::Value>(&owner.payload).ok());
        let number = |pointer: &str| owner.as_ref()?.pointer(pointer)?.as_u64();
        (
            number("/epoch").unwrap_or_default(),
            number(&format!("/cursor/{INPUT}/sequence")).unwrap_or_default(),
        )
    }

    /// Waits until everything that must come of what was published is there, or nothing comes any more.
    pub fn wait_until_done(&mut self) -> Result<bool> {
        let events = self.client.read(INPUT, SUBJECT)?;
        let wanted = (events.last().map_or(0, |event| event.sequence), outputs(&settle(&events)?));
        let mut last = (0, 0);
        let mut since = Instant::now();
        loop {
            let now = (self.standing().1, self.client.count(OUTPUT)?);
            if now.0 >= wanted.0 && now.1 >= wanted.1 {
                return Ok(true);
            }
            if now != last {
                (last, since) = (now, Instant::now());
            } else if since.elapsed() > STANDSTILL {
                return Ok(false);
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Lets the engines finish, stops them, reads everything back and compares.
    pub fn end(mut self, book: &Book, least_events: u64, fired: Fired) -> Result<Ended> {
        let done = self.wait_until_done()?;
        // An engine that still runs might still publish: only what is read after its end counts.
        let mut troubles = Vec::new();
        for engine in &mut self.engines {
            troubles.extend(engine.stop(STOP)?);
        }
        if !done {
            troubles.push("nothing came any more, and not all was there".to_owned());
        }
        let bucket = bucket();
        let held = Held {
            stream: INPUT.to_owned(),
            events: self.client.read(INPUT, SUBJECT)?,
            outputs: self.client.read(OUTPUT, OUTPUT_SUBJECT)?,
            letters: self.client.read(DEAD_LETTERS, &format!("wasmill.dead-letter.{PLUGIN}"))?,
            buckets: vec![self.client.read(&format!("KV_{bucket}"), &format!("$KV.{bucket}.>"))?],
        };
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

/// How many outputs accounts come to.
fn outputs(accounts: &Accounts) -> u64 {
    let of_events = accounts.values().flat_map(|account| &account.counted).map(|event| u64::from(event.outputs));
    of_events.sum::<u64>() + accounts.values().map(|account| account.fires.len() as u64).sum::<u64>()
}

/// The bucket of the only partition.
fn bucket() -> String {
    format!("wasmill-state-{PLUGIN}-0")
}

/// Without the breaker, because a quarantine would only make a run longer.
fn manifest(state: &str) -> String {
    format!(
        "key = {{ pointer = \"/key\" }}\n[[subscribe]]\nstream = \"{INPUT}\"\nsubjects = [\"{SUBJECT}\"]\n\
         [emit]\nsubjects = [\"{OUTPUT_SUBJECT}\"]\n\
         [retry]\nattempts = 4\nfirst_delay_ms = 20\nmax_delay_ms = 100\n\
         [breaker]\nfailures = 0\n\
         [limits]\ncpu_ms = 10000\nwall_ms = 120000\n\
         [state]\nlease_ms = 1000\n{state}\n\
         [config]\nsubject = \"{OUTPUT_SUBJECT}\"\n"
    )
}
