//! The consumers that a good engineer writes by hand: one that tells of each event, and one that counts them by key as well.
//!
//! The counts are in KV, each in a value with the position of the last event in it, written by compare-and-set before the
//! output is published. A message that comes again is known by its position; as its output tells the count, one event of a
//! key is brought through to its end before the next.

use std::collections::{HashMap, VecDeque};

use anyhow::{Context, Result};
use async_nats::header::{HeaderMap, HeaderName, HeaderValue};
use async_nats::jetstream::{self, consumer, kv};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use serde::{Deserialize, Serialize};

use crate::native::{DIGEST, IN_FLIGHT};

/// Messages that wait for the one before them of the same key.
const QUEUED: usize = 8_192;
/// Counts that are kept at hand; with more than that, all are forgotten.
const AT_HAND: usize = 262_144;
/// The bucket of the counts.
pub const BUCKET: &str = "counts";

#[derive(Deserialize)]
struct Payment {
    amount: f64,
}

#[derive(Serialize)]
struct Tally<'a> {
    key: &'a str,
    count: u64,
    amount: f64,
}

/// What is stored of a key.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Count {
    count: u64,
    applied: u64,
}

/// And at which revision; 0 if nothing is.
#[derive(Debug, Clone, Copy, Default)]
struct Held {
    stored: Count,
    revision: u64,
}

struct Shop {
    jetstream: jetstream::Context,
    counts: Option<kv::Store>,
    emits: bool,
}

/// Consumes until killed: `native-keyed URL [--counts] [--emits]`.
pub async fn consume(args: &[String]) -> Result<()> {
    let has = |flag: &str| args.iter().any(|arg| arg == flag);
    let client = async_nats::connect(args.get(1).map_or("", String::as_str)).await?;
    let jetstream = jetstream::new(client);
    let counts = if has("--counts") { Some(jetstream.get_key_value(BUCKET).await?) } else { None };
    let settings = consumer::pull::Config {
        durable_name: Some("native".into()),
        ack_policy: consumer::AckPolicy::Explicit,
        max_ack_pending: 2 * i64::try_from(QUEUED)?,
        ..Default::default()
    };
    let consumer = jetstream.get_stream("PAYMENTS").await?.get_or_create_consumer("native", settings).await?;
    let mut messages = consumer.stream().max_messages_per_batch(4 * IN_FLIGHT).messages().await?;
    let shop = Shop { jetstream, counts, emits: has("--emits") };
    let mut queues = HashMap::<String, VecDeque<jetstream::Message>>::new();
    let mut at_hand = HashMap::<String, Held>::new();
    let (mut queued, mut running) = (0, FuturesUnordered::new());
    loop {
        tokio::select! {
            biased;
            Some(ended) = running.next(), if !running.is_empty() => {
                let (key, held): (String, Held) = ended?;
                match queues.get_mut(&key).and_then(VecDeque::pop_front) {
                    Some(message) => {
                        queued -= 1;
                        running.push(shop.handle(key, Some(held), message));
                    }
                    None => {
                        queues.remove(&key);
                        if at_hand.len() >= AT_HAND {
                            at_hand.clear();
                        }
                        at_hand.insert(key, held);
                    }
                }
            }
            next = messages.next(), if running.len() < IN_FLIGHT && queued < QUEUED => {
                let message = next.context("the subscription ended")??;
                let key = message.subject.rsplit('.').next().unwrap_or_default().to_owned();
                if shop.counts.is_none() {
                    running.push(shop.handle(key, None, message));
                } else if let Some(queue) = queues.get_mut(&key) {
                    queue.push_back(message);
                    queued += 1;
                } else {
                    queues.insert(key.clone(), VecDeque::new());
                    let held = at_hand.get(&key).copied();
                    running.push(shop.handle(key, held, message));
                }
            }
        }
    }
}

impl Shop {
    async fn handle(
        &self,
        key: String,
        held: Option<Held>,
        message: jetstream::Message,
    ) -> Result<(String, Held)> {
        let info = message.info().map_err(|err| anyhow::anyhow!("{err}"))?;
        let (sequence, published) = (info.stream_sequence, info.published.nanosecond());
        let payment: Payment = serde_json::from_slice(&message.payload)?;
        let held = match &self.counts {
            Some(counts) => count(counts, &key, held, sequence).await?,
            None => Held::default(),
        };
        if self.emits {
            let tally = Tally { key: &key, count: held.stored.count, amount: payment.amount };
            let data = serde_json::to_vec(&tally)?;
            let headers = headers(sequence, published)?;
            self.jetstream.publish_with_headers("alerts.tally", headers, data.into()).await?.await?;
        }
        message.ack().await.map_err(|err| anyhow::anyhow!("{err}"))?;
        Ok((key, held))
    }
}

async fn count(counts: &kv::Store, key: &str, held: Option<Held>, sequence: u64) -> Result<Held> {
    let held = match held {
        Some(held) => held,
        None => match counts.entry(key).await? {
            Some(entry) => Held { stored: serde_json::from_slice(&entry.value)?, revision: entry.revision },
            None => Held::default(),
        },
    };
    if held.stored.applied >= sequence {
        return Ok(held);
    }
    let stored = Count { count: held.stored.count + 1, applied: sequence };
    let revision = counts.update(key, serde_json::to_vec(&stored)?.into(), held.revision).await?;
    Ok(Held { stored, revision })
}

/// The same headers as the engine writes.
fn headers(sequence: u64, nanosecond: u32) -> Result<HeaderMap> {
    let id = format!("native:PAYMENTS@18c9e1f0a2b:{sequence}:0");
    let time = format!("2018-04-01T07:12:33.{nanosecond:09}Z");
    let cause = format!("PAYMENTS:{sequence}");
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("ce-specversion", "1.0"),
        ("ce-id", &id),
        ("ce-source", "/native/tally"),
        ("ce-type", "payments.card"),
        ("ce-time", &time),
        ("native-rule", "tally"),
        ("native-version", "0.1.0"),
        ("native-digest", DIGEST),
        ("native-cause", &cause),
        ("native-hops", "1"),
        ("Nats-Msg-Id", &id),
    ] {
        headers.append(HeaderName::from_static(name), value.parse::<HeaderValue>()?);
    }
    Ok(headers)
}
