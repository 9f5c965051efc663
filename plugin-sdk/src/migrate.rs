//! State that an older version of the plugin wrote.
//!
//! When a new version takes over, the engine hands each field of a key to the migrate function before the first event or
//! timer of that key. The old record stays until the migrated one is stored; an error keeps the old version in service.
//!
//! ```
//! use wasmill_sdk::{Failure, migrate::{self, Field}};
//! # fn handle(_: wasmill_sdk::RawEvent) {}
//!
//! /// Version 2 keeps cents where version 1 kept an amount.
//! fn migrate(field: Field) -> Result<Option<Vec<u8>>, Failure> {
//!     match (field.name.as_str(), field.from_version.as_str()) {
//!         ("total", "1.0.0") => migrate::json(&(field.json::<f64>()? * 100.0).round()),
//!         ("scratch", _) => migrate::DROP,
//!         _ => field.keep(),
//!     }
//! }
//!
//! wasmill_sdk::plugin!(handle, migrate = migrate);
//! # fn main() {}
//! ```

use serde::{Deserialize, Serialize};

use crate::{Failure, decode};

/// One state field as an older version of the plugin left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The version that wrote it, as its description has it.
    pub from_version: String,
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub value: Vec<u8>,
}

/// What a migrate function answers: the field's new bytes, `None` to delete it, or why it cannot be migrated.
pub type Migrated = Result<Option<Vec<u8>>, Failure>;

/// Deletes the field.
pub const DROP: Migrated = Ok(None);

impl Field {
    /// Decodes the field from JSON.
    ///
    /// # Errors
    /// A reject that says what is wrong and where.
    pub fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Failure> {
        decode::json(&self.value).map_err(|err| {
            let what = format!("state field `{}`", decode::short(&self.name));
            Failure::reject(decode::explain(&what, &self.value, &err))
        })
    }

    /// Leaves the field as it is.
    ///
    /// # Errors
    /// None: the type is that of a migrate function.
    pub fn keep(self) -> Migrated {
        Ok(Some(self.value))
    }
}

/// Sets the field to this value as JSON.
///
/// # Errors
/// A reject if the value has no JSON form.
pub fn json<T: Serialize + ?Sized>(value: &T) -> Migrated {
    Ok(Some(serde_json::to_vec(value)?))
}
