//! The way from an engine to the bus and back, on which things are lost, late, and said twice.

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::sync::broadcast;
use wasmill::bus::memory::MemoryBus;
use wasmill::bus::{
    BatchStored, BucketSpec, Bus, BusError, BusEvent, Confirmation, CoreSpec, Delivery, DurableSpec, Follow,
    FollowSpec, Intake, OnlyIf, ReadSpec, Receipt, Settlement, Stored, StoredMessage, StreamInfo, StreamSpec,
};
use wasmill::dead_letter;
use wasmill::message::Message;
use wasmill::subject::{Pattern, Subject};

use super::super::line::questions;
use super::super::weather::Told;
use super::World;
use super::intake::LossyIntake;
use super::ledger::{Cause, Parcel};
use super::life::Life;
use super::plan::Fault;
use super::weather::{Place, Way};

/// One engine's way to the bus.
#[derive(Clone)]
pub(super) struct Line {
    pub world: Arc<World>,
    pub life: Arc<Life>,
    bus: Arc<MemoryBus>,
    pub slot: usize,
}

impl Line {
    pub fn new(world: &Arc<World>, life: &Arc<Life>, bus: &Arc<MemoryBus>, slot: usize) -> Self {
        Self { world: Arc::clone(world), life: Arc::clone(life), bus: Arc::clone(bus), slot }
    }

    pub fn note(&self, input: u64, what: &'static str, number: u64) {
        self.world.note(self.life.number, input, what, number);
    }

    /// An operation that changes nothing, or nothing that matters here.
    async fn plain<T>(&self, operation: impl Future<Output = Result<T, BusError>>) -> Result<T, BusError> {
        self.life.breathe(&self.world).await;
        let cut = !self.is_connected();
        if cut || self.world.strikes(Fault::NoAnswer) {
            self.note(0, "a question is not answered", 0);
            self.life.is_not_answered();
            return Err(if cut { Told::Disconnected } else { Told::TimedOut }.error("a question"));
        }
        operation.await
    }

    async fn send(&self, message: Message) -> Result<Stored, BusError> {
        self.life.breathe(&self.world).await;
        let (parcel, place) = (self.announce(&message), place(&message));
        let way = self.world.weather(|weather, plan| weather.publish(plan, self.slot, place));
        let subject = message.subject.as_str().to_owned();
        let stored = self.carry(way, parcel, self.clone().store(parcel, message)).await;
        let answer = self.answer(way, &subject, stored).await;
        match &answer {
            Ok(_) if matches!(parcel, Parcel::Letter { .. }) => self.life.tally(|tally| tally.letters += 1),
            Ok(stored) => self.life.tally(|tally| tally.outputs += u64::from(!stored.duplicate)),
            Err(_) => self.failed(parcel),
        }
        answer
    }

    async fn send_batch(&self, messages: Vec<Message>) -> Result<BatchStored, BusError> {
        self.life.breathe(&self.world).await;
        let parcels: Vec<Parcel> = messages.iter().map(|message| self.announce(message)).collect();
        let (first, place) =
            (parcels.first().copied().unwrap_or(Parcel::Unknown), messages.first().and_then(place));
        self.note(first.input(), "  as a batch of", messages.len() as u64);
        if self.world.strikes(Fault::NoBatch) {
            return Err(BusError::NoBatch { reason: "simulated".to_owned() });
        }
        let way = self.world.weather(|weather, plan| weather.publish(plan, self.slot, place));
        let stored = self.carry(way, first, self.clone().store_batch(parcels, messages)).await;
        let answer = self.answer(way, "a batch", stored).await;
        match &answer {
            Ok(stored) => self.life.tally(|tally| tally.outputs += stored.count as u64),
            // Then each is published by itself.
            Err(BusError::Repeated | BusError::NoBatch { .. }) => {
                self.note(first.input(), "  not as a batch", 0)
            }
            Err(_) => self.failed(first),
        }
        answer
    }

