//! What is stored for the event's key.
//!
//! A plugin whose manifest has a `key` keeps named fields for each key. A call sees the fields of its own key and of no
//! other; what it changes takes effect together with its outputs, or not at all, and exactly once per event.
//!
//! The typed fields are made once, as constants, and are names only: each method reads or writes the store.
//!
//! ```
//! use wasmill_sdk::state::{Counter, List, Map, Set, Value};
//!
//! const SEEN: Counter = Counter::new("seen");
//! const LAST: Value<f64> = Value::new("last");
//! const RECENT: List<f64> = List::new("recent", 100);
//! const BY_SHOP: Map<f64> = Map::new("by-shop");
//! const CARDS: Set = Set::new("cards");
//!
//! fn note(amount: f64, shop: &str, card: &str) -> Result<(), wasmill_sdk::Failure> {
//!     SEEN.add(1)?;
//!     LAST.set(&amount)?;
//!     RECENT.push(amount)?;
//!     BY_SHOP.update(shop, |total| *total += amount)?;
//!     CARDS.insert(card)?;
//!     Ok(())
//! }
//! # wasmill_sdk::testing::Test::new().key();
//! # note(2.5, "s", "x").unwrap();
//! # assert_eq!(wasmill_sdk::state::get("by-shop/s").unwrap().unwrap(), b"2.5");
//! ```
//!
//! | type | as it is stored |
//! |---|---|
//! | [`Value`] | one field of JSON |
//! | [`Counter`] | one field, a JSON integer |
//! | [`List`] | one field, a JSON array |
//! | [`Map`] | a field `<name>/<key>` of JSON per entry |
//! | [`Set`] | a field `<name>/<member>` of `true` per member |
//! | [`sketch`](crate::sketch) in a [`Value`] | one field of JSON, its binary part in Base64 |
//!
//! Names are 1 to 256 bytes. All fields and timers of a key together have a limit, `record_kib` of the manifest.

mod field;
mod list;
mod map;
mod value;

#[cfg(test)]
mod tests;

use std::fmt;

use crate::{Failure, host};

pub use list::List;
pub use map::{Map, Set};
pub use value::{Counter, Value};

/// Why the engine refused to read or write a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The plugin has no key, so it has no state.
    NoKey,
    /// With this field, the key's record would pass its limit.
    TooLarge {
        /// The field.
        name: String,
        /// The limit, in bytes.
        limit_bytes: u64,
    },
    /// The name is empty or over 256 bytes.
    BadName {
        /// The name.
        name: String,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKey => {
                f.write_str("the plugin has no key, so it has no state; set `key` in the plugin's manifest")
            }
            Self::TooLarge { name, limit_bytes } => write!(
                f,
                "with state field `{}` the key's record would pass its limit of {limit_bytes} bytes; raise \
                 `record_kib` in the [state] table of the plugin's manifest, or keep less",
                crate::decode::short(name)
            ),
            Self::BadName { name } => {
                write!(f, "a state field's name has 1 to 256 bytes, not {}", name.len())
            }
        }
    }
}

impl std::error::Error for Error {}

/// A missing key is the manifest's fault, so the event can be handled once that is corrected; the rest does not get
/// better by waiting.
impl From<Error> for Failure {
    fn from(err: Error) -> Self {
        match err {
            Error::NoKey => Self::retry(err.to_string()),
            Error::TooLarge { .. } | Error::BadName { .. } => Self::reject(err.to_string()),
        }
    }
}

/// One field's bytes; `None` if it is not set.
///
/// # Errors
/// [`Error::NoKey`], [`Error::BadName`].
pub fn get(name: &str) -> Result<Option<Vec<u8>>, Error> {
    host::state_get(name)
}

/// Sets one field to these bytes.
///
/// # Errors
/// Any [`Error`]; the field is then as it was.
pub fn set(name: &str, value: impl AsRef<[u8]>) -> Result<(), Error> {
    host::state_set(name, value.as_ref())
}

/// Removes one field; one that is not set is no error.
///
/// # Errors
/// [`Error::NoKey`], [`Error::BadName`].
pub fn delete(name: &str) -> Result<(), Error> {
    host::state_delete(name)
}

/// The names of the fields that begin with `prefix`, sorted; all fields for an empty prefix.
///
/// # Errors
/// [`Error::NoKey`].
pub fn names(prefix: &str) -> Result<Vec<String>, Error> {
    host::state_names(prefix)
}
