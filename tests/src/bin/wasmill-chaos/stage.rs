//! What one run works on: streams and a plugin of its own, engines, a publisher, and the verdict at the end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use fastrand::Rng;
use sha2::{Digest as _, Sha256};
use wasmill_tests::checker::client::{Client, StreamPlan};
use wasmill_tests::checker::findings::{Findings, Verdict};
use wasmill_tests::checker::history::History;
use wasmill_tests::checker::judge::{Case, Found, judge};
use wasmill_tests::checker::read::Stored;
use wasmill_tests::guests::{self, CHAOS_MODE};
use wasmill_tests::proxy::Proxy;

use crate::engine::Engine;
use crate::load::{Load, Pace, Publisher};

/// The stream of all dead letters.
const DEAD_LETTERS: &str = "WASMILL_DEAD_LETTERS";
/// Events of a plugin that one engine has in flight at most.
const CONCURRENCY: u32 = 64;
/// How many versions of the component there are.
const VERSIONS: u16 = 4;
/// How long an engine may take to bring all to its end once nothing disturbs it any more.
const DRAIN: Duration = Duration::from_secs(40);
/// How long an engine that was told to stop may take.
const STOP: Duration = Duration::from_secs(30);
/// How often somebody looks how far it is.
const LOOK: Duration = Duration::from_millis(25);

/// Outputs that a version has made for certain, for it to have taken part.
pub const MADE: u64 = 50;

/// Whether the fault happened; if not, why nobody can say that it did.
pub type Fired = Result<(), String>;

/// What all runs share.
pub struct Surroundings {
    /// Where proxies run.
    pub runtime: tokio::runtime::Handle,
    /// The defect that engines are started with.
    pub mutant: Option<String>,
    /// The versions of the component.
    pub versions: Vec<Version>,
}

/// One version of the component.
pub struct Version {
    pub bytes: Vec<u8>,
    digest: String,
    name: String,
}

impl Surroundings {
    pub fn new(runtime: tokio::runtime::Handle, mutant: Option<String>) -> Result<Self> {
        let version = |number| {
            let bytes = guests::chaos_version(number)?;
            let digest = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            Ok(Version { bytes, digest, name: guests::chaos_version_name(number) })
        };
        let versions = (0..VERSIONS).map(version).collect::<Result<_>>()?;
        Ok(Self { runtime, mutant, versions })
    }
}

/// One run.
pub struct Stage<'a> {
    pub around: &'a Surroundings,
    /// Every choice of the run comes from here.
    pub rng: Rng,
    /// What was done, for people.
    pub notes: Vec<String>,
    pub engines: Vec<Engine>,
    /// Proxies that engines are connected through, to the end of the run.
    pub proxies: Vec<Proxy>,
    pub client: Client,
    /// How many versions must have taken part.
    pub least_versions: u64,
    urls: Vec<String>,
    plugin: String,
    input: String,
    output: String,
    publisher: Option<Publisher>,
    swaps: usize,
}

/// How a run ended.
pub struct Ended {
    pub verdict: Verdict,
    pub fired: bool,
    pub findings: Findings,
    /// What was published, one line each.
    pub history: String,
    pub found: Found,
    /// What plugins keep of their keys.
    pub state: Vec<Stored>,
    pub notes: Vec<String>,
    pub logs: Vec<String>,
}

