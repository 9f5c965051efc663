//! Streams of a test, through a client of the test's own: what the engine says about itself proves nothing.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use anyhow::{Context as _, Result};
use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::{Context, consumer, stream};
use bytes::Bytes;
use futures::StreamExt as _;

/// A message read back from a stream.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Its subject.
    pub subject: String,
    /// Its headers; of names that stand more than once, the first value.
    pub headers: HashMap<String, String>,
    /// Its payload.
    pub payload: Bytes,
}

impl Stored {
    /// A header that must be there.
    ///
    /// # Errors
    /// If it is not.
    pub fn header(&self, name: &str) -> Result<&str> {
        self.headers
            .get(name)
            .map(String::as_str)
            .with_context(|| format!("no header {name} in {:?}", self.headers))
    }
}

/// A connection of the test's own.
///
/// # Errors
/// If there is no server.
pub async fn connect(url: &str) -> Result<Context> {
    Ok(async_nats::jetstream::new(async_nats::connect(url).await?))
}

/// Makes a stream with the defaults of the server, which keep a message's id for two minutes.
///
/// # Errors
/// If the server refuses.
pub async fn create(bus: &Context, name: &str, subjects: &str) -> Result<()> {
    let settings =
        stream::Config { name: name.into(), subjects: vec![subjects.into()], ..Default::default() };
    bus.create_stream(settings).await?;
    Ok(())
}

/// Publishes payloads in order and waits until all are stored.
///
/// # Errors
/// If one is not.
pub async fn publish(bus: &Context, subject: &str, payloads: impl IntoIterator<Item = Bytes>) -> Result<()> {
    let mut acks = VecDeque::new();
    for payload in payloads {
        acks.push_back(bus.publish(subject.to_owned(), payload).await?);
        if acks.len() >= 512
            && let Some(oldest) = acks.pop_front()
        {
            oldest.await?;
        }
    }
    for ack in acks {
        ack.await?;
    }
    Ok(())
}

/// Everything that a stream holds, in order.
///
/// # Errors
/// If it cannot be read.
pub async fn read(bus: &Context, name: &str) -> Result<Vec<Stored>> {
    let stream = bus.get_stream(name).await?;
    let count = usize::try_from(stream.cached_info().state.messages)?;
    let settings = pull::OrderedConfig { deliver_policy: consumer::DeliverPolicy::All, ..Default::default() };
    let mut messages = stream.create_consumer(settings).await?.messages().await?;
    let mut all = Vec::with_capacity(count);
    while all.len() < count {
        let message = tokio::time::timeout(Duration::from_secs(30), messages.next())
            .await?
            .context("ended early")??;
        let headers =
            message.headers.iter().flat_map(|headers| headers.iter()).filter_map(|(name, values)| {
                values.first().map(|value| (name.to_string(), value.to_string()))
            });
        all.push(Stored {
            subject: message.subject.to_string(),
            headers: headers.collect(),
            payload: message.payload.clone(),
        });
    }
    Ok(all)
}

/// How many messages a stream holds; 0 if there is no such stream.
///
/// # Errors
/// If the server does not answer.
pub async fn count(bus: &Context, name: &str) -> Result<u64> {
    match bus.get_stream(name).await {
        Ok(stream) => Ok(stream.cached_info().state.messages),
        Err(err)
            if matches!(err.kind(), async_nats::jetstream::context::GetStreamErrorKind::JetStream(_)) =>
        {
            Ok(0)
        }
        Err(err) => Err(err.into()),
    }
}

/// Waits until a consumer has nothing left: nothing undelivered, nothing unacked.
///
/// # Errors
/// If it does not come to that.
pub async fn drained(bus: &Context, stream: &str, durable: &str) -> Result<()> {
    let mut last = None;
    let wait = async {
        loop {
            if let Ok(mut consumer) =
                bus.get_consumer_from_stream::<pull::Config, _, _>(durable, stream).await
            {
                let info = consumer.info().await?;
                if info.num_pending == 0 && info.num_ack_pending == 0 {
                    return Ok(());
                }
                last = Some((info.num_pending, info.num_ack_pending));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let waited = tokio::time::timeout(crate::place::PATIENCE * 2, wait).await;
    waited.with_context(|| format!("{durable} of {stream} never drained: (pending, unacked) = {last:?}"))?
}
