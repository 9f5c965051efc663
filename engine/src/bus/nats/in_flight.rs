//! What waits for an answer on our one reply inbox: publishes and round trips.
//!
//! One subscription and one table serve all of them, where the client library's own publish costs a timer and a request
//! entry each. A place in the table is a slot; its generation tells a late answer from the next user's.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::{HeaderMap, StatusCode};
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::Instant;

use super::link::lock;

/// What came of a wait.
#[derive(Debug)]
pub(super) enum Answer {
    /// A message came back.
    Message {
        /// Its status, if it is the server's word rather than an answer.
        status: Option<StatusCode>,
        /// Its headers.
        headers: Option<HeaderMap>,
        /// Its payload.
        payload: Bytes,
    },
    /// None came in time.
    TimedOut,
    /// The connection broke off first; the question may have reached the server or not.
    Disconnected,
}

/// The table.
#[derive(Default)]
pub(super) struct InFlight {
    slots: Mutex<Slots>,
}

#[derive(Default)]
struct Slots {
    all: Vec<Slot>,
    free: Vec<u32>,
}

impl Slots {
    /// Ends a wait, if it is not over yet, and lets the next have its place.
    fn take(&mut self, slot: u32, generation: u32) -> Option<Waiting> {
        let place = self.all.get_mut(slot as usize).filter(|place| place.generation == generation)?;
        let waiting = place.waiting.take()?;
        self.free.push(slot);
        Some(waiting)
    }
}

#[derive(Default)]
struct Slot {
    generation: u32,
    waiting: Option<Waiting>,
}

struct Waiting {
    answer: oneshot::Sender<Answer>,
    deadline: Instant,
    /// Given back when the wait is over, even if its asker does not look.
    _permit: Option<OwnedSemaphorePermit>,
}

/// A place in the table, given back when the wait is over or this is dropped.
pub(super) struct Ticket {
    table: Arc<InFlight>,
    slot: u32,
    generation: u32,
    answer: oneshot::Receiver<Answer>,
}

impl InFlight {
    /// Takes a place. Whoever does must hold a permit that bounds how many there are, or hand it over.
    pub(super) fn register(
        self: &Arc<Self>,
        patience: Duration,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Ticket {
        let (sender, answer) = oneshot::channel();
        let waiting = Waiting { answer: sender, deadline: Instant::now() + patience, _permit: permit };
        let mut slots = lock(&self.slots);
        let slot = slots.free.pop().unwrap_or_else(|| {
            slots.all.push(Slot::default());
            // The window is bounded to 65,536, so the count fits.
            u32::try_from(slots.all.len() - 1).unwrap_or(u32::MAX)
        });
        let mut generation = 0;
        if let Some(place) = slots.all.get_mut(slot as usize) {
            place.generation = place.generation.wrapping_add(1);
            place.waiting = Some(waiting);
            generation = place.generation;
        }
        drop(slots);
        Ticket { table: Arc::clone(self), slot, generation, answer }
    }

    /// Hands an answer to whom it belongs. One that nobody waits for any more is dropped: its asker gave up.
    pub(super) fn complete(&self, token: &str, answer: Answer) {
        let Some((slot, generation)) = parse_token(token) else { return };
        let mut slots = lock(&self.slots);
        let waiting = slots.take(slot, generation);
        drop(slots);
        if let Some(waiting) = waiting {
            let _ = waiting.answer.send(answer);
        }
    }

    /// Gives up on whatever is past its deadline.
    pub(super) fn sweep(&self) {
        let now = Instant::now();
        self.end_those(|waiting| waiting.deadline <= now, || Answer::TimedOut);
    }

    /// Gives up on everything: the connection broke off, and answers sent to it are lost.
    pub(super) fn fail_all(&self) {
        self.end_those(|_| true, || Answer::Disconnected);
    }

    fn end_those(&self, doomed: impl Fn(&Waiting) -> bool, answer: impl Fn() -> Answer) {
        let mut ended = Vec::new();
        let mut slots = lock(&self.slots);
        let Slots { all, free } = &mut *slots;
        for (slot, place) in (0..).zip(all) {
            if let Some(waiting) = place.waiting.take_if(|waiting| doomed(waiting)) {
                ended.push(waiting);
                free.push(slot);
            }
        }
        drop(slots);
        for waiting in ended {
            let _ = waiting.answer.send(answer());
        }
    }
}

impl Ticket {
    /// The last token of the subject on which the answer is to come.
    pub(super) fn token(&self) -> String {
        format!("{:x}-{:x}", self.slot, self.generation)
    }

    /// Waits for the answer. May be called again after having been cancelled.
    pub(super) async fn answer(&mut self) -> Answer {
        (&mut self.answer).await.unwrap_or(Answer::Disconnected)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let given_up = lock(&self.table.slots).take(self.slot, self.generation);
        // Its end may wake who waits for the permit, so the table is not held meanwhile.
        drop(given_up);
    }
}

fn parse_token(token: &str) -> Option<(u32, u32)> {
    let (slot, generation) = token.split_once('-')?;
    Some((u32::from_str_radix(slot, 16).ok()?, u32::from_str_radix(generation, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Answer {
        Answer::Message { status: None, headers: None, payload: Bytes::new() }
    }

    #[tokio::test(start_paused = true)]
    async fn answers_reach_their_asker_only() {
        let table = Arc::new(InFlight::default());
        let mut first = table.register(Duration::from_secs(1), None);
        let mut second = table.register(Duration::from_secs(2), None);
        table.complete(&second.token(), message());
        assert!(matches!(second.answer().await, Answer::Message { .. }));
        tokio::time::advance(Duration::from_secs(1)).await;
        table.sweep();
        assert!(matches!(first.answer().await, Answer::TimedOut));
    }

    #[tokio::test]
    async fn a_late_answer_does_not_reach_the_next_user_of_the_slot() {
        let table = Arc::new(InFlight::default());
        let old = table.register(Duration::from_secs(1), None).token();
        let mut next = table.register(Duration::from_secs(1), None);
        assert_eq!(lock(&table.slots).all.len(), 1, "the slot was given back");
        table.complete(&old, message());
        table.complete("junk", message());
        table.complete("ffffffff-1", message());
        table.fail_all();
        assert!(matches!(next.answer().await, Answer::Disconnected));
    }

    #[tokio::test]
    async fn a_place_is_free_when_the_wait_is_over_and_not_again_later() {
        let table = Arc::new(InFlight::default());
        let window = Arc::new(tokio::sync::Semaphore::new(1));
        let permit = Arc::clone(&window).try_acquire_owned().unwrap();
        let mut answered = table.register(Duration::from_secs(1), Some(permit));
        assert_eq!(window.available_permits(), 0);
        table.complete(&answered.token(), message());
        assert_eq!(window.available_permits(), 1, "although nobody has looked yet");
        let mut next = table.register(Duration::from_secs(1), None);
        assert!(matches!(answered.answer().await, Answer::Message { .. }));
        drop(answered);
        let other = table.register(Duration::from_secs(1), None);
        assert_ne!(next.token().split('-').next(), other.token().split('-').next());
        table.complete(&next.token(), message());
        assert!(matches!(next.answer().await, Answer::Message { .. }));
    }
}
