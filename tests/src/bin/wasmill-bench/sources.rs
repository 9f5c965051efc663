//! Many source plugins in one engine: what they take of the memory, and how long they take to start. One engine with a
//! single plugin stands beside it, so that what is shared shows.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use wasmill_tests::nats::NatsServer;
use wasmill_tests::place::{Place, Process};
use wasmill_tests::streams;

const RULE: &str = r#"from wasmill import Output, config


def handle(event):
    payment = event.json()
    if payment["amount"] > config.get("limit"):
        return Output.json("alerts.rule", {"payment": payment["id"]})
"#;

const MANIFEST: &str = r#"
[[subscribe]]
stream = "PAYMENTS"
subjects = ["payments.card"]
[emit]
subjects = ["alerts.>"]
[config]
limit = 220
"#;

/// Events that each plugin handles, so that every instance has been made and has run.
const EVENTS: usize = 200;

/// What one engine took.
struct Taken {
    ready: Duration,
    idle_mib: f64,
    busy_mib: f64,
}

pub async fn run(plugins: usize) -> Result<()> {
    println!(
        "\nPython source plugins in one engine, runner compiled before, {EVENTS} events handled by each\n"
    );
    println!("{:<14}{:>12}{:>18}{:>22}", "plugins", "ready, s", "idle, MiB (PSS)", "all at work, MiB");
    // The first engine compiles the runner, which is not what is asked here.
    engine(1).await?;
    for count in [1, plugins] {
        let Taken { ready, idle_mib, busy_mib } = engine(count).await?;
        println!("{count:<14}{:>12.2}{idle_mib:>18.0}{busy_mib:>22.0}", ready.as_secs_f64());
    }
    Ok(())
}

async fn engine(plugins: usize) -> Result<Taken> {
    let server = NatsServer::start()?;
    let jetstream = streams::connect(&server.url()).await?;
    streams::create(&jetstream, "PAYMENTS", "payments.>").await?;
    streams::create(&jetstream, "ALERTS", "alerts.>").await?;
    let place = Place::new()?;
    for number in 0..plugins {
        place.put_settled(&format!("rule-{number}.toml"), MANIFEST.as_bytes())?;
        // Different rules, as they would be: nothing but the runner is shared.
        place.put_settled(&format!("rule-{number}.py"), format!("{RULE}# {number}\n").as_bytes())?;
    }
    let started = Instant::now();
    let engine = place.spawn(&server.url())?;
    while engine.page("/readyz")?.0 != 200 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let ready = started.elapsed();
    let idle_mib = memory_mib(&engine)?;
    let payments = (0..EVENTS).map(|number| Bytes::from(format!("{{\"id\":{number},\"amount\":{number}}}")));
    streams::publish(&jetstream, "payments.card", payments).await?;
    for number in 0..plugins {
        streams::drained(&jetstream, "PAYMENTS", &format!("wasmill-rule-{number}")).await?;
    }
    let busy_mib = memory_mib(&engine)?;
    let (alerts, wanted) = (streams::count(&jetstream, "ALERTS").await?, 0);
    ensure!(alerts == wanted, "{alerts} alerts, not {wanted}");
    Ok(Taken { ready, idle_mib, busy_mib })
}

/// What the process has of the machine's memory: its proportional set size, since the machine code of the runner is a
/// mapped file.
fn memory_mib(engine: &Process) -> Result<f64> {
    let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", engine.pid()))?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kib: f64 = line.and_then(|line| line.trim().strip_suffix(" kB")).context("no Pss")?.trim().parse()?;
    Ok(kib / 1_024.0)
}
