//! Growth, leaks, and what an instance remembers.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Mode, plain};

const MIB: usize = 1_024 * 1_024;

static CALLS: AtomicU64 = AtomicU64::new(0);

pub(crate) const MODES: &[Mode] = &[
    ("memory-bomb", |_| {
        let mut blocks = Vec::new();
        loop {
            blocks.push(black_box(vec![1_u8; MIB]));
        }
    }),
    ("memory-at-once", |_| Ok(vec![plain(black_box(vec![1_u8; 1_024 * MIB]).len().to_string())])),
    // Harmless in a fresh instance, and the end of one that is used again and again.
    ("leak", |_| {
        std::mem::forget(black_box(vec![1_u8; 8 * MIB]));
        Ok(vec![plain("leaked")])
    }),
    ("count-calls", |_| {
        let calls = CALLS.fetch_add(1, Ordering::Relaxed) + 1;
        Ok(vec![plain(calls.to_string())])
    }),
];
