//! What an honest plugin notices of one that always loops: latency from stored input to stored output, with and without
//! the bad neighbour, in turn in one run. Both times are the server's.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use async_nats::jetstream::{self, consumer, consumer::pull};
use bytes::Bytes;
use futures::StreamExt as _;
use wasmill_tests::nats::NatsServer;
use wasmill_tests::place::{Place, Process};
use wasmill_tests::{parts, streams};

/// One event in so many is none that the rule can read.
const POISON_EVERY: usize = 1_000;
/// Events published between two ticks.
const BATCH: usize = 10;
const TICK: Duration = Duration::from_millis(10);

const HONEST: &str = r#"
[[subscribe]]
stream = "PAYMENTS"
subjects = ["payments.card"]
[emit]
subjects = ["alerts.>"]
[config]
field = "amount"
threshold = -1
output = "alerts.card.large-amount"
"#;

const LOOPING: &str = r#"
[[subscribe]]
stream = "PAYMENTS"
subjects = ["payments.card"]
[config]
mode = "endless-loop"
"#;

/// Quantiles of one round, in milliseconds.
struct Round {
    p50: f64,
    p99: f64,
}

pub async fn run(events: usize, rounds: usize) -> Result<()> {
    println!(
        "\nstored input to stored output, {events} events at {} a second, 1 in {POISON_EVERY} poisonous, medians of {rounds} rounds in turn\n",
        BATCH as u128 * 1_000 / TICK.as_millis()
    );
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        alone.push(round(events, false).await?);
        beside.push(round(events, true).await?);
    }
    println!("{:<34}{:>10}{:>10}", "", "p50 ms", "p99 ms");
    let middle = |rounds: &[Round], of: fn(&Round) -> f64| {
        let mut all: Vec<f64> = rounds.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
    };
    for (what, rounds) in [("alone", &alone), ("beside a plugin that always loops", &beside)] {
        println!("{what:<34}{:>10.2}{:>10.2}", middle(rounds, |r| r.p50), middle(rounds, |r| r.p99));
    }
    let ratio = middle(&beside, |r| r.p99) / middle(&alone, |r| r.p99);
    println!("{:<34}{ratio:>20.2}", "p99, times the figure alone");
    Ok(())
}

async fn round(events: usize, with_looping: bool) -> Result<Round> {
    let server = NatsServer::start()?;
    let jetstream = streams::connect(&server.url()).await?;
    streams::create(&jetstream, "PAYMENTS", "payments.>").await?;
    streams::create(&jetstream, "ALERTS", "alerts.>").await?;
    let place = Place::new()?;
    let rule = std::fs::read(parts::plugin("amount-threshold")?)?;
    place.put("honest", &rule, HONEST)?;
    if with_looping {
        place.put("looping", &std::fs::read(parts::test_guests()?)?, LOOPING)?;
    }
    let engine = place.spawn(&server.url())?;
    while engine.page("/readyz")?.0 != 200 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    publish(&jetstream, events).await?;
    streams::drained(&jetstream, "PAYMENTS", "wasmill-honest").await?;
    let poisonous = events / POISON_EVERY;
    let letters = streams::count(&jetstream, "WASMILL_DEAD_LETTERS").await?;
    ensure!(letters == poisonous as u64, "{letters} dead letters for {poisonous} poisonous events");
    if with_looping {
        back_in_service(&jetstream, &place, &engine, &rule, events).await?;
    }
    quantiles(&jetstream, events - poisonous).await
}

/// The looping plugin is quarantined and named, and its replacement handles all that waited.
async fn back_in_service(
    jetstream: &jetstream::Context,
    place: &Place,
    engine: &Process,
    rule: &[u8],
    events: usize,
) -> Result<()> {
    let page = engine.page("/readyz")?.1;
    ensure!(page.contains("plugin looping is quarantined: "), "it is not named: {page}");
    place.put("looping", rule, &HONEST.replace("alerts.card", "alerts.fixed"))?;
    streams::drained(jetstream, "PAYMENTS", "wasmill-looping").await?;
    let stored = streams::count(jetstream, "ALERTS").await?;
    let wanted = 2 * (events - events / POISON_EVERY) as u64;
    ensure!(stored == wanted, "{stored} outputs of both, not {wanted}");
    Ok(())
}

async fn publish(jetstream: &jetstream::Context, events: usize) -> Result<()> {
    let mut ticks = tokio::time::interval(TICK);
    let numbers: Vec<usize> = (0..events).collect();
    for batch in numbers.chunks(BATCH) {
        ticks.tick().await;
        let payloads = batch.iter().map(|number| match number % POISON_EVERY {
            7 => Bytes::from_static(b"{\"amount\": "),
            _ => crate::calls::payment(*number as f64).data,
        });
        streams::publish(jetstream, "payments.card", payloads).await?;
    }
    Ok(())
}

async fn quantiles(jetstream: &jetstream::Context, outputs: usize) -> Result<Round> {
    let inputs = stored_at(jetstream, "PAYMENTS", |_, sequence| Some(format!("PAYMENTS:{sequence}"))).await?;
    let cause = |message: &async_nats::jetstream::Message, _| {
        let honest = message.subject.starts_with("alerts.card");
        let headers = message.headers.as_ref().filter(|_| honest)?;
        headers.get("Wasmill-Cause").map(|cause| cause.to_string())
    };
    let stored = stored_at(jetstream, "ALERTS", cause).await?;
    let mut latencies = Vec::with_capacity(stored.len());
    for (cause, at) in &stored {
        let input = inputs.get(cause).with_context(|| format!("no input {cause:?}"))?;
        latencies.push((at - input) as f64 / 1e6);
    }
    ensure!(latencies.len() == outputs, "{} outputs of honest, not {outputs}", latencies.len());
    latencies.sort_by(f64::total_cmp);
    let quantile = |of_hundred: usize| latencies.get(latencies.len() * of_hundred / 100).copied();
    Ok(Round { p50: quantile(50).context("no outputs")?, p99: quantile(99).context("no outputs")? })
}

/// When the messages of a stream were stored, in nanoseconds, by a name; what has none is left out.
async fn stored_at(
    jetstream: &jetstream::Context,
    stream: &str,
    name: impl Fn(&async_nats::jetstream::Message, u64) -> Option<String>,
) -> Result<HashMap<String, i128>> {
    let stream = jetstream.get_stream(stream).await?;
    let settings = pull::OrderedConfig { deliver_policy: consumer::DeliverPolicy::All, ..Default::default() };
    let mut left = stream.cached_info().state.messages;
    let mut messages = stream.create_consumer(settings).await?.messages().await?;
    let mut times = HashMap::new();
    while left > 0 {
        let message = messages.next().await.context("ended early")??;
        let info = message.info().map_err(|err| anyhow::anyhow!("{err}"))?;
        if let Some(name) = name(&message, info.stream_sequence) {
            times.insert(name, info.published.unix_timestamp_nanos());
        }
        left -= 1;
    }
    Ok(times)
}
