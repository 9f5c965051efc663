//! Calls that do not end by themselves.

use std::hint::black_box;
use std::time::{Duration, SystemTime};

use crate::{Mode, clock, config, plain};

pub(crate) const MODES: &[Mode] = &[
    ("endless-loop", |_| {
        loop {
            black_box(());
        }
    }),
    ("endless-host-calls", |_| {
        loop {
            black_box(clock::now());
        }
    }),
    ("endless-copies", |_| {
        loop {
            black_box(config::json());
        }
    }),
    ("endless-wasi-calls", |_| {
        loop {
            let _ = black_box(SystemTime::now());
        }
    }),
    // One instruction that takes long: the engine can only interrupt between two.
    ("endless-fill", |_| {
        let mut block = vec![0_u8; 32 * 1_024 * 1_024];
        let mut value = 0_u8;
        loop {
            value = value.wrapping_add(1);
            black_box(&mut block).fill(value);
        }
    }),
    ("deep-recursion", |_| Ok(vec![plain(depth(1, black_box(0)).to_string())])),
    ("deep-frames", |_| Ok(vec![plain(frames(1).to_string())])),
    ("sleep", |_| {
        std::thread::sleep(Duration::from_secs(3_600));
        Ok(vec![plain("slept")])
    }),
    ("endless-sleep", |_| {
        loop {
            std::thread::sleep(Duration::from_secs(3_600));
        }
    }),
];

/// Recurses with values in registers only, so that it is the engine's stack that ends.
#[inline(never)]
fn depth(n: u64, bottom: u64) -> u64 {
    if n == bottom { 0 } else { depth(n.wrapping_add(1), bottom).wrapping_mul(3) ^ n }
}

/// Recurses with a large frame in memory, so that it is the guest's own stack that ends.
#[inline(never)]
fn frames(n: u64) -> u64 {
    let frame = black_box([n; 512]);
    if n == 0 { 0 } else { frames(n.wrapping_add(1)).wrapping_add(frame.iter().sum::<u64>()) }
}
