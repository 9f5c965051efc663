//! What an engine holds of the bus: deliveries that come late, out of order, twice or not at all.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::time::Instant;
use wasmill::bus::{BusError, Delivery, Intake};

use super::super::Broken;
use super::super::weather::Told;
use super::line::Line;
use super::plan::Fault;

/// Of all moments at which an intake might end, the part at which it does is this of the rate of other faults.
const ENDS: f64 = 0.2;

/// The intake. What it holds when it is dropped is lost, as if the engine had been killed: the bus delivers it again.
pub(super) struct LossyIntake {
    line: Line,
    inner: Box<dyn Intake>,
    /// The most deliveries to hold ahead.
    ahead: usize,
    /// What is under way here, and when it arrives.
    held: Vec<(Instant, Delivery)>,
    /// Whether the present cut has been told of.
    cut_told: bool,
    ended: bool,
}

/// What comes next.
type Next = Option<Result<Delivery, BusError>>;

impl LossyIntake {
    pub fn new(line: Line, inner: Box<dyn Intake>, ahead: usize) -> Self {
        Self { line, inner, ahead, held: Vec::new(), cut_told: false, ended: false }
    }

    /// May be dropped at any await: whatever has been taken from the bus is then in `held`.
    async fn take(&mut self) -> Next {
        self.line.life.breathe(&self.line.world).await;
        while !self.ended {
            let world = self.line.world.clone();
            if let Some(until) = world.weather(|weather, _| weather.spells.cut_until(self.line.slot)) {
                if !std::mem::replace(&mut self.cut_told, true) {
                    return Some(Err(Told::Disconnected.error("next")));
                }
                world.outlast(until).await;
                continue;
            }
            self.cut_told = false;
            if world.strikes(Fault::Ahead) {
                self.fill();
            }
            if let Some(delivery) = self.arrived() {
                return self.hand_out(delivery);
            }
            let arrives = self.held.iter().map(|(at, _)| *at).min();
            let room = self.held.len() < self.ahead.max(1);
            let next = tokio::select! {
                biased;
                next = self.inner.next(), if room => next,
                () = until(arrives) => continue,
            };
            match next {
                Some(Ok(delivery)) => {
                    self.line.delivered(&delivery);
                    self.carry(delivery);
                }
                Some(Err(err)) => return Some(Err(err)),
                None => break,
            }
        }
        None
    }

    /// Takes what there is at once, as far as there is room.
    fn fill(&mut self) {
        while self.held.len() < self.ahead {
            let Some(Some(Ok(delivery))) = self.inner.next().now_or_never() else { return };
            self.line.delivered(&delivery);
            let input = delivery.position.as_ref().map_or(0, |position| position.sequence);
            self.line.note(input, "  waits in the engine", self.held.len() as u64);
            self.carry(delivery);
        }
    }

    /// Takes one of those that have arrived; any of them, if they come out of order.
    fn arrived(&mut self) -> Option<Delivery> {
        let now = Instant::now();
        let ready: Vec<usize> =
            self.held.iter().enumerate().filter(|(_, (at, _))| *at <= now).map(|(at, _)| at).collect();
        let world = &self.line.world;
        let chosen = if world.strikes(Fault::Reorder) {
            world.chance(|rng| rng.choice(&ready).copied())
        } else {
            ready.first().copied()
        };
        chosen.map(|at| self.held.remove(at).1)
    }

    /// Puts a delivery on its way, with whatever may happen to it there.
    fn carry(&mut self, delivery: Delivery) {
        let world = &self.line.world;
        if world.strikes(Fault::DeliveryLost) {
            let input = delivery.position.as_ref().map_or(0, |position| position.sequence);
            return self.line.note(input, "  the delivery is lost", 0);
        }
        let mut on_its_way = |delivery: &Delivery, late: bool| {
            let delay = if late { world.delay() } else { Default::default() };
            let arrives = Instant::now() + delay;
            self.held.push((arrives, Delivery { received: arrives, ..delivery.clone() }));
        };
        if world.strikes(Fault::Echo) {
            on_its_way(&delivery, true);
        }
        on_its_way(&delivery, world.strikes(Fault::Reorder));
    }

    fn hand_out(&mut self, delivery: Delivery) -> Next {
        let world = &self.line.world;
        if world.strikes(Fault::IntakeEnds) && world.chance(fastrand::Rng::f64) < ENDS {
            self.ended = true;
            self.line.note(0, "its intake ends", 0);
            return world.chance(fastrand::Rng::bool).then(|| Err(BusError::StreamMissing("IN".into())));
        }
        if self.line.life.was_shut() {
            let input = delivery.position.as_ref().map_or(0, |position| position.sequence);
            let detail = format!("engine {}", self.line.life.number);
            world.found(Err(Broken { promise: "nothing-is-taken-in-quarantine", detail, input }));
        }
        self.line.life.tally(|tally| tally.handed_out += 1);
        Some(Ok(delivery))
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

impl Intake for LossyIntake {
    fn next(&mut self) -> BoxFuture<'_, Next> {
        self.take().boxed()
    }

    fn dropped(&self) -> u64 {
        self.inner.dropped()
    }
}
