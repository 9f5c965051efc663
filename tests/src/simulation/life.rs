//! One engine's life, which may end at any await or stand still for a while.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures::future::BoxFuture;
use tokio::sync::Notify;

use super::simulated::Simulated;
use super::world::World;

#[derive(Default)]
struct Body {
    dead: bool,
    frozen: bool,
    /// After how many more breaths it dies.
    breaths: Option<u32>,
    waker: Option<Waker>,
}

/// One engine's life, from start to kill or stop.
pub(super) struct Life<S: Simulated> {
    /// Its number, from 1.
    pub number: u32,
    body: Mutex<Body>,
    /// Wakes in the order in which they came to wait: that of a watch is left to chance.
    thawed: Notify,
    vital: Mutex<S::Vital>,
}

impl<S: Simulated> Life<S> {
    pub fn new(number: u32) -> Arc<Self> {
        Arc::new(Self { number, body: Mutex::default(), thawed: Notify::new(), vital: Mutex::default() })
    }

    fn body(&self) -> MutexGuard<'_, Body> {
        self.body.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of it.
    pub fn vital(&self) -> MutexGuard<'_, S::Vital> {
        self.vital.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A moment at which it stands still if it is frozen, and may die if that `counts` as a breath. Once dead, and when the
    /// run is over, nothing follows.
    pub async fn stand(&self, world: &World<S>, counts: bool) {
        loop {
            let mut thawed = std::pin::pin!(self.thawed.notified());
            thawed.as_mut().enable();
            if !self.body().frozen {
                break;
            }
            thawed.await;
        }
        if self.has_no_breath_left(counts) || world.over.is_cancelled() {
            std::future::pending::<()>().await;
        }
    }

    fn has_no_breath_left(&self, counts: bool) -> bool {
        let mut body = self.body();
        if let Some(left) = body.breaths.filter(|_| counts) {
            body.breaths = Some(left.saturating_sub(1));
            body.dead |= left == 0;
        }
        let dead = body.dead;
        drop(body);
        if dead {
            // It may have died in a task beside the one that lives as long as it does.
            self.wake();
        }
        dead
    }

    /// Kills it, after so many more breaths or at once.
    pub fn kill(&self, breaths: Option<u32>) {
        let mut body = self.body();
        match breaths {
            Some(_) => body.breaths = breaths,
            None => body.dead = true,
        }
        drop(body);
        self.wake();
    }

    /// Takes back that it is to die later.
    pub fn spare(&self) {
        self.body().breaths = None;
    }

    pub fn freeze(&self, frozen: bool) {
        self.body().frozen = frozen;
        if !frozen {
            self.thawed.notify_waiters();
        }
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = self.body().waker.take() {
            waker.wake();
        }
    }
}

/// A future that lives as long as its engine does; none if that was killed.
pub(super) struct Mortal<'a, S: Simulated, T> {
    pub inner: BoxFuture<'a, T>,
    pub life: Arc<Life<S>>,
}

impl<S: Simulated, T> Future for Mortal<'_, S, T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        {
            let mut body = self.life.body();
            body.waker = Some(cx.waker().clone());
            if body.dead {
                return Poll::Ready(None);
            }
            if body.frozen {
                return Poll::Pending;
            }
        }
        match self.inner.as_mut().poll(cx) {
            Poll::Ready(ended) => Poll::Ready(Some(ended)),
            Poll::Pending if self.life.body().dead => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}
