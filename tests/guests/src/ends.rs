//! Traps, exits, retries and rejections.

use crate::bindings::wasmill::plugin::types::Retry;
use crate::{Answer, Failure, Mode, setting};

pub(crate) const MODES: &[Mode] = &[
    ("panic", |_| panic!("on purpose")),
    ("unreachable", |_| std::arch::wasm32::unreachable()),
    ("abort", |_| std::process::abort()),
    ("exit", |_| std::process::exit(setting("status").parse().unwrap_or_default())),
    ("retry", |_| retry(setting("after_ms").parse().ok())),
    ("retry-in-an-age", |_| retry(Some(u64::MAX))),
    ("reject", |_| Err(Failure::Reject(setting("reason")))),
    ("reject-at-length", |_| Err(Failure::Reject("no ".repeat(10 * 1_024 * 1_024 / 3)))),
];

fn retry(after_ms: Option<u64>) -> Answer {
    Err(Failure::Retry(Retry { after_ms, reason: "on purpose".to_owned() }))
}