impl<'a> Stage<'a> {
    /// Streams for a run of this name, which must be its alone.
    pub fn new(
        around: &'a Surroundings,
        name: &str,
        seed: u64,
        urls: Vec<String>,
        replicas: usize,
    ) -> Result<Self> {
        let mut client = Client::connect(&urls)?;
        let (input, output) = (format!("IN-{name}"), format!("OUT-{name}"));
        let plugin = format!("chaos-{name}");
        for stream in [&input, &output] {
            client.create_stream(StreamPlan { name: stream, subjects: &subject(stream), replicas })?;
        }
        // The engine makes this one if it is not there, on one server.
        client.create_stream(StreamPlan {
            name: DEAD_LETTERS,
            subjects: "wasmill.dead-letter.>",
            replicas,
        })?;
        let rng = Rng::with_seed(seed);
        let (notes, engines, proxies) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self {
            around,
            rng,
            notes,
            engines,
            proxies,
            client,
            least_versions: 1,
            urls,
            plugin,
            input,
            output,
            publisher: None,
            swaps: 0,
        })
    }

    /// The manifest; `concurrency` is what a change of it is seen by. A third of all deliveries fail on purpose: without the
    /// breaker, because a quarantine would only make a run longer.
    fn manifest(&self, concurrency: u32) -> String {
        let (stream, from, to) = (&self.input, subject(&self.input), subject(&self.output));
        format!(
            "concurrency = {concurrency}\n[[subscribe]]\nstream = \"{stream}\"\nsubjects = [\"{from}\"]\n\
             [emit]\nsubjects = [\"{to}\"]\n\
             [retry]\nattempts = 4\nfirst_delay_ms = 20\nmax_delay_ms = 100\nack_wait_ms = 1000\n\
             [breaker]\nfailures = 0\n\
             [limits]\ncpu_ms = 10000\nwall_ms = 120000\ninstances = 2\n\
             [config]\nmode = \"{CHAOS_MODE}\"\nsubject = \"{to}\"\n"
        )
    }

    /// One more engine, which is not started yet. Returns its number.
    pub fn add_engine(&mut self, url: String) -> Result<usize> {
        let version = self.around.versions.first().context("there is no version")?;
        let environment = self.around.mutant.iter().map(|mutant| ("MUTANT", mutant.clone())).collect();
        let manifest = self.manifest(CONCURRENCY);
        self.engines.push(Engine::new(&self.plugin, &version.bytes, &manifest, url, environment)?);
        Ok(self.engines.len() - 1)
    }

    pub fn engine(&mut self, number: usize) -> Result<&mut Engine> {
        self.engines.get_mut(number).context("there is no such engine")
    }

    /// Gives every engine another version of the component.
    pub fn swap(&mut self) -> Result<()> {
        self.swaps += 1;
        let versions = &self.around.versions;
        let version = versions.get(self.swaps % versions.len()).context("there is no version")?;
        self.engines.iter().try_for_each(|engine| engine.put_component(&version.bytes))
    }

    /// Gives every engine a manifest with which it must subscribe anew.
    pub fn change_subscription(&mut self) -> Result<()> {
        self.swaps += 1;
        let manifest = self.manifest(CONCURRENCY - u32::try_from(self.swaps % 16)?);
        self.engines.iter().try_for_each(|engine| engine.put_manifest(&manifest))
    }

    /// Begins to publish.
    pub fn publish(&mut self, load: Load, least: usize, pace: Pace) {
        let subject = subject(&self.input);
        self.publisher = Some(Publisher::start(self.urls.clone(), subject, load, least, pace));
    }

    /// Tells the publisher that it may end.
    fn enough(&self) {
        self.publisher.iter().for_each(Publisher::enough);
    }

    pub fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// A random time between two numbers of milliseconds passes.
    pub fn pause(&mut self, from_ms: u64, to_ms: u64) {
        let wait = self.rng.u64(from_ms..=to_ms);
        std::thread::sleep(Duration::from_millis(wait));
    }

    /// How many events are known to wait for the engine, unacked ones included; none if there is no consumer yet.
    fn left(&mut self) -> Result<Option<u64>> {
        let consumer = format!("wasmill-{}", self.plugin);
        Ok(self.client.backlog(&self.input, &consumer)?.map(|backlog| backlog.left()))
    }

    /// Waits until so many more outputs are stored than now, however slow the machine is.
    pub fn wait_for_outputs(&mut self, more: u64) -> Result<()> {
        let deadline = Instant::now() + DRAIN;
        let enough = self.client.count(&self.output)? + more;
        while Instant::now() < deadline && self.client.count(&self.output)? < enough {
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Waits until nothing is left to do.
    fn wait_until_done(&mut self) -> Result<()> {
        let deadline = Instant::now() + DRAIN;
        while Instant::now() < deadline && self.left()? != Some(0) {
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// The requests that make the leaders of the run's streams and consumer step down.
    pub fn leaders(&self) -> [String; 3] {
        let step_down = |what: &str, name: String| format!("{what}.LEADER.STEPDOWN.{name}");
        [
            step_down("STREAM", self.input.clone()),
            step_down("STREAM", self.output.clone()),
            step_down("CONSUMER", format!("{}.wasmill-{}", self.input, self.plugin)),
        ]
    }

    /// Waits until every server has what the leaders of the run's streams have.
    pub fn wait_for_replicas(&mut self, patience: Duration) -> Result<()> {
        let deadline = Instant::now() + patience;
        for stream in [self.input.as_str(), self.output.as_str(), DEAD_LETTERS] {
            while !self.client.is_replicated(stream)? {
                ensure!(Instant::now() < deadline, "the replicas of {stream} do not catch up");
                std::thread::sleep(LOOK);
            }
        }
        Ok(())
    }

    /// Lets the engines finish, stops them, reads everything back and judges. The streams are gone afterwards.
    pub fn end(mut self, least_events: u64, fired: Fired) -> Result<Ended> {
        self.enough();
        let history = match self.publisher.take() {
            Some(publisher) => publisher.finish()?,
            None => History::default(),
        };
        self.wait_until_done()?;
        let unsettled = self.left()?.unwrap_or(history.events().len() as u64);
        // An engine that still runs might still publish: only what is read after its end counts.
        let mut troubles = Vec::new();
        for engine in &mut self.engines {
            troubles.extend(engine.stop(STOP)?);
        }
        let outputs = self.client.read(&self.output, &subject(&self.output))?;
        let letters = self.client.read(DEAD_LETTERS, &format!("wasmill.dead-letter.{}", self.plugin))?;
        let found = Found { outputs, letters, unsettled };
        let versions: BTreeMap<_, _> =
            self.around.versions.iter().map(|v| (v.digest.clone(), v.name.clone())).collect();
        let case =
            Case { stream: self.input.clone(), subject: subject(&self.output), versions, ordered: false };
        let mut findings = judge(&case, &history, &found);
        troubles.into_iter().for_each(|trouble| findings.trouble(trouble));
        for stream in [&self.input, &self.output] {
            self.client.delete_stream(stream)?;
        }
        let logs = self.engines.iter().map(Engine::log).collect();
        let fired = fired.and_then(|()| match findings.versions {
            seen if seen < self.least_versions => Err(format!("{seen} versions took part")),
            _ => Ok(()),
        });
        let (fired_at_all, verdict) = (fired.is_ok(), findings.verdict(least_events, fired));
        Ok(Ended {
            verdict,
            fired: fired_at_all,
            findings,
            history: history.to_lines(),
            found,
            state: Vec::new(),
            notes: self.notes,
            logs,
        })
    }
}

/// The one subject of a stream.
fn subject(stream: &str) -> String {
    stream.replace('-', ".").to_lowercase()
}