    /// Enters a message that the engine hands to the bus.
    fn announce(&self, message: &Message) -> Parcel {
        let parcel = Parcel::of(message);
        self.note(parcel.input(), sent(parcel), number(parcel));
        let quarantined = self.life.was_quarantined(parcel);
        self.world.enter(|ledger, plan| ledger.sent(plan, parcel, message, quarantined));
        parcel
    }

    /// Brings something to its stream, or loses it. What is under way arrives even if the engine dies meanwhile.
    async fn carry<T: Send + 'static>(
        &self,
        way: Way,
        parcel: Parcel,
        store: impl Future<Output = Result<T, BusError>> + Send + 'static,
    ) -> Option<Result<T, BusError>> {
        if way.lost {
            tokio::time::sleep(way.there).await;
            self.note(parcel.input(), "  lost", 0);
            return None;
        }
        if way.there.is_zero() {
            return Some(store.await);
        }
        let under_way = tokio::spawn(async move {
            tokio::time::sleep(way.there).await;
            store.await
        });
        if way.late { None } else { under_way.await.ok() }
    }

    /// Brings the answer back, or another.
    async fn answer<T>(
        &self,
        way: Way,
        subject: &str,
        stored: Option<Result<T, BusError>>,
    ) -> Result<T, BusError> {
        tokio::time::sleep(way.back).await;
        self.life.breathe(&self.world).await;
        match (way.told, stored) {
            (Some(told), _) => Err(told.error(subject)),
            (None, Some(answer)) => answer,
            (None, None) => Err(Told::TimedOut.error(subject)),
        }
    }

    async fn store(self, parcel: Parcel, message: Message) -> Result<Stored, BusError> {
        if self.world.over.is_cancelled() {
            return Err(Told::TimedOut.error("store"));
        }
        let stored = self.bus.publish(message).await?;
        self.stored(parcel, stored.duplicate);
        Ok(stored)
    }

    async fn store_batch(
        self,
        parcels: Vec<Parcel>,
        messages: Vec<Message>,
    ) -> Result<BatchStored, BusError> {
        if self.world.over.is_cancelled() {
            return Err(Told::TimedOut.error("store"));
        }
        let stored = self.bus.publish_batch(messages).await?;
        parcels.into_iter().for_each(|parcel| self.stored(parcel, false));
        Ok(stored)
    }

    fn stored(&self, parcel: Parcel, repeat: bool) {
        let what = if repeat { "  dropped as a repeat" } else { "  stored" };
        self.note(parcel.input(), what, number(parcel));
        self.world.enter(|ledger, plan| ledger.stored(plan, parcel, repeat));
    }

    /// The engine is told that something was not stored, and may have to give the event back for it.
    fn failed(&self, parcel: Parcel) {
        self.note(parcel.input(), "  the engine is told of an error", number(parcel));
        let is_letter = matches!(parcel, Parcel::Letter { .. });
        let cause = if is_letter { Cause::Letter } else { Cause::Outside("publish") };
        self.world.enter(|ledger, _| {
            let of = (self.life.number, parcel.input(), parcel.attempt());
            ledger.caused(of, cause);
            Ok(())
        });
    }

    async fn end(&self, receipt: Receipt, settlement: Settlement) -> Result<(), BusError> {
        self.life.breathe(&self.world).await;
        let (input, attempt) = self.world.known(|ledger, _| ledger.delivery(&receipt));
        let delay = if let Settlement::Nak(delay) = settlement { delay.as_millis() as u64 } else { 0 };
        self.note(input, settling(settlement), delay);
        let (of, excused) = ((input, attempt), self.life.may_give_back());
        if self.life.was_not_answered() {
            // It may have asked for the streams of this event's outputs.
            let of = (self.life.number, input, attempt);
            self.world.enter(|ledger, _| {
                ledger.caused(of, Cause::Outside("publish"));
                Ok(())
            });
        }
        self.world.enter(|ledger, plan| ledger.settles(plan, self.life.number, of, settlement, excused));
        let way = self.world.weather(|weather, plan| weather.settle(plan, self.slot));
        if way.lost {
            self.note(input, "  lost", u64::from(way.told.is_some()));
        } else {
            let line = self.clone();
            let apply = async move {
                tokio::time::sleep(way.there).await;
                let applied = line.bus.settle(&receipt, settlement).await;
                line.world.enter(|ledger, _| {
                    ledger.applied(input, settlement);
                    Ok(())
                });
                applied
            };
            if way.there.is_zero() {
                apply.await?;
            } else {
                self.note(input, "  late", way.there.as_millis() as u64);
                tokio::spawn(apply);
            }
        }
        self.life.breathe(&self.world).await;
        match way.told {
            Some(told) => Err(told.error("settle")),
            None => {
                self.life.tally(|tally| tally.acked += u64::from(settlement == Settlement::Ack));
                Ok(())
            }
        }
    }

    /// Notes a delivery that the bus hands out.
    pub fn delivered(&self, delivery: &Delivery) {
        if let (Some(receipt), Some(position)) = (&delivery.receipt, &delivery.position) {
            self.note(position.sequence, "delivered, in attempt", u64::from(position.attempt));
            let of = (position.sequence, position.attempt);
            self.world.enter(|ledger, plan| ledger.delivered(plan, receipt, of));
        }
    }
}

