//! Events for the guest `ledger`, and somebody who publishes them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Result, anyhow};
use fastrand::Rng;
use wasmill_tests::checker::client::Client;
use wasmill_tests::checker::ledger::{Book, Entry, Fails};

/// Of a hundred events, so many are those of one key, whose events queue up.
const HOT: u32 = 5;
/// How long after its event a timer is due that fires, in milliseconds.
const SHORT_MS: std::ops::Range<u64> = 100..3_000;
/// The same for a timer that is cancelled or set anew before: it must not come to that.
const LONG_MS: u64 = 3_600_000;
/// Events that are published at once.
const BATCH: usize = 100;
/// The pause before somebody looks whether more is wanted.
const LOOK: Duration = Duration::from_millis(5);

/// Events without end, the same for the same seed.
pub struct Entries {
    rng: Rng,
    keys: u32,
    next: u64,
    /// Timers that are to be cancelled or set anew, by key.
    open: HashMap<String, Vec<String>>,
}

impl Entries {
    pub fn new(rng: Rng, keys: u32) -> Self {
        Self { rng, keys, next: 0, open: HashMap::new() }
    }

    fn entry(&mut self) -> Entry {
        let rng = &mut self.rng;
        let key = if rng.u32(..100) < HOT { "hot".to_owned() } else { format!("k.{}", rng.u32(..self.keys)) };
        let outputs = match rng.u32(..100) {
            0..8 => 0,
            8..88 => 1,
            _ => rng.u32(2..=4),
        };
        let fails = match rng.u32(..200) {
            0..2 => Some(Fails::Reject),
            2..4 => Some(Fails::Retry),
            4..5 => Some(Fails::Trap),
            _ => None,
        };
        let (n, nothing) = (self.next, rng.u32(..100) < 2);
        self.next += 1;
        let mut entry = Entry { n, key, outputs, fails, until: 2, nothing, ..Entry::default() };
        if entry.is_counted() {
            self.timers(&mut entry);
        }
        entry
    }

    fn timers(&mut self, entry: &mut Entry) {
        let rng = &mut self.rng;
        let n = entry.n;
        let open = self.open.entry(entry.key.clone()).or_default();
        if !open.is_empty() && rng.bool() {
            let name = open.swap_remove(rng.usize(..open.len()));
            if rng.bool() {
                entry.set.push((name, rng.u64(SHORT_MS)));
            } else {
                entry.cancel.push(name);
            }
        }
        match rng.u32(..100) {
            0..10 => entry.set.push((format!("s{n}"), rng.u64(SHORT_MS))),
            10..14 => {
                entry.set.push((format!("l{n}"), LONG_MS));
                open.push(format!("l{n}"));
            }
            _ => {}
        }
    }

    /// Events that cancel what must not be left.
    fn ending(&mut self) -> Vec<Entry> {
        let mut open: Vec<_> = self.open.drain().filter(|(_, names)| !names.is_empty()).collect();
        open.sort();
        let first = self.next;
        self.next += open.len() as u64;
        let cancels = |(n, (key, cancel)): (u64, _)| Entry { n, key, cancel, outputs: 1, ..Entry::default() };
        (first..).zip(open).map(cancels).collect()
    }
}

/// Somebody who publishes as much as is granted, on a thread of their own.
pub struct Publisher {
    thread: JoinHandle<Result<Book>>,
    granted: Arc<AtomicUsize>,
    ends: Arc<AtomicBool>,
}

impl Publisher {
    pub fn start(url: String, subject: String, mut entries: Entries) -> Self {
        let (granted, ends) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (told, over) = (Arc::clone(&granted), Arc::clone(&ends));
        let thread = std::thread::spawn(move || {
            let mut client = Client::connect(&[url])?;
            let mut book = Book::default();
            loop {
                let wanted = told.load(Ordering::Relaxed).saturating_sub(book.entries.len()).min(BATCH);
                if wanted > 0 {
                    let batch: Vec<_> = (0..wanted).map(|_| entries.entry()).collect();
                    book.publish(&mut client, &subject, &batch)?;
                } else if over.load(Ordering::Relaxed) {
                    break;
                } else {
                    std::thread::sleep(LOOK);
                }
            }
            book.publish(&mut client, &subject, &entries.ending())?;
            Ok(book)
        });
        Self { thread, granted, ends }
    }

    /// So many more may be published.
    pub fn grant(&self, events: usize) {
        self.granted.fetch_add(events, Ordering::Relaxed);
    }

    /// Waits until all that was granted is published.
    pub fn finish(self) -> Result<Book> {
        self.ends.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the publisher panicked"))?
    }
}
