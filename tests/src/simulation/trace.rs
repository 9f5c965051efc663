//! What happened in a run, in order: enough to tell two runs apart and to retell the way of one event.

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::time::Duration;

/// One thing that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Entry {
    /// When, since the run began.
    pub at: Duration,
    /// Which engine did it or had it done to it; 0 if none.
    pub engine: u32,
    /// The sequence of the event that it is about; 0 if none.
    pub input: u64,
    /// What.
    pub what: &'static str,
    /// A number that belongs to it: an attempt, an index, a delay in milliseconds.
    pub number: u64,
}

/// All of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Trace(Vec<Entry>);

impl Trace {
    pub(super) fn push(&mut self, entry: Entry) {
        self.0.push(entry);
    }

    /// How much happened.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing did.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A number that two different traces hardly share. It is the same in every process of one build.
    #[must_use]
    pub fn hash(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.0.hash(&mut hasher);
        hasher.finish()
    }

    /// How often something happened.
    #[must_use]
    pub fn count(&self, what: &str) -> usize {
        self.0.iter().filter(|entry| entry.what == what).count()
    }

    /// One line for each thing that happened. With an input, what happened to it and what happened to no event in
    /// particular; the latter alone if it is 0.
    #[must_use]
    pub fn render(&self, input: Option<u64>) -> String {
        let mut text = String::new();
        let about = |entry: &&Entry| input.is_none_or(|input| entry.input == 0 || entry.input == input);
        for entry in self.0.iter().filter(about) {
            let at = entry.at.as_secs_f64();
            let engine = if entry.engine == 0 { String::new() } else { format!("engine {}", entry.engine) };
            let input = if entry.input == 0 { String::new() } else { format!("event {}", entry.input) };
            // Writing to a string cannot fail.
            let _ok =
                writeln!(text, "  {at:>9.3} s  {engine:<10} {input:<9} {} {}", entry.what, entry.number);
        }
        text
    }
}
