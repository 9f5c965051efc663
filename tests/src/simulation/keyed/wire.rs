//! One connection of an engine to the bus: what is posted on it arrives in order, or not at all.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wasmill::bus::{BusError, Confirmation, Stored};

use super::super::plan::LONGEST_WAY;
use super::super::weather::Told;
use super::line::Line;
use super::plan::Fault;

/// Of the messages that must all arrive, so many meet with faults.
const AMONG_MANY: f64 = 0.01;

/// What stores a message when it arrives.
pub(super) type Arrival = BoxFuture<'static, Result<Stored, BusError>>;

struct Parcel {
    at: Instant,
    lost: bool,
    arrival: Arrival,
    answer: oneshot::Sender<Result<Stored, BusError>>,
}

/// The connection.
pub(super) struct Wire {
    /// Its number among those of its engine.
    pub number: u64,
    parcels: mpsc::UnboundedSender<Parcel>,
    /// Cancelled when it breaks.
    broken: CancellationToken,
    /// How many parcels still arrive once it is broken.
    arrive: Arc<Mutex<Option<usize>>>,
    last: Mutex<Instant>,
}

impl Wire {
    /// A connection, whose far end goes on for as long as something is under way.
    pub fn new(number: u64) -> Arc<Self> {
        let (parcels, mut arriving) = mpsc::unbounded_channel::<Parcel>();
        let arrive = Arc::new(Mutex::new(None::<usize>));
        let left = Arc::clone(&arrive);
        tokio::spawn(async move {
            while let Some(parcel) = arriving.recv().await {
                tokio::time::sleep_until(parcel.at).await;
                {
                    let mut left = left.lock().unwrap_or_else(PoisonError::into_inner);
                    match left.as_mut() {
                        Some(0) => return,
                        Some(left) => *left -= 1,
                        None => {}
                    }
                }
                if !parcel.lost {
                    // Whoever sent it may be dead.
                    let _heard = parcel.answer.send(parcel.arrival.await);
                }
            }
        });
        let (broken, last) = (CancellationToken::new(), Mutex::new(Instant::now()));
        Arc::new(Self { number, parcels, broken, arrive, last })
    }

    /// Breaks it.
    pub fn cut(&self, arrive: usize) {
        *self.arrive.lock().unwrap_or_else(PoisonError::into_inner) = Some(arrive);
        self.broken.cancel();
    }

    /// Sends something behind all that was sent before. `one_of_many` must all arrive for any to be of use: faults are rare
    /// among them.
    pub fn send(&self, line: &Line, arrival: Arrival, one_of_many: bool) -> Confirmation {
        let world = &line.world;
        let now = Instant::now();
        let strikes =
            |fault| (!one_of_many || world.chance(|rng| rng.f64() < AMONG_MANY)) && world.strikes(fault);
        let slow = || if strikes(Fault::Slow) { world.delay() } else { Duration::ZERO };
        let (there, back) = (slow(), slow());
        let (lost, unheard) = (strikes(Fault::PostLost), strikes(Fault::AnswerLost));
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let at = (now + there).max(*last);
        *last = at;
        drop(last);
        let (answer, answered) = oneshot::channel();
        // The far end is there until this end is gone, unless it is broken: then nobody waits for an answer.
        let _sent = self.parcels.send(Parcel { at, lost, arrival, answer });
        let (line, broken) = (line.clone(), self.broken.clone());
        let confirmed = async move {
            if lost || unheard {
                tokio::time::sleep_until(now + LONGEST_WAY).await;
                drop(answered);
                return Err(Told::TimedOut.error("post"));
            }
            let answer = answered.await.unwrap_or(Err(Told::Disconnected.error("post")));
            tokio::time::sleep_until(at + back).await;
            answer
        };
        let confirmation = async move {
            let answer = tokio::select! {
                biased;
                () = broken.cancelled() => Err(Told::Disconnected.error("post")),
                answer = tokio::time::timeout_at(now + LONGEST_WAY * 2, confirmed) => {
                    answer.unwrap_or(Err(Told::TimedOut.error("post")))
                }
            };
            line.life.stand(&line.world, !one_of_many).await;
            if answer.is_err() {
                line.note(0, "  a post is told of an error", 0);
            }
            answer
        };
        confirmation.boxed()
    }
}
