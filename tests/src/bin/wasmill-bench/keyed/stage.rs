//! A server, streams with events, and a contestant that works them off.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::{self, kv};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use serde_json::Value;
use wasmill_tests::nats::NatsServer;
use wasmill_tests::place::{Place, Process};
use wasmill_tests::{parts, streams};

use super::native::BUCKET;
use crate::calls::payment;
use crate::throughput::cpu_seconds;

/// A contestant gives up after so long without progress.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is asked how far it is.
const LOOK: Duration = Duration::from_millis(20);
/// The plugin's name.
pub const PLUGIN: &str = "tally";
/// The length of a lease.
pub const LEASE: Duration = Duration::from_secs(2);

/// Who does the work.
pub enum Kind {
    Native { counts: bool },
    Wasmill { counts: bool, isolation: &'static str },
}

/// What it came to.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    pub per_second: f64,
    pub client_us: f64,
    pub server_us: f64,
    pub rss_mib: f64,
}

impl Figures {
    /// The middle of each figure.
    pub fn median(rounds: &[Self]) -> Self {
        let middle = |of: fn(&Self) -> f64| {
            let mut all: Vec<f64> = rounds.iter().map(of).collect();
            all.sort_by(f64::total_cmp);
            all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
        };
        Self {
            per_second: middle(|f| f.per_second),
            client_us: middle(|f| f.client_us),
            server_us: middle(|f| f.server_us),
            rss_mib: middle(|f| f.rss_mib),
        }
    }
}

/// The manifest of the plugin that counts. `idle_ms`: each event sets a timer of its key.
pub fn manifest(counts: bool, emits: bool, isolation: &str, idle_ms: u64) -> String {
    let key = if counts { "key = { token = 2 }\n" } else { "" };
    let state = if counts { format!("[state]\nlease_ms = {}\n", LEASE.as_millis()) } else { String::new() };
    format!(
        r#"
isolation = "{isolation}"
{key}
[[subscribe]]
stream = "PAYMENTS"
subjects = ["payments.*"]
[emit]
subjects = ["alerts.*"]
{state}
[config]
counts = {counts}
emits = {emits}
idle_ms = {idle_ms}
"#
    )
}

enum Running {
    Native(Killed),
    Wasmill(Process),
}

/// The stage.
pub struct Stage {
    pub server: NatsServer,
    pub jetstream: jetstream::Context,
    place: Place,
    keys: usize,
    filled: usize,
    emits: bool,
    running: Option<Running>,
}

impl Stage {
    /// One for events of so many keys.
    pub async fn new(keys: usize) -> Result<Self> {
        let server = NatsServer::start()?;
        let jetstream = streams::connect(&server.url()).await?;
        streams::create(&jetstream, "PAYMENTS", "payments.*").await?;
        streams::create(&jetstream, "ALERTS", "alerts.*").await?;
        jetstream.create_key_value(kv::Config { bucket: BUCKET.into(), ..Default::default() }).await?;
        Ok(Self { server, jetstream, place: Place::new()?, keys, filled: 0, emits: true, running: None })
    }

    /// Stores more events: the keys in turn, each time they have all been in another order.
    pub async fn fill(&mut self, events: usize) -> Result<()> {
        let mut acks = FuturesUnordered::new();
        for number in self.filled..self.filled + events {
            let (time_round, at) = (number / self.keys, number % self.keys);
            // Far from each other, and every one of them: the factor is a prime.
            let key = if time_round.is_multiple_of(2) { at } else { at * 15_485_863 % self.keys };
            let data = payment(number as f64 / 100.0).data;
            acks.push(self.jetstream.publish(format!("payments.c{key}"), data).await?.into_future());
            if acks.len() >= 1_024 {
                acks.next().await.context("no acks")??;
            }
        }
        while let Some(stored) = acks.next().await {
            stored?;
        }
        self.filled += events;
        Ok(())
    }

