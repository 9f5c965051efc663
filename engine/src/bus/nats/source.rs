//! One inbox into which a durable consumer's messages are pulled. It lasts until something goes wrong with it; then the
//! intake takes a new one.

use std::time::Duration;

use async_nats::message::OutboundMessage;
use async_nats::{StatusCode, Subscriber};
use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use serde_json::json;

use super::consumer::{self, Begin, PullLimits};
use super::convert::{self, ACK_PREFIX};
use super::{Core, ahead, streams};
use crate::bus::{BusError, Delivery, DurableSpec, Position};

/// How long one pull request stands at the server.
const PULL_EXPIRES: Duration = Duration::from_secs(30);
/// How often the server says that it is still there while it has nothing to deliver.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(5);
/// How long closing may take before what is under way is left to the ack wait.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

/// The inbox.
pub(super) struct Source {
    subscriber: Subscriber,
    inbox: String,
    pull_subject: String,
    /// How many messages were asked for and have not come.
    asked: usize,
    /// The bytes that those may weigh, at most.
    asked_bytes: usize,
    /// How many messages of any kind have come.
    seen: u64,
    incarnation_ms: u64,
    limits: PullLimits,
}

/// What one message in the inbox means.
pub(super) enum Heard {
    /// A delivery, boxed for being ten times the size of the others.
    Delivery(Box<Delivery>),
    /// The server gives up on a pull request with this many messages missing.
    Unfilled(usize),
    /// It is still there, and has nothing to deliver.
    Heartbeat,
    /// Not a stream's message: somebody else wrote to our inbox.
    Stray,
    /// This inbox is of no more use.
    Broken(String),
}

/// Where a source begins when the consumer has to be created.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Resume {
    /// The stream as it was when last seen.
    pub(super) incarnation_ms: u64,
    /// The sequence after the last that is known.
    pub(super) next_sequence: u64,
}

impl Source {
    /// Sees to the consumer and subscribes to a fresh inbox.
    pub(super) async fn open(
        core: &Core,
        spec: &DurableSpec,
        resume: Option<Resume>,
    ) -> Result<(Self, Resume), BusError> {
        let stream = streams::lookup(core, &spec.stream).await?;
        let begin = match (resume, spec.start) {
            (Some(known), crate::bus::Start::New) => {
                // A stream that was made anew holds only what came since.
                let same = known.incarnation_ms == stream.incarnation_ms;
                Begin::At(if same { known.next_sequence } else { 1 })
            }
            _ => Begin::AsSpecified,
        };
        let limits = consumer::ensure(core, spec, begin).await?;
        let known = match resume {
            Some(known) if known.incarnation_ms == stream.incarnation_ms => known,
            Some(_) => Resume { incarnation_ms: stream.incarnation_ms, next_sequence: 1 },
            None => Resume { incarnation_ms: stream.incarnation_ms, next_sequence: stream.last_sequence + 1 },
        };
        let source = Self::attach(core, &spec.stream, &spec.durable, stream.incarnation_ms, limits).await?;
        Ok((source, known))
    }

    /// Subscribes to a fresh inbox for a consumer that exists.
    pub(super) async fn attach(
        core: &Core,
        stream: &str,
        consumer: &str,
        incarnation_ms: u64,
        limits: PullLimits,
    ) -> Result<Self, BusError> {
        let inbox = core.link.client.new_inbox();
        let subscriber = core
            .link
            .client
            .subscribe(inbox.clone())
            .await
            .map_err(|error| core.link.disconnected("consume", error.to_string()))?;
        Ok(Self {
            subscriber,
            inbox,
            pull_subject: core.api.subject(&format!("CONSUMER.MSG.NEXT.{stream}.{consumer}")),
            asked: 0,
            asked_bytes: 0,
            seen: 0,
            incarnation_ms,
            limits,
        })
    }

    /// How many messages were asked for and have not come.
    pub(super) fn asked(&self) -> usize {
        self.asked
    }

    /// The most bytes that they may weigh.
    pub(super) fn asked_bytes(&self) -> usize {
        self.asked_bytes
    }

    /// The most that one pull may ask for.
    pub(super) fn pull_at_most(&self) -> usize {
        self.limits.batch.unwrap_or(usize::MAX)
    }

    /// Asks for more messages, and for at most so many bytes of them.
    pub(super) async fn pull(&mut self, core: &Core, count: usize, bytes: usize) -> Result<(), BusError> {
        let request = self.request(count, bytes);
        self.asked_for(count, bytes);
        core.link.send("consume", request).await
    }

