//! Posts: messages that leave in order, and are never sent on another connection than the one they were meant for.
//!
//! The client library loses what it has written when a connection breaks off, and keeps what waits in its queue, to send it
//! over the next: a message would be stored whose predecessor was lost. So posts have a connection of their own, which is
//! not made again: its client ends with it, and what waits in its queue goes with it. The next post opens another.
//!
//! What a broken connection had brought to the server may still be stored after a later connection's first messages. As both
//! carry the same order of messages, each with its id, the order in which they are stored first is still that order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_nats::{Client, ReconnectToServer, ServerAddr};
use futures::FutureExt as _;
use tokio::sync::{Mutex, Semaphore};

use super::convert;
use super::in_flight::InFlight;
use super::link::{self, Link};
use super::publisher::{check_size, stored};
use super::replies::Replies;
use super::settings::NatsSettings;
use crate::bus::{BusError, Confirmation, OnlyIf};
use crate::message::Message;

const OPERATION: &str = "post";
/// Nobody listens there, so that what connects to it fails at once.
const NOWHERE: &str = "nats://127.0.0.1:0";
/// The pause between two rounds of attempts to connect.
const PAUSE: Duration = Duration::from_millis(50);

/// Posts.
pub(super) struct Poster {
    settings: NatsSettings,
    window: Arc<Semaphore>,
    /// Held while a message is handed over: that makes the order.
    line: Mutex<Option<Line>>,
    /// The number of the connection, or of the next one while there is none.
    number: Arc<AtomicU64>,
    ack_timeout: Duration,
}

/// A connection that ends for good when it breaks off.
struct Line {
    number: u64,
    client: Client,
    replies: Replies,
}

impl Poster {
    /// Connects when it is first needed.
    pub(super) fn new(settings: &NatsSettings) -> Self {
        Self {
            window: Arc::new(Semaphore::new(settings.publish_window)),
            line: Mutex::new(None),
            number: Arc::new(AtomicU64::new(1)),
            ack_timeout: Duration::from_millis(settings.publish_ack_timeout_ms),
            settings: NatsSettings {
                name: format!("{} posts", settings.name),
                retry_on_initial_connect: false,
                ..settings.clone()
            },
        }
    }

    /// The number of the connection.
    pub(super) fn connection(&self) -> u64 {
        self.number.load(Ordering::SeqCst)
    }

    /// Hands a message over.
    pub(super) async fn post(
        &self,
        link: &Link,
        mut message: Message,
        only_if: OnlyIf,
    ) -> Result<Confirmation, BusError> {
        let wanted = only_if.connection;
        only_if.write(&mut message.headers);
        check_size(link, &message)?;
        let mut message = convert::outbound(message)?;
        let closed = || link.disconnected(OPERATION, "the bus is closed");
        let permit = Arc::clone(&self.window).acquire_owned().await.map_err(|_| closed())?;
        let mut current = self.line.lock().await;
        let number = self.connection();
        if wanted.is_some_and(|wanted| wanted != number) {
            return Err(link.disconnected(OPERATION, "it is another one by now"));
        }
        let line = match current.take().filter(|line| line.number == number) {
            Some(line) => current.insert(line),
            None => current.insert(self.open(link, number).await?),
        };
        let mut ticket = line.replies.in_flight.register(self.ack_timeout, Some(permit));
        message.reply = Some(line.replies.subject(&ticket));
        let subject = message.subject.clone();
        let early = tokio::select! {
            biased;
            sent = link.hand_over(&line.client, OPERATION, message) => {
                if sent.is_err() {
                    broke(&self.number, number);
                }
                sent?;
                None
            }
            early = ticket.answer() => Some(early),
        };
        drop(current);
        if self.connection() != number {
            return Err(link.disconnected(OPERATION, "it broke off"));
        }
        let (url, ack_timeout) = (Arc::clone(&link.url), self.ack_timeout);
        let confirmation = async move {
            let answer = match early {
                Some(answer) => answer,
                None => ticket.answer().await,
            };
            stored(answer, OPERATION, &subject, &url, ack_timeout)
        };
        Ok(confirmation.boxed())
    }

    /// Connects to some server, and tries for as long as an operation waits for its connection.
    async fn open(&self, link: &Link, number: u64) -> Result<Line, BusError> {
        let mut reason = "no answer".to_owned();
        let attempts = async {
            loop {
                link.ready(OPERATION).await?;
                match link.client.server_pool().await {
                    Ok(mut pool) => {
                        pool.sort_by_key(|server| server.failed_attempts);
                        for server in pool {
                            match self.connect(server.addr, number).await {
                                Ok(line) => return Ok(line),
                                Err(error) => reason = error,
                            }
                        }
                    }
                    Err(error) => reason = error.to_string(),
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        match tokio::time::timeout(link.patience, attempts).await {
            Ok(opened) => opened,
            Err(_) => Err(link.disconnected(OPERATION, reason)),
        }
    }

    async fn connect(&self, address: ServerAddr, number: u64) -> Result<Line, String> {
        let in_flight = Arc::new(InFlight::default());
        let (numbers, table) = (Arc::clone(&self.number), Arc::clone(&in_flight));
        let nowhere: ServerAddr = NOWHERE.parse().map_err(|error: std::io::Error| error.to_string())?;
        let addresses = [address.clone(), nowhere.clone()];
        let first = AtomicBool::new(true);
        let options = link::options_for(&self.settings).await.map_err(|error| error.to_string())?;
        let options = options
            // Once each for the server and for nowhere; then the client gives up for good.
            .max_reconnects(1)
            .ignore_discovered_servers()
            .reconnect_to_server_callback(move |_, _| {
                let addr =
                    if first.swap(false, Ordering::SeqCst) { address.clone() } else { nowhere.clone() };
                std::future::ready(Some(ReconnectToServer { addr, delay: Some(Duration::ZERO) }))
            })
            .event_callback(move |event| {
                if matches!(event, async_nats::Event::Disconnected) {
                    // In this order: who has not entered the table yet sees the number.
                    broke(&numbers, number);
                    table.fail_all();
                }
                std::future::ready(())
            });
        let client = options.connect(addresses.as_slice()).await.map_err(|error| error.to_string())?;
        let replies =
            Replies::start(&client, in_flight, self.ack_timeout).await.map_err(|error| error.to_string())?;
        Ok(Line { number, client, replies })
    }

    /// Admits no more posts, and resolves when those under way have been answered or have timed out.
    pub(super) async fn finish(&self) {
        let all = u32::try_from(self.settings.publish_window).unwrap_or(u32::MAX);
        // An error means that it was finished before.
        let _ = self.window.acquire_many(all).await.map(tokio::sync::SemaphorePermit::forget);
        self.window.close();
        *self.line.lock().await = None;
    }
}

/// The connection of this number is no more.
fn broke(numbers: &AtomicU64, number: u64) {
    // An error means that this is known.
    let _ = numbers.compare_exchange(number, number + 1, Ordering::SeqCst, Ordering::SeqCst);
}
