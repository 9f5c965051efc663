//! The tokens that end badly, and what is printed.
#![expect(clippy::panic, clippy::print_stdout, reason = "the suite looks at what comes of it")]

use std::hint::black_box;
use std::time::Duration;

use wasmill_sdk::{Failure, Output, reject, retry};

use crate::{Answer, unknown};

const MIB: usize = 1_024 * 1_024;

pub fn of(token: &str) -> Answer {
    match token {
        "retry" => Err(Failure::retry_after(Duration::from_millis(1_500), "not yet: ü")),
        "retry-default" => retry("whenever"),
        "reject" => reject("never: ü"),
        "raise" => explode(),
        "trap" => trap(),
        "loop" => loop {
            black_box(());
        },
        "hog" => hog(),
        "deep" => Ok(vec![Output::bytes("conformance.out", deeper(1).to_string())]),
        _ => unknown(token),
    }
}

pub fn print() -> Vec<Output> {
    println!("printed ü");
    Vec::new()
}

#[inline(never)]
fn explode() -> ! {
    panic!("boom")
}

fn trap() -> ! {
    std::process::abort()
}

fn hog() -> ! {
    let mut blocks = Vec::new();
    loop {
        blocks.push(black_box(vec![1_u8; MIB]));
    }
}

/// Every frame holds something that the next one needs, so that none can be left out.
#[inline(never)]
fn deeper(n: u64) -> u64 {
    let frame = black_box([n; 16]);
    if n == 0 { 0 } else { deeper(n.wrapping_add(1)).wrapping_add(frame.iter().sum()) }
}
