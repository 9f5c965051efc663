//! JetStream → rule → JetStream: the engine with a plugin against the native consumer, in turn, on one server.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use async_nats::jetstream::{self, stream};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use wasmill_tests::nats::NatsServer;
use wasmill_tests::parts;

use crate::calls::payment;

/// A contestant gives up after so long without its next output.
const PATIENCE: Duration = Duration::from_secs(60);
/// Clock ticks a second in `/proc/PID/stat`: fixed at 100 by the kernel's interface.
const TICKS_PER_SECOND: f64 = 100.0;

struct Round {
    per_second: f64,
    client_us: f64,
    server_us: f64,
}

pub async fn run(events: usize, rounds: usize) -> Result<()> {
    let server = NatsServer::start()?;
    let client = async_nats::connect(server.url()).await?;
    let jetstream = jetstream::new(client);
    let dir = tempfile::tempdir()?;
    let mut wasmill = [Vec::new(), Vec::new()];
    let mut native = [Vec::new(), Vec::new()];
    println!(
        "JetStream to JetStream, {events} events, one output each, file storage, medians of {rounds} rounds in turn\n"
    );
    for _ in 0..rounds {
        for (context, rounds) in [false, true].into_iter().zip(&mut native) {
            rounds.push(round(&jetstream, &server, events, || start_native(&server.url(), context)).await?);
        }
        for (isolation, rounds) in ["fresh", "reuse"].into_iter().zip(&mut wasmill) {
            rounds.push(
                round(&jetstream, &server, events, || start_wasmill(&server.url(), dir.path(), isolation))
                    .await?,
            );
        }
    }
    let ([bare, same], [fresh, reuse]) = (&native, &wasmill);
    let base = median(same);
    println!("{:<30}{:>10}{:>16}{:>16}{:>12}", "", "events/s", "client µs/ev", "server µs/ev", "× native");
    for (what, rounds) in [
        ("native, same headers", same),
        ("native, id alone", bare),
        ("wasmill, fresh", fresh),
        ("wasmill, reuse", reuse),
    ] {
        let middle = median(rounds);
        println!(
            "{what:<30}{:>10.0}{:>16.1}{:>16.1}{:>12.2}",
            middle.per_second,
            middle.client_us,
            middle.server_us,
            middle.per_second / base.per_second
        );
    }
    Ok(())
}

fn median(rounds: &[Round]) -> Round {
    let middle = |of: fn(&Round) -> f64| {
        let mut all: Vec<f64> = rounds.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
    };
    Round {
        per_second: middle(|r| r.per_second),
        client_us: middle(|r| r.client_us),
        server_us: middle(|r| r.server_us),
    }
}

/// Fills a new stream, lets a contestant work it off, and counts from its first output to its last.
async fn round(
    jetstream: &jetstream::Context,
    server: &NatsServer,
    events: usize,
    start: impl FnOnce() -> Result<Child>,
) -> Result<Round> {
    for name in ["PAYMENTS", "ALERTS", "WASMILL_DEAD_LETTERS"] {
        // The first round has nothing to delete.
        let _absent = jetstream.delete_stream(name).await;
    }
    create(jetstream, "PAYMENTS", "payments.>").await?;
    create(jetstream, "ALERTS", "alerts.>").await?;
    fill(jetstream, events).await?;
    let mut contestant = Killed(start()?);
    let mut progress =
        Progress { alerts: jetstream.get_stream("ALERTS").await?, seen: 0, since: Instant::now() };
    progress.wait_for(1).await?;
    let (started, stored) = (Instant::now(), progress.seen);
    let cpu = (cpu_seconds(contestant.0.id())?, cpu_seconds(server.pid().context("no server")?)?);
    progress.wait_for(events as u64).await?;
    let took = started.elapsed().as_secs_f64();
    let counted = (progress.seen - stored) as f64;
    let client = cpu_seconds(contestant.0.id())? - cpu.0;
    let served = cpu_seconds(server.pid().context("no server")?)? - cpu.1;
    if progress.seen > events as u64 {
        bail!("{} outputs for {events} events", progress.seen);
    }
    contestant.0.kill()?;
    Ok(Round {
        per_second: counted / took,
        client_us: client / counted * 1e6,
        server_us: served / counted * 1e6,
    })
}

struct Progress {
    alerts: stream::Stream,
    seen: u64,
    since: Instant,
}

impl Progress {
    async fn wait_for(&mut self, wanted: u64) -> Result<()> {
        loop {
            let seen = self.alerts.info().await?.state.messages;
            if seen != self.seen {
                (self.seen, self.since) = (seen, Instant::now());
            }
            if seen >= wanted {
                return Ok(());
            }
            if self.since.elapsed() > PATIENCE {
                bail!("{seen} of {wanted} outputs, then nothing for {PATIENCE:?}");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn create(jetstream: &jetstream::Context, name: &str, subjects: &str) -> Result<()> {
    let settings =
        stream::Config { name: name.into(), subjects: vec![subjects.into()], ..Default::default() };
    jetstream.create_stream(settings).await?;
    Ok(())
}

async fn fill(jetstream: &jetstream::Context, events: usize) -> Result<()> {
    let mut acks = FuturesUnordered::new();
    for number in 0..events {
        let data = payment(number as f64 / 100.0).data;
        acks.push(jetstream.publish("payments.card", data).await?.into_future());
        if acks.len() >= 1_024 {
            acks.next().await.context("no acks")??;
        }
    }
    while let Some(stored) = acks.next().await {
        stored?;
    }
    Ok(())
}

fn start_native(url: &str, with_context: bool) -> Result<Child> {
    spawn(
        Command::new(std::env::current_exe()?)
            .args(["native", url])
            .args(with_context.then_some("--context")),
    )
}

fn start_wasmill(url: &str, dir: &Path, isolation: &str) -> Result<Child> {
    let plugins = dir.join("plugins");
    std::fs::create_dir_all(&plugins)?;
    std::fs::copy(parts::plugin("amount-threshold")?, plugins.join("large-amount.wasm"))?;
    let manifest = format!(
        r#"
isolation = "{isolation}"
concurrency = {}
[[subscribe]]
stream = "PAYMENTS"
subjects = ["payments.card"]
[emit]
subjects = ["alerts.>"]
[config]
field = "amount"
threshold = -1
output = "alerts.card.large-amount"
"#,
        crate::native::IN_FLIGHT
    );
    std::fs::write(plugins.join("large-amount.toml"), manifest)?;
    let config = dir.join("wasmill.toml");
    std::fs::write(
        &config,
        format!("[bus]\nurl = \"{url}\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[log]\nlevel = \"warn\"\n"),
    )?;
    spawn(Command::new(parts::wasmill()?).arg("run").arg("-c").arg(config))
}

fn spawn(command: &mut Command) -> Result<Child> {
    command.stdin(Stdio::null()).spawn().with_context(|| format!("{command:?} does not start"))
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

/// The processor time that a process has used.
pub fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The fields after the program's name, which may hold spaces; user and system time are the 14th and 15th of all.
    let (_, rest) = stat.rsplit_once(')').context("/proc has no stat")?;
    let ticks: f64 =
        rest.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
    Ok(ticks / TICKS_PER_SECOND)
}
