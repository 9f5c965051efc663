//! What an engine reads of the bus: late, and now and then it breaks off.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::time::Instant;
use wasmill::bus::{BusError, Delivery, Follow, Followed, Intake};

use super::super::weather::Told;
use super::line::Line;
use super::plan::Fault;

/// Of all moments at which a reading might break off, the part at which it does is this of the rate of other faults.
const ENDS: f64 = 0.1;

impl Line {
    /// Waits until there is a connection.
    async fn connected(&self) {
        self.life.breathe(&self.world).await;
        while let Some(until) = self.life.cut_until() {
            self.world.outlast(until).await;
            if self.world.cleared.is_cancelled() {
                return;
            }
        }
    }

    fn breaks_off(&self) -> bool {
        self.world.strikes(Fault::ReadEnds) && self.world.chance(|rng| rng.f64() < ENDS)
    }

    fn arrives(&self) -> Instant {
        let late = self.world.strikes(Fault::ReadSlow);
        Instant::now() + if late { self.world.delay() } else { Default::default() }
    }
}

/// A stream being read.
pub(super) struct BrittleFollow {
    line: Line,
    stream: String,
    inner: Box<dyn Follow>,
    /// What is under way, and when it arrives.
    held: Option<(Instant, Option<Result<Followed, BusError>>)>,
    pending: u64,
    ended: bool,
}

impl BrittleFollow {
    pub fn new(line: Line, stream: String, inner: Box<dyn Follow>) -> Self {
        Self { line, stream, pending: inner.pending(), inner, held: None, ended: false }
    }

    /// May be dropped at any await: what has been taken from the bus is then in `held`.
    async fn take(&mut self) -> Option<Result<Followed, BusError>> {
        if self.ended {
            return None;
        }
        self.line.connected().await;
        if self.held.is_none() {
            let followed = self.inner.next().await;
            if self.line.breaks_off() {
                self.ended = true;
                self.line.note(0, "a reading breaks off", 0);
                let reason = "was simulated away".to_owned();
                return Some(Err(BusError::StreamReplaced { stream: self.stream.clone(), reason }));
            }
            self.held = Some((self.line.arrives(), followed));
        }
        if let Some((at, _)) = &self.held {
            tokio::time::sleep_until(*at).await;
        }
        self.line.connected().await;
        let (_, followed) = self.held.take()?;
        if let Some(Ok(followed)) = &followed {
            self.pending = followed.pending;
        }
        followed
    }
}

impl Follow for BrittleFollow {
    fn next(&mut self) -> BoxFuture<'_, Option<Result<Followed, BusError>>> {
        self.take().boxed()
    }

    fn pending(&self) -> u64 {
        self.pending
    }
}

/// A consumer. What it held when it is dropped comes once more.
pub(super) struct BrittleIntake {
    line: Line,
    inner: Box<dyn Intake>,
    ended: bool,
}

impl BrittleIntake {
    pub fn new(line: Line, inner: Box<dyn Intake>) -> Self {
        Self { line, inner, ended: false }
    }

    async fn take(&mut self) -> Option<Result<Delivery, BusError>> {
        if self.ended {
            return None;
        }
        self.line.connected().await;
        let delivery = self.inner.next().await;
        self.line.life.breathe(&self.line.world).await;
        if self.line.breaks_off() {
            self.ended = self.line.world.chance(fastrand::Rng::bool);
            return if self.ended { None } else { Some(Err(Told::Disconnected.error("next"))) };
        }
        delivery
    }
}

impl Intake for BrittleIntake {
    fn next(&mut self) -> BoxFuture<'_, Option<Result<Delivery, BusError>>> {
        self.take().boxed()
    }

    fn dropped(&self) -> u64 {
        0
    }
}
