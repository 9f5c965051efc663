//! Read-only reference data, such as block lists and customer tiers, from the tables that the manifest grants by name:
//!
//! ```toml
//! [lookup]
//! tiers = "CUSTOMER_TIERS"   # table = KV bucket
//! ```
//!
//! ```
//! # fn tier(customer: &str) -> Result<String, wasmill_sdk::Failure> {
//! use wasmill_sdk::lookup;
//! let tier: String = lookup::json("tiers", customer)?.unwrap_or_default();
//! # Ok(tier)
//! # }
//! # wasmill_sdk::testing::Test::new().table("tiers", [("c-1", "\"gold\"")]);
//! # assert_eq!((tier("c-1"), tier("c-2")), (Ok("gold".into()), Ok("".into())));
//! ```

use std::fmt;

use serde::de::DeserializeOwned;

use crate::{Failure, decode, host};

/// Why a table cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The manifest grants no table of this name.
    NotGranted {
        /// The table.
        table: String,
    },
    /// It is not loaded yet: the event can be handled later.
    NotReady {
        /// The table.
        table: String,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotGranted { table } => write!(
                f,
                "lookup table `{}` is not granted; name its KV bucket in the [lookup] table of the plugin's manifest",
                decode::short(table)
            ),
            Self::NotReady { table } => {
                write!(f, "lookup table `{}` is not loaded yet", decode::short(table))
            }
        }
    }
}

impl std::error::Error for Error {}

/// The event can be handled once the table is granted or loaded.
impl From<Error> for Failure {
    fn from(err: Error) -> Self {
        Self::retry(err.to_string())
    }
}

/// One row's bytes; `None` if the table has no such row.
///
/// # Errors
/// Any [`Error`].
pub fn get(table: &str, key: &str) -> Result<Option<Vec<u8>>, Error> {
    host::lookup_get(table, key)
}

/// Whether the table has this row.
///
/// # Errors
/// Any [`Error`].
pub fn contains(table: &str, key: &str) -> Result<bool, Error> {
    Ok(get(table, key)?.is_some())
}

/// One row, decoded from JSON; `None` if the table has no such row.
///
/// # Errors
/// Any [`Error`] as a retry; a retry that says what is wrong and where if the row is not what `T` wants, since the row can
/// be corrected.
pub fn json<T: DeserializeOwned>(table: &str, key: &str) -> Result<Option<T>, Failure> {
    let Some(row) = get(table, key)? else { return Ok(None) };
    decode::json(&row).map(Some).map_err(|err| {
        let what = format!("row `{}` of lookup table `{}`", decode::short(key), decode::short(table));
        Failure::retry(decode::explain(&what, &row, &err))
    })
}
