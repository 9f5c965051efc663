//! When events that are tried again failed for the first time, as far as this engine knows.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

/// So many are remembered. An event that failed is either tried again within its backoff or taken by another engine, which
/// leaves its entry behind; past the bound all are forgotten, which costs a dead letter the time of its first failure.
const MOST: usize = 16_384;

/// The times.
#[derive(Debug, Default)]
pub struct Firsts(Mutex<HashMap<String, Timestamp>>);

impl Firsts {
    /// An event failed and will be tried again.
    pub(super) fn failed(&self, input: &str, now: Timestamp) {
        let mut firsts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if firsts.len() >= MOST {
            firsts.clear();
        }
        firsts.entry(input.to_owned()).or_insert(now);
    }

    /// An event has come to its end: when it failed first, if it did before.
    pub(super) fn ended(&self, input: &str) -> Option<Timestamp> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(input)
    }
}
