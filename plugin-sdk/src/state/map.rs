//! One field per entry, for what grows: only the entry in question is read and written.

use std::borrow::Cow;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::field;
use crate::Failure;

/// What stands between the name and the key of an entry.
const SEPARATOR: char = '/';

/// Entries of one type, by text.
///
/// Each is a field `<name>/<key>`, so name and key together have at most 255 bytes. A key may hold `/`; the name of one
/// map must not be the beginning of another's up to a `/`.
#[derive(Debug, Clone)]
pub struct Map<V> {
    name: Cow<'static, str>,
    holds: PhantomData<fn() -> V>,
}

impl<V> Map<V> {
    /// The map of this name.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name: Cow::Borrowed(name), holds: PhantomData }
    }

    /// The map of a name that is made at run time.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: Cow::Owned(name.into()), holds: PhantomData }
    }

    /// The field of one entry.
    fn field(&self, key: &str) -> String {
        let mut field = String::with_capacity(self.name.len() + 1 + key.len());
        field.push_str(&self.name);
        field.push(SEPARATOR);
        field.push_str(key);
        field
    }

    /// Whether there is an entry.
    ///
    /// # Errors
    /// What the engine refuses, see [`Error`](super::Error).
    pub fn contains(&self, key: &str) -> Result<bool, Failure> {
        Ok(super::get(&self.field(key))?.is_some())
    }

    /// Removes an entry; one that there is not is no error.
    ///
    /// # Errors
    /// What the engine refuses, see [`Error`](super::Error).
    pub fn remove(&self, key: &str) -> Result<(), Failure> {
        Ok(super::delete(&self.field(key))?)
    }

    /// The keys, sorted.
    ///
    /// # Errors
    /// What the engine refuses, see [`Error`](super::Error).
    pub fn keys(&self) -> Result<Vec<String>, Failure> {
        let prefix = self.field("");
        let keep = |field: String| field.strip_prefix(&prefix).map(ToOwned::to_owned);
        Ok(super::names(&prefix)?.into_iter().filter_map(keep).collect())
    }

    /// How many entries there are.
    ///
    /// # Errors
    /// What the engine refuses, see [`Error`](super::Error).
    pub fn len(&self) -> Result<usize, Failure> {
        Ok(super::names(&self.field(""))?.len())
    }

    /// Whether there is no entry.
    ///
    /// # Errors
    /// What the engine refuses, see [`Error`](super::Error).
    pub fn is_empty(&self) -> Result<bool, Failure> {
        Ok(self.len()? == 0)
    }

    /// Removes every entry.
    ///
    /// # Errors
    /// What the engine refuses, see [`Error`](super::Error).
    pub fn clear(&self) -> Result<(), Failure> {
        for field in super::names(&self.field(""))? {
            super::delete(&field)?;
        }
        Ok(())
    }
}

impl<V: Serialize + DeserializeOwned> Map<V> {
    /// An entry.
    ///
    /// # Errors
    /// What the engine refuses, see [`Error`](super::Error); a retry if the field holds something else than a `V`.
    pub fn get(&self, key: &str) -> Result<Option<V>, Failure> {
        field::read(&self.field(key))
    }

    /// Sets an entry.
    ///
    /// # Errors
    /// What the engine refuses, see [`Error`](super::Error); a reject if the value has no JSON form.
    pub fn set(&self, key: &str, value: &V) -> Result<(), Failure> {
        field::write(&self.field(key), value)
    }

    /// Changes an entry in place, from the type's default if there is none, and answers what the change answers.
    ///
    /// # Errors
    /// As [`get`](Self::get) and [`set`](Self::set).
    pub fn update<R>(&self, key: &str, change: impl FnOnce(&mut V) -> R) -> Result<R, Failure>
    where
        V: Default,
    {
        let field = self.field(key);
        let mut value = field::read(&field)?.unwrap_or_default();
        let answer = change(&mut value);
        field::write(&field, &value)?;
        Ok(answer)
    }

    /// All entries, sorted by key.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn entries(&self) -> Result<Vec<(String, V)>, Failure> {
        let mut entries = Vec::new();
        for key in self.keys()? {
            if let Some(value) = self.get(&key)? {
                entries.push((key, value));
            }
        }
        Ok(entries)
    }
}

/// Texts, each once.
///
/// Each is a field `<name>/<member>`, so name and member together have at most 255 bytes. A member may hold `/`; the name
/// of one set must not be the beginning of another's up to a `/`.
#[derive(Debug, Clone)]
pub struct Set(Map<bool>);

impl Set {
    /// The set of this name.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self(Map::new(name))
    }

    /// The set of a name that is made at run time.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self(Map::named(name))
    }

    /// Adds a member, and answers whether it is new.
    ///
    /// # Errors
    /// What the engine refuses, see [`Error`](super::Error).
    pub fn insert(&self, member: &str) -> Result<bool, Failure> {
        let new = !self.0.contains(member)?;
        if new {
            self.0.set(member, &true)?;
        }
        Ok(new)
    }

    /// Whether it has this member.
    ///
    /// # Errors
    /// What the engine refuses, see [`Error`](super::Error).
    pub fn contains(&self, member: &str) -> Result<bool, Failure> {
        self.0.contains(member)
    }

    /// Removes a member; one that there is not is no error.
    ///
    /// # Errors
    /// What the engine refuses, see [`Error`](super::Error).
    pub fn remove(&self, member: &str) -> Result<(), Failure> {
        self.0.remove(member)
    }

    /// The members, sorted.
    ///
    /// # Errors
    /// What the engine refuses, see [`Error`](super::Error).
    pub fn members(&self) -> Result<Vec<String>, Failure> {
        self.0.keys()
    }

    /// How many members it has.
    ///
    /// # Errors
    /// What the engine refuses, see [`Error`](super::Error).
    pub fn len(&self) -> Result<usize, Failure> {
        self.0.len()
    }

    /// Whether it has no member.
    ///
    /// # Errors
    /// What the engine refuses, see [`Error`](super::Error).
    pub fn is_empty(&self) -> Result<bool, Failure> {
        self.0.is_empty()
    }

    /// Removes every member.
    ///
    /// # Errors
    /// What the engine refuses, see [`Error`](super::Error).
    pub fn clear(&self) -> Result<(), Failure> {
        self.0.clear()
    }
}
