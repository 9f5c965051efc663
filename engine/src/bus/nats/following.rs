//! A stream read in order without acks: messages are pulled from an ephemeral consumer, as far ahead as is asked for.
//!
//! Nothing runs beside the reader. Whatever goes wrong with the consumer or the connection, another consumer takes up after
//! the last message that was handed out, so that nothing is left out or comes twice.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Core;
use super::ahead::Ahead;
use super::convert::Told;
use super::ephemeral::Ephemeral;
use super::opening::{self, Known, Opened};
use super::source::{HEARTBEAT, Heard, Source};
use crate::bus::{BusError, Delivery, Follow, FollowSpec, Followed};

/// How long the server may be silent while messages are asked for.
const SILENCE: Duration = Duration::from_secs(3 * HEARTBEAT.as_secs());
/// The most messages to hold ahead, whatever is asked for: a quarter of what the client's buffer takes.
const MAX_PREFETCH: usize = 65_536;

/// What the data plane holds.
struct NatsFollow {
    core: Arc<Core>,
    spec: Arc<FollowSpec>,
    known: Known,
    pending: u64,
    ahead: Ahead,
    /// Messages that did not come through the consumer, because the client library cannot read them.
    aside: VecDeque<Followed>,
    feed: Feed,
}

enum Feed {
    Open(Box<Open>),
    /// Kept here, so that who stops waiting for a message does not stop it.
    Opening(BoxFuture<'static, Result<Option<Opened>, BusError>>),
    Ended,
}

struct Open {
    source: Source,
    _consumer: Ephemeral,
    /// The connection on which it was opened.
    connections: watch::Receiver<u64>,
    /// How many messages the consumer has delivered to us.
    delivered: u64,
    /// When the server was last heard of.
    heard: Instant,
}

/// What to do next.
enum Turn {
    Hand(Followed),
    Reopen(String),
    GoOn,
}

/// Begins; the first look at the stream is the caller's to wait for, so that its errors are too.
pub(super) async fn open(core: &Arc<Core>, spec: &FollowSpec) -> Result<Box<dyn Follow>, BusError> {
    let spec = Arc::new(FollowSpec { prefetch: spec.prefetch.clamp(1, MAX_PREFETCH), ..spec.clone() });
    let opened = opening::first(core, &spec).await?;
    let ahead = Ahead::new(spec.prefetch_bytes, core.link.client.max_payload());
    let mut follow = NatsFollow {
        core: Arc::clone(core),
        spec,
        known: opened.known,
        pending: 0,
        ahead,
        aside: VecDeque::new(),
        feed: Feed::Ended,
    };
    follow.take_up(opened);
    Ok(Box::new(follow))
}

impl NatsFollow {
    fn take_up(&mut self, opened: Opened) {
        let Opened { source, consumer, connections, known, aside } = opened;
        self.known = known;
        self.pending = consumer.pending + aside.len() as u64;
        self.aside = aside;
        self.feed = Feed::Open(Box::new(Open {
            source,
            _consumer: consumer,
            connections,
            delivered: 0,
            heard: Instant::now(),
        }));
    }