fn place(message: &Message) -> Option<Place> {
    let subject = message.subject.as_str();
    [("out.a.", Place::OutA), ("out.b.", Place::OutB), (dead_letter::SUBJECT_PREFIX, Place::Letters)]
        .into_iter()
        .find_map(|(prefix, place)| subject.starts_with(prefix).then_some(place))
}

fn number(parcel: Parcel) -> u64 {
    match parcel {
        Parcel::Output { index, .. } => u64::from(index),
        Parcel::Letter { attempt, .. } => u64::from(attempt),
        Parcel::Unknown => 0,
    }
}

fn sent(parcel: Parcel) -> &'static str {
    match parcel {
        Parcel::Output { .. } => "publishes output",
        Parcel::Letter { .. } => "publishes its dead letter, after attempts",
        Parcel::Unknown => "publishes something",
    }
}

fn settling(settlement: Settlement) -> &'static str {
    match settlement {
        Settlement::Ack => "acks",
        Settlement::Nak(_) => "gives back, for ms",
        Settlement::Term => "terminates",
        Settlement::InProgress => "is at work",
    }
}

impl Bus for Line {
    questions!();

    fn consume<'a>(&'a self, spec: &'a DurableSpec) -> BoxFuture<'a, Result<Box<dyn Intake>, BusError>> {
        let open = async move {
            let intake = self.plain(self.bus.consume(spec)).await?;
            Ok(Box::new(LossyIntake::new(self.clone(), intake, spec.prefetch)) as Box<dyn Intake>)
        };
        open.boxed()
    }

    fn publish(&self, message: Message) -> BoxFuture<'_, Result<Stored, BusError>> {
        self.send(message).boxed()
    }

    fn publish_batch(&self, messages: Vec<Message>) -> BoxFuture<'_, Result<BatchStored, BusError>> {
        self.send_batch(messages).boxed()
    }

    fn follow<'a>(&'a self, spec: &'a FollowSpec) -> BoxFuture<'a, Result<Box<dyn Follow>, BusError>> {
        self.plain(self.bus.follow(spec)).boxed()
    }

    fn post(&self, message: Message, only_if: OnlyIf) -> BoxFuture<'_, Result<Confirmation, BusError>> {
        self.plain(self.bus.post(message, only_if)).boxed()
    }

    fn posting(&self) -> u64 {
        self.bus.posting()
    }

    fn settle<'a>(
        &'a self,
        receipt: &'a Receipt,
        settlement: Settlement,
    ) -> BoxFuture<'a, Result<(), BusError>> {
        self.end(receipt.clone(), settlement).boxed()
    }

    fn is_connected(&self) -> bool {
        self.world.weather(|weather, _| weather.spells.cut_until(self.slot)).is_none()
    }
}
