//! Approximate answers in little space: how many different, and how large at which rank.
//!
//! Both are plain values that serde writes and reads, for a [`state::Value`](crate::state::Value) or inside a type of your
//! own. Their JSON holds what people ask for beside the sketch itself, in Base64, in the format that the Apache DataSketches
//! libraries of other languages read.
//!
//! That is what they are for: a plugin in Rust whose sketches something outside of Wasmill shall read. In all other cases
//! take [`aggregate::Distinct`](crate::aggregate::Distinct) and [`aggregate::Quantile`](crate::aggregate::Quantile): they
//! stand in windows, and a plugin in another language goes on with their state. There are two families since no one format
//! is both.
//!
//! ```
//! use wasmill_sdk::sketch::{Distinct, Quantiles};
//! use wasmill_sdk::state::Value;
//!
//! const TERMINALS: Value<Distinct> = Value::new("terminals");
//! const AMOUNTS: Value<Quantiles> = Value::new("amounts");
//!
//! fn unusual(terminal: &str, amount: f64) -> Result<bool, wasmill_sdk::Failure> {
//!     let terminals = TERMINALS.update(|seen| { seen.insert(terminal); seen.count() })?;
//!     let usual = AMOUNTS.update(|amounts| { amounts.insert(amount); amounts.at(0.99) })?;
//!     Ok(terminals > 50 || Some(amount) > usual)
//! }
//! # wasmill_sdk::testing::Test::new().key();
//! # assert_eq!(unusual("t", 1.0), Ok(false));
//! ```

mod distinct;
mod quantiles;
#[cfg(test)]
mod tests;

pub use distinct::Distinct;
pub use quantiles::Quantiles;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};

/// Writes bytes as Base64.
fn to_text<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(bytes))
}

/// Reads bytes from Base64.
fn from_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    STANDARD.decode(String::deserialize(deserializer)?).map_err(D::Error::custom)
}
