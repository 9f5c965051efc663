//! Dead letters that somebody sends back to a plugin with a key. They come out of a work queue, not out of a stream with an
//! order, so a record tells them one by one.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::intake::{Bad, Told};
use crate::bus::{Bus, BusError, Delivery, DurableSpec, Receipt, Settlement};
use crate::dead_letter::{REDRIVES, RedriveOf, redrives_spec, restore};
use crate::event::{Event, Origin};
use crate::key::{self, KeySource};
use crate::message::Message;
use crate::outcome::Failure;
use crate::record::{Reached, Record};

/// How many redrives a record remembers, and how many one turn may bring.
pub(super) const REMEMBERED: usize = 64;
/// How long another partition's redrive is left to the next who asks.
const ELSEWHERE: Duration = Duration::from_millis(500);
/// The wait before the queue is opened again.
const AGAIN: Duration = Duration::from_secs(15);

/// The redrive that an event comes by.
#[derive(Debug, Clone)]
pub(super) struct Redrive {
    /// Its place among the redrives.
    pub sequence: u64,
    incarnation_ms: u64,
    receipt: Option<Receipt>,
    pub of: Option<RedriveOf>,
    /// Where the event came from before it failed.
    pub position: Option<String>,
    /// The second half of it, if it was too large for one message.
    rest: Option<u64>,
}

impl Redrive {
    /// Names it as records do.
    pub fn place(&self) -> (String, Reached) {
        let reached = Reached { incarnation_ms: self.incarnation_ms, sequence: self.sequence };
        // Of one length, so that the oldest stands first.
        (format!("{REDRIVES}/{:020}", self.sequence), reached)
    }

    /// It is done: takes it out of the queue.
    pub async fn settle(&self, bus: &dyn Bus) {
        if let Some(receipt) = &self.receipt {
            // If it does not arrive, the event comes again, and its record tells that it is done.
            let _sent = bus.settle(receipt, Settlement::Ack).await;
        }
        if let Some(rest) = self.rest {
            let _left = bus.erase(REDRIVES, rest).await;
        }
    }
}

/// Forgets the oldest redrives that a record remembers, if they are many: those of another queue first, and none that was not
/// there `before`. One whose ack was lost would come again, and be new then: it is taken out of the queue before that.
pub(super) async fn forget_old(bus: &dyn Bus, record: &mut Record, before: &Record) {
    let prefix = format!("{REDRIVES}/");
    let known = || record.applied.iter().filter(|(name, _)| name.starts_with(&prefix));
    let too_many = known().count().saturating_sub(REMEMBERED);
    if too_many == 0 {
        return;
    }
    let latest_ms = known().map(|(_, reached)| reached.incarnation_ms).max();
    let mut old: Vec<_> = known().filter(|(name, _)| before.applied.contains_key(*name)).collect();
    old.sort_by_key(|(_, reached)| (reached.incarnation_ms, reached.sequence));
    let old: Vec<_> =
        old.into_iter().take(too_many).map(|(name, reached)| (name.clone(), *reached)).collect();
    for (name, reached) in old {
        let is_gone =
            Some(reached.incarnation_ms) != latest_ms || bus.erase(REDRIVES, reached.sequence).await.is_ok();
        if is_gone {
            record.applied.remove(&name);
        }
    }
}

/// An event that comes by a redrive.
pub(super) struct Redriven {
    pub key: String,
    pub event: Arc<Event>,
    pub message: Message,
    pub origin: Origin,
    pub input: String,
    pub redrive: Redrive,
}

/// Takes redrives out of their queue for one partition.
pub(super) struct Queue {
    pub bus: Arc<dyn Bus>,
    pub spec: DurableSpec,
    pub key: KeySource,
    pub partition: u32,
    pub partitions: u32,
}

impl Queue {
    /// Goes on until whoever listens is gone. A plugin that cannot have redrives does its work all the same.
    pub async fn run(self, to: mpsc::Sender<Told>) {
        let mut told = None;
        while !to.is_closed() {
            if let Err(err) = self.read(&to).await {
                let problem = err.to_string();
                if told.as_ref() != Some(&problem) {
                    tracing::warn!(
                        "redriven dead letters do not come in: {problem}; trying again every {AGAIN:?}"
                    );
                    told = Some(problem);
                }
            }
            tokio::select! {
                biased;
                () = to.closed() => return,
                () = tokio::time::sleep(AGAIN) => {}
            }
        }
    }

    async fn read(&self, to: &mpsc::Sender<Told>) -> Result<(), BusError> {
        self.bus.ensure_stream(&redrives_spec()?).await?;
        let mut intake = self.bus.consume(&self.spec).await?;
        loop {
            let delivery = tokio::select! {
                biased;
                () = to.closed() => return Ok(()),
                next = intake.next() => match next {
                    Some(Ok(delivery)) => delivery,
                    Some(Err(err)) if err.is_transient() => continue,
                    Some(Err(err)) => return Err(err),
                    None => return Ok(()),
                },
            };
            if let Some(told) = self.taken(delivery).await
                && to.send(told).await.is_err()
            {
                return Ok(());
            }
        }
    }

    /// What a delivery is to this partition; nothing if it is another's, or cannot be read now.
    async fn taken(&self, delivery: Delivery) -> Option<Told> {
        let at = delivery.position.clone()?;
        let mut redrive = Redrive {
            sequence: at.sequence,
            incarnation_ms: at.incarnation_ms,
            receipt: delivery.receipt.clone(),
            of: None,
            position: None,
            rest: None,
        };
        let redriven = match restore(&*self.bus, &delivery).await {
            Ok(Ok(redriven)) => redriven,
            Ok(Err(fault)) => {
                let why = format!("it stands among the redrives and is none: {fault}");
                let failure = Failure::Malformed(crate::event::EventError::Headers(why));
                let input = format!("{REDRIVES}:{}", at.sequence);
                let origin = Origin {
                    id: input.clone(),
                    source: format!("nats:{REDRIVES}"),
                    time_ns: at.stored_ns,
                    attempt: 1,
                };
                let bad = Bad { failure, message: delivery.message, origin, input };
                return Some(Told::BadRedrive(Box::new((bad, redrive))));
            }
            Err(err) => {
                tracing::warn!("a redriven event was not read: {err}");
                return self.leave(&delivery).await;
            }
        };
        redrive.of = Some(redriven.of);
        redrive.position.clone_from(&redriven.event.position);
        redrive.rest = redriven.rest;
        let origin = Origin { attempt: 1, ..redriven.event.origin };
        let (message, input) = (redriven.event.message, redriven.event.input);
        let keyed = Event::decode(&message, &origin).map_err(Failure::Malformed).and_then(|event| {
            let key = self.key.of(&event).map_err(Failure::BadKey)?;
            Ok((key, event))
        });
        match keyed {
            Ok((key, _)) if key::partition(&key, self.partitions) != self.partition => {
                self.leave(&delivery).await
            }
            Ok((key, mut event)) => {
                event.key = Some(key.clone());
                let event = Arc::new(event);
                Some(Told::Redriven(Box::new(Redriven { key, event, message, origin, input, redrive })))
            }
            Err(failure) => {
                Some(Told::BadRedrive(Box::new((Bad { failure, message, origin, input }, redrive))))
            }
        }
    }

    async fn leave(&self, delivery: &Delivery) -> Option<Told> {
        if let Some(receipt) = &delivery.receipt {
            let _sent = self.bus.settle(receipt, Settlement::Nak(ELSEWHERE)).await;
        }
        None
    }
}