    async fn take(&mut self) -> Option<Result<Followed, BusError>> {
        loop {
            if let Some(mut followed) = self.aside.pop_front() {
                self.pending = self.pending.saturating_sub(1);
                followed.pending = self.pending;
                return Some(Ok(followed));
            }
            let turn = match &mut self.feed {
                Feed::Ended => return None,
                Feed::Opening(opening) => match opening.await {
                    Ok(Some(opened)) => {
                        self.take_up(opened);
                        continue;
                    }
                    Ok(None) => {
                        self.feed = Feed::Ended;
                        return None;
                    }
                    Err(error) => {
                        self.feed = Feed::Ended;
                        return Some(Err(error));
                    }
                },
                Feed::Open(open) => open.turn(&self.core, &self.spec, &self.ahead, &mut self.pending).await,
            };
            match turn {
                Turn::GoOn => {}
                // Of what came before we began, and was taken for it by a stream that is shorter than was thought.
                Turn::Hand(followed) if followed.position.sequence < self.known.next => {}
                Turn::Hand(followed) => {
                    self.known.next = followed.position.sequence + 1;
                    self.known.read_to = followed.position.sequence;
                    return Some(Ok(followed));
                }
                Turn::Reopen(reason) => {
                    tracing::debug!(stream = self.spec.stream, reason, "a stream is taken up again");
                    // Until then nobody knows what has come meanwhile.
                    self.pending = self.pending.max(1);
                    let (core, spec) = (Arc::clone(&self.core), Arc::clone(&self.spec));
                    self.feed = Feed::Opening(opening::again(core, spec, self.known, reason).boxed());
                }
            }
        }
    }
}

impl Open {
    /// Waits for something to happen. May be dropped and called again.
    async fn turn(&mut self, core: &Core, spec: &FollowSpec, ahead: &Ahead, pending: &mut u64) -> Turn {
        if let Some(heard) = self.source.next_at_hand() {
            // Asked for in time, more is here before what is at hand is used up.
            if let Some((count, bytes)) = self.wanted(spec, ahead)
                && let Some(sent) = core.link.send("follow", self.source.request(count, bytes)).now_or_never()
            {
                match sent {
                    Ok(()) => self.source.asked_for(count, bytes),
                    Err(error) => tracing::debug!(%error, "no more is asked for yet"),
                }
            }
            return self.take_in(heard, pending);
        }
        if let Some((count, bytes)) = self.wanted(spec, ahead) {
            // Dropped before it is done, it was not sent.
            if let Err(error) = core.link.send("follow", self.source.request(count, bytes)).await {
                return Turn::Reopen(error.to_string());
            }
            self.source.asked_for(count, bytes);
            self.heard = Instant::now();
        }
        let silent_at = self.heard + SILENCE;
        let heard = tokio::select! {
            // What has come is taken first: what breaks a connection is known by what came before it.
            biased;
            heard = self.source.next() => heard,
            changed = self.connections.changed() => {
                let what = if changed.is_ok() { "the connection was made anew" } else { "the bus is gone" };
                return Turn::Reopen(what.to_owned());
            }
            () = tokio::time::sleep_until(silent_at) => {
                return Turn::Reopen("the server sends no heartbeats".to_owned());
            }
        };
        self.take_in(heard, pending)
    }

    /// How many messages to ask for, and how many bytes, if it is time to.
    fn wanted(&self, spec: &FollowSpec, ahead: &Ahead) -> Option<(usize, usize)> {
        let count = spec.prefetch.saturating_sub(self.source.asked());
        if count < spec.prefetch.div_ceil(2) {
            return None;
        }
        ahead.room(self.source.asked_bytes(), count).map(|bytes| (count, bytes))
    }

    fn take_in(&mut self, heard: Heard, pending: &mut u64) -> Turn {
        self.heard = Instant::now();
        match heard {
            Heard::Delivery(delivery) => self.followed(*delivery, pending),
            Heard::Heartbeat => {
                // What was pending may have been purged since.
                *pending = 0;
                Turn::GoOn
            }
            Heard::Unfilled(_) | Heard::Stray => Turn::GoOn,
            Heard::Broken(reason) => Turn::Reopen(reason),
        }
    }

    fn followed(&mut self, delivery: Delivery, pending: &mut u64) -> Turn {
        let Delivery { message, position, receipt, .. } = delivery;
        let told = receipt.as_ref().and_then(|receipt| Told::read(&receipt.0));
        let (Some(position), Some(told)) = (position, told) else { return Turn::GoOn };
        self.delivered += 1;
        if told.delivered != self.delivered {
            return Turn::Reopen("a message went missing on the way".to_owned());
        }
        *pending = told.pending;
        Turn::Hand(Followed { message, position, pending: told.pending })
    }
}

impl Follow for NatsFollow {
    fn next(&mut self) -> BoxFuture<'_, Option<Result<Followed, BusError>>> {
        self.take().boxed()
    }

    fn pending(&self) -> u64 {
        self.pending
    }
}
