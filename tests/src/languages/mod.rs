//! The conformance suite: one plugin, written in every language as `tests/languages/README.md` says, and one table of
//! checks that the engine makes of each. What comes of it is a [`Matrix`] of languages and checks.
//!
//! - [`rows`]: the languages, with what each cannot do and why.
//! - [`checks`]: what is asked of each: events, and what must come of them. A new part of the contract is one more check.
//! - [`turn`]: events of one key that are handed over together.
//! - [`play`]: hands the events of a check to a plugin and compares.
//! - [`compare`]: what is said of a difference.
//! - [`loaded`]: a language's plugin in a sandbox, as an engine would load it.
//! - [`matrix`]: the results, as text.

pub mod checks;
pub mod compare;
pub mod loaded;
pub mod matrix;
pub mod play;
pub mod rows;
pub mod turn;

use std::sync::Arc;

use anyhow::Result;
use wasmill::sandbox::Sandbox;

pub use matrix::{Matrix, Verdict};
pub use rows::{ROWS, Row};

/// Makes every check of every one of these languages.
///
/// # Errors
/// If a plugin was not built. One that the engine refuses fails all its checks instead.
pub async fn run(sandbox: &Arc<Sandbox>, rows: &[&'static Row]) -> Result<Matrix> {
    let mut matrix = Matrix::default();
    for row in rows {
        let mut loaded = loaded::Loaded::new(sandbox, row)?;
        let mut verdicts = Vec::with_capacity(checks::CHECKS.len());
        for check in checks::CHECKS {
            verdicts.push(play::check(&mut loaded, check).await);
        }
        matrix.rows.push((row, verdicts));
    }
    Ok(matrix)
}
