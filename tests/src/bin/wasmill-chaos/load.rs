//! Which events a run publishes, and how fast.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Result, anyhow};
use fastrand::Rng;
use wasmill_tests::checker::client::Client;
use wasmill_tests::checker::history::History;
use wasmill_tests::checker::model::{Ask, Expected, Fails};

/// Keys among the events.
const KEYS: u32 = 10;
/// Of a hundred events, so many take some milliseconds, so that a fault finds some at work.
const SLOW: u32 = 3;
/// The longest text that an output must bring back, in characters.
const MAX_ECHO: usize = 200;
/// What the texts are made of: plain, quoted in JSON, and of several bytes.
const ALPHABET: [char; 8] = ['a', 'Z', '7', ' ', '"', '\\', 'ß', '☃'];

/// Events without end, the same for the same seed.
#[derive(Clone)]
pub struct Load {
    rng: Rng,
    next: u64,
}

impl Load {
    pub fn new(rng: Rng) -> Self {
        Self { rng, next: 0 }
    }

    /// One in five goes wrong in some way, most have one output or a few, some none and some many.
    fn ask(&mut self) -> Ask {
        let rng = &mut self.rng;
        let fails = match rng.u32(..100) {
            0..4 => Fails::Rejects,
            4..8 => Fails::AlwaysTraps,
            8..14 => Fails::RetriesUntil(rng.u32(2..=3)),
            14..18 => Fails::TrapsUntil(rng.u32(2..=3)),
            18..20 => Fails::Strays,
            _ => Fails::Never,
        };
        let outputs = match rng.u32(..100) {
            0..10 => 0,
            10..55 => 1,
            55..90 => rng.u32(2..=4),
            _ => rng.u32(5..=20),
        };
        let echo = (0..rng.usize(..MAX_ECHO)).filter_map(|_| rng.choice(ALPHABET)).collect();
        let work_ms = if rng.u32(..100) < SLOW { rng.u32(2..=15) } else { 0 };
        let (id, key) = (self.next, rng.u32(..KEYS));
        self.next += 1;
        Ask { id, key, outputs, fails, work_ms, echo }
    }
}

impl Iterator for Load {
    type Item = Ask;

    fn next(&mut self) -> Option<Ask> {
        Some(self.ask())
    }
}

/// What a list of events must come to, for whoever wants to hit one of them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sums {
    pub events: u64,
    pub handled: u64,
    pub outputs: u64,
    pub retried: u64,
    pub letters: u64,
}

impl Sums {
    pub fn of(asks: &[Ask]) -> Self {
        let mut sums = Self { events: asks.len() as u64, ..Self::default() };
        for ask in asks {
            match ask.expected() {
                Expected::Outputs(count) => {
                    sums.handled += 1;
                    sums.outputs += u64::from(count);
                    sums.retried += u64::from(ask.fails != Fails::Never);
                }
                Expected::DeadLetter(_) => sums.letters += 1,
            }
        }
        sums
    }
}

/// How events are published: so many at once, then a pause.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    pub batch: usize,
    pub pause: Duration,
}

/// Somebody who publishes, on a thread of their own.
pub struct Publisher {
    thread: JoinHandle<Result<History>>,
    enough: Arc<AtomicBool>,
}

impl Publisher {
    /// Publishes at least `least` events, and more until it is enough: whatever is done meanwhile is done under load.
    pub fn start(urls: Vec<String>, subject: String, mut load: Load, least: usize, pace: Pace) -> Self {
        let enough = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&enough);
        let thread = std::thread::spawn(move || {
            let mut client = Client::connect(&urls)?;
            let mut history = History::default();
            while history.events().len() < least || !told.load(Ordering::Relaxed) {
                let batch: Vec<Ask> = load.by_ref().take(pace.batch).collect();
                history.publish(&mut client, &subject, &batch)?;
                std::thread::sleep(pace.pause);
            }
            Ok(history)
        });
        Self { thread, enough }
    }

    /// It is enough, once there are as many as there must be.
    pub fn enough(&self) {
        self.enough.store(true, Ordering::Relaxed);
    }

    /// Waits for the end.
    pub fn finish(self) -> Result<History> {
        self.thread.join().map_err(|_| anyhow!("the publisher panicked"))?
    }
}
