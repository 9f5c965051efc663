//! One value, and a number that is counted up.

use std::borrow::Cow;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::field;
use crate::Failure;

/// One field of any type that serde writes to JSON and reads from it.
#[derive(Debug, Clone)]
pub struct Value<T> {
    name: Cow<'static, str>,
    holds: PhantomData<fn() -> T>,
}

impl<T> Value<T> {
    /// The field of this name.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name: Cow::Borrowed(name), holds: PhantomData }
    }

    /// The field of a name that is made at run time.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: Cow::Owned(name.into()), holds: PhantomData }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Removes it.
    ///
    /// # Errors
    /// What the engine refuses, see [`Error`](super::Error).
    pub fn delete(&self) -> Result<(), Failure> {
        Ok(super::delete(&self.name)?)
    }
}

impl<T: Serialize + DeserializeOwned> Value<T> {
    /// The value; `None` if it was never set or is deleted.
    ///
    /// # Errors
    /// What the engine refuses, see [`Error`](super::Error); a retry if the field holds something else than a `T`.
    pub fn get(&self) -> Result<Option<T>, Failure> {
        field::read(&self.name)
    }

    /// Sets it.
    ///
    /// # Errors
    /// What the engine refuses, see [`Error`](super::Error); a reject if the value has no JSON form.
    pub fn set(&self, value: &T) -> Result<(), Failure> {
        field::write(&self.name, value)
    }

    /// Sets it, and answers what it was.
    ///
    /// # Errors
    /// As [`get`](Self::get) and [`set`](Self::set).
    pub fn replace(&self, value: &T) -> Result<Option<T>, Failure> {
        let before = self.get()?;
        self.set(value)?;
        Ok(before)
    }

    /// Removes it, and answers what it was.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn take(&self) -> Result<Option<T>, Failure> {
        let before = self.get()?;
        if before.is_some() {
            self.delete()?;
        }
        Ok(before)
    }

    /// Changes it in place, from the type's default if it is not set, and answers what the change answers.
    ///
    /// # Errors
    /// As [`get`](Self::get) and [`set`](Self::set).
    pub fn update<R>(&self, change: impl FnOnce(&mut T) -> R) -> Result<R, Failure>
    where
        T: Default,
    {
        let mut value = self.get()?.unwrap_or_default();
        let answer = change(&mut value);
        self.set(&value)?;
        Ok(answer)
    }
}

/// One whole number; 0 if it was never set.
#[derive(Debug, Clone)]
pub struct Counter(Value<i64>);

impl Counter {
    /// The counter in the field of this name.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self(Value::new(name))
    }

    /// The counter in the field of a name that is made at run time.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self(Value::named(name))
    }

    /// Its number.
    ///
    /// # Errors
    /// What the engine refuses, see [`Error`](super::Error); a retry if the field holds something else.
    pub fn get(&self) -> Result<i64, Failure> {
        Ok(self.0.get()?.unwrap_or_default())
    }

    /// Adds to it, and answers the new number.
    ///
    /// # Errors
    /// As [`get`](Self::get); a reject if the sum does not fit an `i64`.
    pub fn add(&self, amount: i64) -> Result<i64, Failure> {
        let sum = self.get()?.checked_add(amount).ok_or_else(|| {
            Failure::reject(format!("counter `{}`: adding {amount} overflows", self.0.name()))
        })?;
        self.0.set(&sum)?;
        Ok(sum)
    }

    /// Sets its number.
    ///
    /// # Errors
    /// What the engine refuses, see [`Error`](super::Error).
    pub fn set(&self, number: i64) -> Result<(), Failure> {
        self.0.set(&number)
    }

    /// Removes the field: the counter is 0.
    ///
    /// # Errors
    /// What the engine refuses, see [`Error`](super::Error).
    pub fn delete(&self) -> Result<(), Failure> {
        self.0.delete()
    }
}
