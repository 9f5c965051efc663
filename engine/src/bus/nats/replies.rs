//! The inbox on which answers come in, and the two tasks that serve it: one hands them out, one ends waits that are past
//! their time.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, Subject, SubscribeError};
use futures::StreamExt as _;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::in_flight::{Answer, InFlight, Ticket};

/// One inbox. Its tasks end when it is dropped.
pub(super) struct Replies {
    /// What waits.
    pub(super) in_flight: Arc<InFlight>,
    /// The inbox with its final dot.
    inbox: String,
    _stop: DropGuard,
}

impl Replies {
    /// Subscribes. Waits are ended about a tenth of `patience` late at most.
    pub(super) async fn start(
        client: &Client,
        in_flight: Arc<InFlight>,
        patience: Duration,
    ) -> Result<Self, SubscribeError> {
        let inbox = format!("{}.", client.new_inbox());
        let mut answers = client.subscribe(format!("{inbox}*")).await?;
        let stop = CancellationToken::new();
        let (table, prefix_bytes) = (Arc::clone(&in_flight), inbox.len());
        tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
            while let Some(message) = answers.next().await {
                let async_nats::Message { subject, status, headers, payload, .. } = message;
                let answer = Answer::Message { status, headers, payload };
                table.complete(subject.get(prefix_bytes..).unwrap_or_default(), answer);
            }
            // The client has ended, and with it whatever could be answered.
            table.fail_all();
        }));
        let period = (patience / 10).clamp(Duration::from_millis(1), Duration::from_millis(250));
        let table = Arc::clone(&in_flight);
        tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
            let mut ticks = tokio::time::interval(period);
            loop {
                ticks.tick().await;
                table.sweep();
            }
        }));
        Ok(Self { in_flight, inbox, _stop: stop.drop_guard() })
    }

    /// Where the answer for a ticket is to come.
    pub(super) fn subject(&self, ticket: &Ticket) -> Subject {
        format!("{}{}", self.inbox, ticket.token()).into()
    }
}
