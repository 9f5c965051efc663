//! The consumer that a good engineer writes by hand with async-nats: the same rule and the same promises. Output ids derive
//! from the input's position, an input is acked after its output is stored, and 256 are in flight at once.

use anyhow::{Context, Result};
use async_nats::header::{HeaderMap, HeaderName, HeaderValue};
use async_nats::jetstream::{self, consumer};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use serde::Deserialize;
use serde_json::value::RawValue;

/// As long as a SHA-256, which the engine stamps on its outputs.
pub const DIGEST: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
/// As many as the plugin's manifest allows.
pub const IN_FLIGHT: usize = 256;

#[derive(Deserialize)]
struct Payment {
    amount: f64,
}

/// The alert for a payment above the threshold, as the plugin writes it.
pub fn amount_rule(data: &[u8], threshold: f64) -> Option<String> {
    let payment: Payment = serde_json::from_slice(data).ok()?;
    let whole: &RawValue = serde_json::from_slice(data).ok()?;
    (payment.amount > threshold).then(|| {
        format!(
            r#"{{"rule":"bench","plugin":"bench","reason":"amount is {}, which is > {threshold}","event":{}}}"#,
            payment.amount,
            whole.get()
        )
    })
}

/// Consumes until killed. `with_context`: each alert says where it comes from, in the headers that the engine writes.
pub async fn consume(url: &str, with_context: bool) -> Result<()> {
    let client = async_nats::connect(url).await?;
    let jetstream = jetstream::new(client);
    let stream = jetstream.get_stream("PAYMENTS").await?;
    let settings = consumer::pull::Config {
        durable_name: Some("native".into()),
        ack_policy: consumer::AckPolicy::Explicit,
        max_ack_pending: 1_024,
        filter_subject: "payments.card".into(),
        ..Default::default()
    };
    let consumer = stream.get_or_create_consumer("native", settings).await?;
    let mut messages = consumer.stream().max_messages_per_batch(IN_FLIGHT).messages().await?;
    let mut in_flight = FuturesUnordered::new();
    loop {
        tokio::select! {
            biased;
            Some(ended) = in_flight.next(), if !in_flight.is_empty() => ended?,
            next = messages.next(), if in_flight.len() < IN_FLIGHT => {
                let message = next.context("the subscription ended")??;
                in_flight.push(handle(&jetstream, message, with_context));
            }
        }
    }
}

async fn handle(
    jetstream: &jetstream::Context,
    message: jetstream::Message,
    with_context: bool,
) -> Result<()> {
    let info = message.info().map_err(|err| anyhow::anyhow!("{err}"))?;
    let sequence = info.stream_sequence;
    if let Some(alert) = amount_rule(&message.payload, -1.0) {
        let id = format!("native:PAYMENTS@18c9e1f0a2b:{sequence}:0");
        let mut headers = HeaderMap::new();
        if with_context {
            let time = format!("2018-04-01T07:12:33.{:09}Z", info.published.nanosecond());
            for (name, value) in [
                (HeaderName::from_static("ce-specversion"), "1.0"),
                (HeaderName::from_static("ce-id"), &id),
                (HeaderName::from_static("ce-source"), "/native/large-amount"),
                (HeaderName::from_static("ce-type"), "wasmill.alert"),
                (HeaderName::from_static("ce-time"), &time),
                (HeaderName::from_static("content-type"), "application/json"),
                (HeaderName::from_static("native-rule"), "large-amount"),
                (HeaderName::from_static("native-version"), "0.1.0"),
                (HeaderName::from_static("native-digest"), DIGEST),
                (HeaderName::from_static("native-cause"), &format!("PAYMENTS:{sequence}")),
                (HeaderName::from_static("native-hops"), "1"),
            ] {
                headers.append(name, value.parse::<HeaderValue>()?);
            }
        }
        headers.append(HeaderName::from_static("Nats-Msg-Id"), id.parse::<HeaderValue>()?);
        jetstream.publish_with_headers("alerts.card.large-amount", headers, alert.into()).await?.await?;
    }
    message.ack().await.map_err(|err| anyhow::anyhow!("{err}"))
}
