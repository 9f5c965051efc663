//! One engine's life, which may end at any await or stand still for a while.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures::future::BoxFuture;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::wire::Wire;
use super::world::World;

#[derive(Default)]
struct Vital {
    dead: bool,
    frozen: bool,
    /// After how many more breaths it dies.
    breaths: Option<u32>,
    waker: Option<Waker>,
    /// Until when it has no connection.
    cut: Option<Instant>,
    /// Its present connection.
    wire: Option<Arc<Wire>>,
    wires: u64,
    /// How often it came to own each partition.
    owned: BTreeMap<u32, u64>,
}

/// One engine's life, from start to kill or stop.
pub(super) struct Life {
    /// Its number, from 1.
    pub number: u32,
    vital: Mutex<Vital>,
    /// Wakes in the order in which they came to wait: that of a watch is left to chance.
    thawed: Notify,
}

impl Life {
    pub fn new(number: u32) -> Arc<Self> {
        Arc::new(Self { number, vital: Mutex::default(), thawed: Notify::new() })
    }

    fn lock(&self) -> MutexGuard<'_, Vital> {
        self.vital.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A moment at which it may die, or stands still. Once dead, and when the run is over, nothing follows.
    pub async fn breathe(&self, world: &World) {
        self.stand(world, true).await;
    }

    /// The same, which may or may not count as a breath.
    pub async fn stand(&self, world: &World, counts: bool) {
        loop {
            let mut thawed = std::pin::pin!(self.thawed.notified());
            thawed.as_mut().enable();
            if !self.lock().frozen {
                break;
            }
            thawed.await;
        }
        if self.has_no_breath_left(counts) || world.over.is_cancelled() {
            std::future::pending::<()>().await;
        }
    }

    fn has_no_breath_left(&self, counts: bool) -> bool {
        let mut vital = self.lock();
        if let Some(left) = vital.breaths.filter(|_| counts) {
            vital.breaths = Some(left.saturating_sub(1));
            vital.dead |= left == 0;
        }
        let dead = vital.dead;
        drop(vital);
        if dead {
            // It may have died in a task beside the one that lives as long as it does.
            self.wake();
        }
        dead
    }

    /// Kills it, after so many more breaths or at once.
    pub fn kill(&self, breaths: Option<u32>) {
        let mut vital = self.lock();
        match breaths {
            Some(_) => vital.breaths = breaths,
            None => vital.dead = true,
        }
        drop(vital);
        self.wake();
    }

    /// Takes back that it is to die later.
    pub fn spare(&self) {
        self.lock().breaths = None;
    }

    pub fn freeze(&self, frozen: bool) {
        self.lock().frozen = frozen;
        if !frozen {
            self.thawed.notify_waiters();
        }
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = self.lock().waker.take() {
            waker.wake();
        }
    }

    /// Breaks its connection, for as long as that; `arrive` of the messages that were on their way still arrive.
    pub fn cut(&self, until: Instant, arrive: usize) {
        let mut vital = self.lock();
        vital.cut = Some(until);
        if let Some(wire) = vital.wire.take() {
            wire.cut(arrive);
        }
    }

    /// Has its connection back.
    pub fn mend(&self) {
        self.lock().cut = None;
    }

    /// Until when it has no connection, if it has none.
    pub fn cut_until(&self) -> Option<Instant> {
        self.lock().cut.filter(|until| Instant::now() < *until)
    }

    /// Its connection, made if there is none.
    pub fn wire(&self, make: impl FnOnce(u64) -> Arc<Wire>) -> Arc<Wire> {
        let mut vital = self.lock();
        if let Some(wire) = &vital.wire {
            return Arc::clone(wire);
        }
        vital.wires += 1;
        let wire = make(vital.wires);
        vital.wire = Some(Arc::clone(&wire));
        wire
    }

    /// The number of the connection that there is, or that will be next.
    pub fn posting(&self) -> u64 {
        let vital = self.lock();
        vital.wires + u64::from(vital.wire.is_none())
    }

    /// It owns a partition from now on; says how often it has come to.
    pub fn owns(&self, partition: u32) -> u64 {
        let mut vital = self.lock();
        let times = vital.owned.entry(partition).or_default();
        *times += 1;
        *times
    }

    /// How often it came to own a partition.
    pub fn owned(&self, partition: u32) -> u64 {
        self.lock().owned.get(&partition).copied().unwrap_or_default()
    }
}

/// A future that lives as long as its engine does; none if that was killed.
pub(super) struct Mortal<'a, T> {
    pub inner: BoxFuture<'a, T>,
    pub life: Arc<Life>,
}

impl<T> Future for Mortal<'_, T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        {
            let mut vital = self.life.lock();
            vital.waker = Some(cx.waker().clone());
            if vital.dead {
                return Poll::Ready(None);
            }
            if vital.frozen {
                return Poll::Pending;
            }
        }
        match self.inner.as_mut().poll(cx) {
            Poll::Ready(ended) => Poll::Ready(Some(ended)),
            Poll::Pending if self.life.lock().dead => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}
