//! The keys of a partition that have something to do: one lane each, one turn of a lane at a time.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::queued::Queued;
use super::turn::{Held, Tries, Turn};

/// A key that has something to do, or is doing it.
#[derive(Default)]
struct Lane {
    queue: VecDeque<Queued>,
    held: Option<Held>,
    due_by: Option<u64>,
    tries: Tries,
}

/// What a lane brings to its turn.
pub(super) struct Errand {
    pub key: Arc<str>,
    pub queue: VecDeque<Queued>,
    pub held: Option<Held>,
    /// Timers due by this plugin clock are why it has a turn.
    pub due_by: Option<u64>,
    pub tries: Tries,
}

/// The lanes. One that has nothing to do is not there.
#[derive(Default)]
pub(super) struct Lanes {
    lanes: HashMap<Arc<str>, Lane>,
    /// Those that wait for a free place.
    ready: VecDeque<Arc<str>>,
    /// Those that wait for their next try, by when; the number tells two of one moment apart.
    waiting: BTreeMap<(Instant, u64), Arc<str>>,
    waits: u64,
    queued: usize,
}

impl Lanes {
    /// How many events wait or are being handled.
    pub fn queued(&self) -> usize {
        self.queued
    }

    /// How many lanes wait for a place.
    pub fn ready(&self) -> usize {
        self.ready.len()
    }

    /// Whether a key has something to do.
    pub fn has(&self, key: &str) -> bool {
        self.lanes.contains_key(key)
    }

    /// Adds an event.
    pub fn push(&mut self, key: Arc<str>, queued: Queued) {
        self.queued += 1;
        self.lane(key).queue.push_back(queued);
    }

    /// Gives a key a turn for what its record holds.
    pub fn take_up(&mut self, key: Arc<str>, held: Held) {
        self.lane(key).held = Some(held);
    }

    /// Gives a key a turn for its timers, unless it has one anyway: that tells at its end when the next is due.
    pub fn wake(&mut self, key: Arc<str>, due_by: u64) {
        if !self.has(&key) {
            self.lane(key).due_by = Some(due_by);
        }
    }

    fn lane(&mut self, key: Arc<str>) -> &mut Lane {
        self.lanes.entry(key).or_insert_with_key(|key| {
            self.ready.push_back(Arc::clone(key));
            Lane::default()
        })
    }

    /// The lane whose turn it is.
    pub fn next(&mut self) -> Option<Errand> {
        let key = self.ready.pop_front()?;
        let lane = self.lanes.get_mut(&key)?;
        let Lane { queue, held, due_by, tries } = std::mem::take(lane);
        Some(Errand { key, queue, held, due_by, tries })
    }

    /// A turn is over. The record comes back if its key has nothing more to do.
    pub fn finished(&mut self, turn: Turn) -> Option<(Arc<str>, Held)> {
        let Turn { key, held, queue, tries, done, redriven, wait, .. } = turn;
        self.queued -= done.len() + redriven.len();
        let lane = self.lanes.get_mut(&key)?;
        lane.tries = tries;
        for queued in queue.into_iter().rev() {
            lane.queue.push_front(queued);
        }
        // A timer that is tried again has no place in the queue: the lane counts how often.
        if wait.is_zero() && lane.queue.is_empty() && tries.is_fresh() {
            self.lanes.remove(&key);
            return Some((key, held?));
        }
        lane.held = held;
        if wait.is_zero() {
            self.ready.push_back(key);
        } else {
            self.waits += 1;
            self.waiting.insert((Instant::now() + wait, self.waits), key);
        }
        None
    }

    /// Makes those ready whose wait is over.
    pub fn look(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let now = Instant::now();
        while let Some(entry) = self.waiting.first_entry().filter(|entry| entry.key().0 <= now) {
            self.ready.push_back(entry.remove());
        }
    }

    /// How long until the next wait is over.
    pub fn next_look(&self) -> Option<Duration> {
        self.waiting.first_key_value().map(|((at, _), _)| at.duration_since(Instant::now()))
    }
}
