//! The way from an engine to the bus and back, on which things are lost and late.

use std::future::ready;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::sync::broadcast;
use wasmill::bus::memory::MemoryBus;
use wasmill::bus::{
    BatchStored, BucketSpec, Bus, BusError, BusEvent, Confirmation, CoreSpec, DurableSpec, Follow,
    FollowSpec, Intake, OnlyIf, ReadSpec, Receipt, Settlement, Stored, StoredMessage, StreamInfo, StreamSpec,
};
use wasmill::message::Message;
use wasmill::subject::{Pattern, Subject};

use super::super::line::questions;
use super::super::weather::Told;
use super::World;
use super::follow::{BrittleFollow, BrittleIntake};
use super::ledger::{Parcel, Writer};
use super::life::Life;
use super::plan::Fault;
use super::wire::Wire;

/// One engine's way to the bus.
#[derive(Clone)]
pub(super) struct Line {
    pub world: Arc<World>,
    pub life: Arc<Life>,
    bus: Arc<MemoryBus>,
}

impl Line {
    pub fn new(world: &Arc<World>, life: &Arc<Life>, bus: &Arc<MemoryBus>) -> Self {
        Self { world: Arc::clone(world), life: Arc::clone(life), bus: Arc::clone(bus) }
    }

    pub fn note(&self, input: u64, what: &'static str, number: u64) {
        self.world.note(self.life.number, input, what, number);
    }

    /// A question, or something that is as good as one.
    async fn plain<T>(&self, operation: impl Future<Output = Result<T, BusError>>) -> Result<T, BusError> {
        self.life.breathe(&self.world).await;
        if self.life.cut_until().is_some() {
            // Some errors come at once, some after a while.
            let late = self.world.chance(fastrand::Rng::bool);
            tokio::time::sleep(if late { self.world.delay() } else { Default::default() }).await;
            self.life.breathe(&self.world).await;
            return Err(Told::Disconnected.error("a question"));
        }
        if self.world.strikes(Fault::NoAnswer) {
            self.note(0, "a question is not answered", 0);
            return Err(Told::TimedOut.error("a question"));
        }
        let answer = operation.await;
        if self.world.strikes(Fault::Slow) {
            tokio::time::sleep(self.world.delay()).await;
        }
        self.life.breathe(&self.world).await;
        answer
    }

    /// Puts a message on the wire.
    async fn send(&self, message: Message, only_if: OnlyIf) -> Result<Confirmation, BusError> {
        let parcel = Parcel::of(&message);
        let one_of_many = matches!(parcel, Parcel::Owner { .. });
        self.life.stand(&self.world, !one_of_many).await;
        if !one_of_many && self.world.strikes(Fault::Slow) {
            // It waits for a place.
            tokio::time::sleep(self.world.delay()).await;
            self.life.breathe(&self.world).await;
        }
        if self.life.cut_until().is_some() {
            return Err(Told::Disconnected.error("post"));
        }
        let wire = self.life.wire(Wire::new);
        if only_if.connection.is_some_and(|wanted| wanted != wire.number) {
            return Err(Told::Disconnected.error("post"));
        }
        // Owners' values are many: whoever takes over writes hundreds.
        if !one_of_many {
            self.note(parcel.input(), parcel.sent(), parcel.number());
        }
        self.world.enter(|ledger, _| ledger.posted(&parcel));
        let writer = self.writer(&parcel);
        let only_if = OnlyIf { connection: None, ..only_if };
        let arrival = self.clone().store(parcel, writer, message, only_if);
        Ok(wire.send(self, arrival.boxed(), one_of_many))
    }

    fn writer(&self, parcel: &Parcel) -> Writer {
        let term = parcel.partition().map_or(0, |partition| self.life.owned(partition));
        Writer { engine: self.life.number, term }
    }

    async fn store(
        self,
        parcel: Parcel,
        writer: Writer,
        message: Message,
        only_if: OnlyIf,
    ) -> Result<Stored, BusError> {
        if self.world.over.is_cancelled() {
            return Err(Told::TimedOut.error("store"));
        }
        let subject = message.subject.as_str();
        if let Some(leaderless) = self.world.weather(|weather, _| weather.spells.refused(subject)) {
            return Err(if leaderless { Told::NoStream } else { Told::Full }.error(subject));
        }
        let stored = self.bus.post(message, only_if).await?.await;
        let what = match &stored {
            Ok(stored) if stored.duplicate => "  dropped as a repeat",
            Ok(_) => "  stored",
            Err(BusError::Overtaken { .. }) => "  refused, as somebody else wrote",
            Err(_) => "  refused",
        };
        if !matches!(parcel, Parcel::Owner { .. }) {
            self.note(parcel.input(), what, parcel.number());
        }
        if let Ok(stored) = &stored {
            self.world.enter(|ledger, plan| ledger.stored(plan, &parcel, writer, stored));
        }
        stored
    }
}

impl Bus for Line {
    questions!();

    fn consume<'a>(&'a self, spec: &'a DurableSpec) -> BoxFuture<'a, Result<Box<dyn Intake>, BusError>> {
        let open = async move {
            let intake = self.plain(self.bus.consume(spec)).await?;
            Ok(Box::new(BrittleIntake::new(self.clone(), intake)) as Box<dyn Intake>)
        };
        open.boxed()
    }

    fn publish(&self, message: Message) -> BoxFuture<'_, Result<Stored, BusError>> {
        async move { self.send(message, OnlyIf::default()).await?.await }.boxed()
    }

    fn publish_batch(&self, _messages: Vec<Message>) -> BoxFuture<'_, Result<BatchStored, BusError>> {
        ready(Err(BusError::NoBatch { reason: "simulated".to_owned() })).boxed()
    }

    fn follow<'a>(&'a self, spec: &'a FollowSpec) -> BoxFuture<'a, Result<Box<dyn Follow>, BusError>> {
        let open = async move {
            let follow = self.plain(self.bus.follow(spec)).await?;
            Ok(Box::new(BrittleFollow::new(self.clone(), spec.stream.clone(), follow)) as Box<dyn Follow>)
        };
        open.boxed()
    }

    fn post(&self, message: Message, only_if: OnlyIf) -> BoxFuture<'_, Result<Confirmation, BusError>> {
        self.send(message, only_if).boxed()
    }

    fn posting(&self) -> u64 {
        self.life.posting()
    }

    fn settle<'a>(
        &'a self,
        receipt: &'a Receipt,
        settlement: Settlement,
    ) -> BoxFuture<'a, Result<(), BusError>> {
        let settle = async move {
            if self.world.strikes(Fault::SettleLost) {
                self.life.breathe(&self.world).await;
                return Ok(());
            }
            self.plain(self.bus.settle(receipt, settlement)).await
        };
        settle.boxed()
    }

    fn is_connected(&self) -> bool {
        self.life.cut_until().is_none()
    }
}
