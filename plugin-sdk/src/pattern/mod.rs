//! Patterns of events: sequences, repetitions, events that fail to come, all within a time.
//!
//! ```
//! use std::time::Duration;
//! use wasmill_sdk::pattern::{Pattern, Skip, State};
//!
//! #[derive(Clone, serde::Serialize, serde::Deserialize)]
//! struct Login {
//!     ok: bool,
//! }
//!
//! const MINUTE: u64 = 60_000_000_000;
//!
//! let guessed = Pattern::begin("failed", |login: &Login, _| !login.ok)
//!     .at_least(3)
//!     .consecutive()
//!     .greedy()
//!     .next("passed", |login, _| login.ok)
//!     .within(Duration::from_secs(600))
//!     .skip(Skip::PastLast);
//!
//! let mut state = State::default();
//! for minute in 0..4 {
//!     assert!(guessed.advance(&mut state, Login { ok: false }, minute * MINUTE)?.matches.is_empty());
//! }
//! assert_eq!(guessed.due(&state), Some(10 * MINUTE));
//! let step = guessed.advance(&mut state, Login { ok: true }, 5 * MINUTE)?;
//! assert_eq!(step.matches[0].all("failed").count(), 4);
//! # Ok::<(), wasmill_sdk::pattern::Error>(())
//! ```
//!
//! Conditions are code; what is remembered between events is a [`State`], plain data of one key. The pattern's clock is
//! whatever the caller passes: [`Pattern::advance`] takes an event and its time, [`Pattern::due`] says when a timer is
//! needed, [`Pattern::on_time`] is that timer. What every word means, to the last tie, is in `PATTERNS.md` beside this
//! crate; `tests/vectors/patterns.json` has the cases that every language runs.
//!
//! # Map
//!
//! - `define`: the words of the author. No meaning here.
//! - `check`: which patterns mean something, and which states belong to them.
//! - `ways`: how a match can go on from where it stands.
//! - `advance`: one step. The state changes only if all of it succeeds.
//! - `skip`: which matches are reported and what they end.
//! - `state`, `found`: the stored form, and what the author gets.
//! - `kept`: the one room that knows the engine's state and timers.

mod advance;
mod check;
mod define;
mod found;
mod kept;
mod skip;
mod state;
mod ways;

pub use check::Error;
pub use define::{Pattern, Skip};
pub use found::{Found, Seen, Step, Taken};
pub use kept::Kept;
pub use state::State;
