//! Reference data for guests: read-only tables, granted by name.

use std::fmt::Debug;

use bytes::Bytes;

/// Why a table cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// The manifest grants no table of this name.
    #[error("the manifest grants no table of this name")]
    NotGranted,
    /// The table is not loaded yet.
    #[error("the table is not loaded yet")]
    NotReady,
}

/// The tables of one plugin. A guest waits for the answer, so it must come from memory.
pub trait Tables: Debug + Send + Sync {
    /// One row of a table; none if it has no such row.
    ///
    /// # Errors
    /// If the table is not granted, or not loaded yet.
    fn get(&self, table: &str, key: &str) -> Result<Option<Bytes>, LookupError>;
}

/// The tables of a plugin that is granted none.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoTables;

impl Tables for NoTables {
    fn get(&self, _table: &str, _key: &str) -> Result<Option<Bytes>, LookupError> {
        Err(LookupError::NotGranted)
    }
}
