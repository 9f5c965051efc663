//! The last so many values.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Value;
use crate::Failure;

/// Values in order of arrival, at most so many: the oldest leave.
///
/// All of it is one field, read and written as a whole: for hundreds of values, not for thousands.
#[derive(Debug, Clone)]
pub struct List<T> {
    all: Value<Vec<T>>,
    bound: usize,
}

impl<T> List<T> {
    /// The list in the field of this name, which keeps the last `bound` values.
    #[must_use]
    pub const fn new(name: &'static str, bound: usize) -> Self {
        Self { all: Value::new(name), bound }
    }

    /// The list in the field of a name that is made at run time.
    #[must_use]
    pub fn named(name: impl Into<String>, bound: usize) -> Self {
        Self { all: Value::named(name), bound }
    }

    /// The most values it keeps.
    #[must_use]
    pub fn bound(&self) -> usize {
        self.bound
    }

    /// Removes the field: the list is empty.
    ///
    /// # Errors
    /// What the engine refuses, see [`Error`](super::Error).
    pub fn delete(&self) -> Result<(), Failure> {
        self.all.delete()
    }
}

impl<T: Serialize + DeserializeOwned> List<T> {
    /// The values, oldest first.
    ///
    /// # Errors
    /// What the engine refuses, see [`Error`](super::Error); a retry if the field holds something else.
    pub fn get(&self) -> Result<Vec<T>, Failure> {
        Ok(self.all.get()?.unwrap_or_default())
    }

    /// Appends a value, and answers all values, oldest first.
    ///
    /// # Errors
    /// As [`get`](Self::get); a reject if the value has no JSON form.
    pub fn push(&self, value: T) -> Result<Vec<T>, Failure> {
        let mut values = self.get()?;
        values.push(value);
        self.put(values)
    }

    /// Keeps the values of which `keep` says so, and answers them.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn retain(&self, keep: impl FnMut(&T) -> bool) -> Result<Vec<T>, Failure> {
        let mut values = self.get()?;
        let before = values.len();
        values.retain(keep);
        if values.len() == before { Ok(values) } else { self.put(values) }
    }

    /// Sets all values, oldest first; of too many, the last stay.
    ///
    /// # Errors
    /// What the engine refuses, see [`Error`](super::Error); a reject if a value has no JSON form.
    pub fn set(&self, values: Vec<T>) -> Result<(), Failure> {
        self.put(values).map(drop)
    }

    fn put(&self, mut values: Vec<T>) -> Result<Vec<T>, Failure> {
        values.drain(..values.len().saturating_sub(self.bound));
        self.all.set(&values)?;
        Ok(values)
    }
}
