//! Subscriptions without a stream: at-most-once, with every drop counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::Subscriber;
use futures::StreamExt;
use futures::future::BoxFuture;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Core, convert};
use crate::bus::{BusError, BusEvent, CoreSpec, Delivery, Intake};
use crate::subject::Subject;

/// How often drops are told of while they go on.
const TELL_EVERY: Duration = Duration::from_millis(500);

struct CoreIntake {
    ready: mpsc::Receiver<Delivery>,
    dropped: Arc<AtomicU64>,
    _stop: DropGuard,
}

impl Intake for CoreIntake {
    fn next(&mut self) -> BoxFuture<'_, Option<Result<Delivery, BusError>>> {
        Box::pin(async { self.ready.recv().await.map(Ok) })
    }

    fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// Subscribes, and returns when the server has the subscription.
pub(super) async fn open(core: &Arc<Core>, spec: &CoreSpec) -> Result<Box<dyn Intake>, BusError> {
    let operation = format!("subscribe to {:?}", spec.subject.as_str());
    core.link.ready(&operation).await?;
    let subject = spec.subject.as_str().to_owned();
    let subscribed = match spec.queue_group.clone() {
        Some(group) => core.link.client.queue_subscribe(subject, group).await,
        None => core.link.client.subscribe(subject).await,
    };
    let subscriber = subscribed
        .map_err(|error| BusError::Refused { operation: operation.clone(), reason: error.to_string() })?;
    core.publisher.round_trip(&core.link, &operation).await?;
    if let Some(reason) = core.link.complaint_about(spec.subject.as_str()) {
        return Err(BusError::Refused { operation, reason });
    }
    let (sender, ready) = mpsc::channel(spec.buffer.max(1));
    let dropped = Arc::new(AtomicU64::new(0));
    let stop = CancellationToken::new();
    let forward = Forward {
        core: Arc::clone(core),
        spec: spec.clone(),
        ready: sender,
        dropped: Arc::clone(&dropped),
        untold: 0,
    };
    core.tasks.spawn(stop.clone().run_until_cancelled_owned(forward.run(subscriber)));
    Ok(Box::new(CoreIntake { ready, dropped, _stop: stop.drop_guard() }))
}

/// Moves messages from the client's buffer, which drops without a count, into one of the asked size, which counts.
struct Forward {
    core: Arc<Core>,
    spec: CoreSpec,
    ready: mpsc::Sender<Delivery>,
    dropped: Arc<AtomicU64>,
    /// Dropped, and not yet told of.
    untold: u64,
}

impl Forward {
    async fn run(mut self, mut messages: Subscriber) {
        let mut tell = tokio::time::interval(TELL_EVERY);
        loop {
            tokio::select! {
                biased;
                _ = tell.tick(), if self.untold > 0 => {
                    let count = std::mem::take(&mut self.untold);
                    self.core.link.tell(BusEvent::Dropped { subject: self.spec.subject.to_string(), count });
                }
                message = messages.next() => match message {
                    Some(message) => self.forward(message),
                    None => return,
                },
            }
        }
    }

    fn forward(&mut self, mut message: async_nats::Message) {
        let reply_to = message.reply.take().map(|reply| Subject::received(reply.into_string()));
        let delivery = Delivery {
            message: convert::inbound(message, reply_to),
            position: None,
            receipt: None,
            received: tokio::time::Instant::now(),
        };
        if self.ready.try_send(delivery).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            self.untold += 1;
        }
    }
}