    /// What asks the server for more; to be sent.
    pub(super) fn request(&self, count: usize, bytes: usize) -> OutboundMessage {
        let expires = self.limits.expires.map_or(PULL_EXPIRES, |most| most.min(PULL_EXPIRES));
        // The server wants two heartbeats to fit into the life of a request.
        let heartbeat = HEARTBEAT.min(expires / 3);
        let bytes = self.limits.bytes.map_or(bytes, |most| most.min(bytes));
        let body = json!({
            "batch": count,
            "max_bytes": bytes,
            "expires": u64::try_from(expires.as_nanos()).unwrap_or(u64::MAX),
            "idle_heartbeat": u64::try_from(heartbeat.as_nanos()).unwrap_or(u64::MAX),
        });
        OutboundMessage {
            subject: self.pull_subject.clone().into(),
            reply: Some(self.inbox.clone().into()),
            payload: body.to_string().into(),
            headers: None,
        }
    }

    /// Counts what a request that was sent asks for.
    pub(super) fn asked_for(&mut self, count: usize, bytes: usize) {
        self.asked += count;
        self.asked_bytes += bytes;
    }

    /// The next message; may be cancelled without losing one.
    pub(super) async fn next(&mut self) -> Heard {
        match self.subscriber.next().await {
            Some(message) => self.read(message),
            None => Heard::Broken("the connection is closed".to_owned()),
        }
    }

    /// The next message if it is here already.
    pub(super) fn next_at_hand(&mut self) -> Option<Heard> {
        let message = self.subscriber.next().now_or_never()??;
        Some(self.read(message))
    }

    fn read(&mut self, message: async_nats::Message) -> Heard {
        self.seen += 1;
        match message.status {
            None | Some(StatusCode::OK) => match self.delivery(message) {
                Some(delivery) => {
                    self.came(1, ahead::weight(&delivery));
                    Heard::Delivery(Box::new(delivery))
                }
                None => Heard::Stray,
            },
            Some(StatusCode::IDLE_HEARTBEAT) => Heard::Heartbeat,
            Some(status) => {
                let missing = |what: &str| {
                    let header = message.headers.as_ref().and_then(|headers| headers.get(what));
                    header.and_then(|count| count.as_str().parse::<usize>().ok())
                };
                match missing("Nats-Pending-Messages") {
                    Some(count) if !ends_consumer(message.description.as_deref()) => {
                        let count = count.min(self.asked);
                        self.came(count, missing("Nats-Pending-Bytes").unwrap_or(0));
                        Heard::Unfilled(count)
                    }
                    _ => Heard::Broken(format!("{status} {}", message.description.unwrap_or_default())),
                }
            }
        }
    }

    /// So many messages and bytes are not to come any more.
    fn came(&mut self, count: usize, bytes: usize) {
        self.asked = self.asked.saturating_sub(count);
        // Requests that ended by their count have left some unused.
        self.asked_bytes = if self.asked == 0 { 0 } else { self.asked_bytes.saturating_sub(bytes) };
    }

    fn delivery(&self, mut message: async_nats::Message) -> Option<Delivery> {
        let reply = message.reply.take()?;
        let position: Position = convert::position(&reply, self.incarnation_ms)?;
        Some(Delivery {
            received: tokio::time::Instant::now(),
            message: convert::inbound(message, None),
            position: Some(position),
            receipt: Some(convert::receipt(reply)),
        })
    }

    /// Unsubscribes and returns what came in all the same, with nothing lost on the way.
    ///
    /// Unsubscribing at once would lose what the server has sent and we have not read. So the server is told to end the
    /// subscription after as many messages as can still come, and that number is filled up with empty ones of our own.
    /// What it has not sent by then it keeps for the next to ask.
    pub(super) async fn close(mut self, core: &Core) -> Vec<Delivery> {
        let mut left = Vec::new();
        let finish = async {
            let fill = self.asked as u64 + 1;
            if core.link.is_connected() && self.subscriber.unsubscribe_after(self.seen + fill).await.is_ok() {
                for _ in 0..fill {
                    let empty = OutboundMessage {
                        subject: self.inbox.clone().into(),
                        reply: None,
                        payload: Bytes::new(),
                        headers: None,
                    };
                    if core.link.send("close an inbox", empty).await.is_err() {
                        break;
                    }
                }
                while let Some(message) = self.subscriber.next().await {
                    left.extend(self.delivery(message));
                }
            }
        };
        // Past the time, what is still on its way comes again after the ack wait.
        let _ = tokio::time::timeout(CLOSE_PATIENCE, finish).await;
        while let Some(Some(message)) = self.subscriber.next().now_or_never() {
            left.extend(self.delivery(message));
        }
        left
    }
}

/// A consumer that is gone, or is no pull consumer any more, answers no later request either.
fn ends_consumer(description: Option<&str>) -> bool {
    matches!(description, Some("Consumer Deleted" | "Consumer is push based"))
}

/// Whether a receipt is one of a stream's deliveries.
pub(super) fn is_receipt(subject: &str) -> bool {
    subject.starts_with(ACK_PREFIX)
}