    /// Starts a contestant.
    pub fn start(&mut self, kind: &Kind, emits: bool, idle_ms: u64) -> Result<()> {
        self.emits = emits;
        self.running = Some(match kind {
            Kind::Native { counts } => {
                let mut command = Command::new(std::env::current_exe()?);
                command.args(["native-keyed", &self.server.url()]);
                command.args(counts.then_some("--counts")).args(emits.then_some("--emits"));
                Running::Native(Killed(command.stdin(Stdio::null()).spawn()?))
            }
            Kind::Wasmill { counts, isolation } => {
                let component = std::fs::read(parts::test_tally()?)?;
                let manifest = manifest(*counts, emits, isolation, idle_ms);
                self.place.put(PLUGIN, &component, &manifest)?;
                Running::Wasmill(self.place.spawn(&self.server.url())?)
            }
        });
        Ok(())
    }

    /// The engine that runs.
    pub fn engine(&mut self) -> Result<Process> {
        match self.running.take() {
            Some(Running::Wasmill(engine)) => Ok(engine),
            _ => bail!("no engine runs"),
        }
    }

    fn pid(&self) -> Result<u32> {
        match self.running.as_ref().context("nobody runs")? {
            Running::Native(native) => Ok(native.0.id()),
            Running::Wasmill(engine) => Ok(engine.pid()),
        }
    }

    /// How many events the contestant has brought through.
    async fn done(&self) -> Result<usize> {
        let done = match self.running.as_ref().context("nobody runs")? {
            _ if self.emits => streams::count(&self.jetstream, "ALERTS").await?,
            Running::Native(_) => {
                let consumer =
                    self.jetstream.get_consumer_from_stream::<pull::Config, _, _>("native", "PAYMENTS");
                match consumer.await {
                    Ok(consumer) => {
                        let info = consumer.cached_info();
                        (self.filled as u64).saturating_sub(info.num_pending + info.num_ack_pending as u64)
                    }
                    // It has not made it yet.
                    Err(_) => 0,
                }
            }
            Running::Wasmill(engine) => {
                let page: Value = serde_json::from_str(&engine.page(&format!("/api/plugins/{PLUGIN}"))?.1)?;
                page.pointer("/counters/done").and_then(Value::as_u64).unwrap_or_default()
            }
        };
        Ok(usize::try_from(done)?)
    }

    /// Waits until more than so many events are through; answers how many are.
    pub async fn wait_for(&self, wanted: usize) -> Result<usize> {
        let (mut seen, mut since) = (0, Instant::now());
        loop {
            let done = self.done().await?;
            if done >= wanted {
                return Ok(done);
            }
            if done != seen {
                (seen, since) = (done, Instant::now());
            }
            if since.elapsed() > PATIENCE {
                let log = match &self.running {
                    Some(Running::Wasmill(engine)) => {
                        format!("{}\n{}", engine.log(), engine.page("/api/plugins/tally")?.1)
                    }
                    _ => String::new(),
                };
                bail!("{seen} of {wanted} events, then nothing for {PATIENCE:?}\n{log}");
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until so many events are through, and counts from the next that is.
    pub async fn figures(&self, events: usize) -> Result<Figures> {
        let begun = self.wait_for(self.done().await? + 1).await?;
        let (started, client, served) = (Instant::now(), self.client()?, self.served()?);
        let done = self.wait_for(events).await?;
        let took = started.elapsed().as_secs_f64();
        if done > events {
            bail!("{done} for {events} events");
        }
        let counted = (done - begun) as f64;
        Ok(Figures {
            per_second: counted / took,
            client_us: (self.client()? - client) / counted * 1e6,
            server_us: (self.served()? - served) / counted * 1e6,
            rss_mib: rss_mib(self.pid()?)?,
        })
    }

    fn client(&self) -> Result<f64> {
        cpu_seconds(self.pid()?)
    }

    fn served(&self) -> Result<f64> {
        cpu_seconds(self.server.pid().context("no server")?)
    }
}

/// What a process has of the machine's memory.
pub fn rss_mib(pid: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: f64 =
        line.and_then(|line| line.trim().strip_suffix(" kB")).context("no VmRSS")?.trim().parse()?;
    Ok(kib / 1_024.0)
}

/// A process that does not outlive its round.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}
