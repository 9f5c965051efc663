//! What one key of a plugin holds: fields and timers, with their size.
//!
//! A handler works on a [`Draft`], so that a call which fails leaves the state as it was.

mod draft;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

pub use draft::{BadName, Draft, Oversize, Refused, TimerRefused};

use crate::limits::{FIELD_COST_BYTES, MAX_STATE_NAME_BYTES, TIMER_COST_BYTES};

/// Bounds of one key's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateLimits {
    /// Bytes of fields and timers together, as [`KeyState::bytes`] counts them.
    pub record_bytes: usize,
    /// Timers that may be set at once.
    pub timers: u32,
}

/// A timer that is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timer {
    /// When it is due on the plugin clock, nanoseconds since the Unix epoch.
    pub due_ns: u64,
    /// What the plugin stored with it.
    pub data: Bytes,
    /// The number of this setting among all that this key has ever had, from 1: two timers of one name differ in it.
    pub setting: u64,
}

/// One change that a handler makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Sets a field.
    Set {
        /// Its name.
        name: Arc<str>,
        /// Its value.
        value: Bytes,
    },
    /// Removes a field; one that is not there is left so.
    Delete {
        /// Its name.
        name: Arc<str>,
    },
    /// Sets a timer, in place of one of the same name.
    SetTimer {
        /// Its name.
        name: Arc<str>,
        /// When it is due on the plugin clock, nanoseconds since the Unix epoch.
        due_ns: u64,
        /// What the plugin stores with it.
        data: Bytes,
    },
    /// Removes a timer; one that is not set is left so.
    CancelTimer {
        /// Its name.
        name: Arc<str>,
    },
}

impl Change {
    /// About what it takes of the process's memory, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        let held = match self {
            Self::Set { name, value: data } | Self::SetTimer { name, data, .. } => name.len() + data.len(),
            Self::Delete { name } | Self::CancelTimer { name } => name.len(),
        };
        size_of::<Self>() + held
    }
}

/// The fields and timers of one key.
///
/// A clone shares what it holds with the original until one of them changes. Fields are a sorted list: a million keys of a
/// field or two each take no more room than they need, and whoever stores a state reads all of it anyway.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyState {
    fields: Arc<Vec<(Arc<str>, Bytes)>>,
    /// None while no timer is set, as for most keys of most plugins.
    timers: Option<Arc<Timers>>,
    settings: u64,
    bytes: usize,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Timers {
    named: BTreeMap<Arc<str>, Timer>,
    /// Names by due time and setting.
    due: BTreeMap<(u64, u64), Arc<str>>,
}

/// Whether a field or timer may have this name: 1 to 256 bytes.
#[must_use]
pub fn is_name(name: &str) -> bool {
    (1..=MAX_STATE_NAME_BYTES).contains(&name.len())
}

/// What a field counts against the limit of a record, in bytes.
#[must_use]
pub fn field_bytes(name: &str, value: &[u8]) -> usize {
    name.len() + value.len() + FIELD_COST_BYTES
}

/// What a timer counts against the limit of a record, in bytes.
#[must_use]
pub fn timer_bytes(name: &str, data: &[u8]) -> usize {
    name.len() + data.len() + TIMER_COST_BYTES
}

impl KeyState {
    /// A state as it was stored. `settings` is how many timers this key has ever had set; of two fields or timers of one
    /// name the later holds.
    pub fn new(
        fields: impl IntoIterator<Item = (Arc<str>, Bytes)>,
        timers: impl IntoIterator<Item = (Arc<str>, Timer)>,
        settings: u64,
    ) -> Self {
        let mut fields: Vec<_> = fields.into_iter().collect();
        fields.sort_by(|(one, _), (other, _)| one.cmp(other));
        fields.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                std::mem::swap(later, kept);
            }
            same
        });
        let bytes = fields.iter().map(|(name, value)| field_bytes(name, value)).sum();
        let mut state = Self { fields: Arc::new(fields), timers: None, settings, bytes };
        for (name, timer) in timers {
            state.settings = state.settings.max(timer.setting);
            state.put_timer(&name, Some(timer));
        }
        state
    }

    /// The fields, sorted by name.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = (&Arc<str>, &Bytes)> {
        self.fields.iter().map(|(name, value)| (name, value))
    }

    /// One field's value.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Bytes> {
        let (_, value) = self.fields.get(self.place(name).ok()?)?;
        Some(value)
    }

    /// The names of the fields that begin with `prefix`, sorted.
    pub fn names<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a Arc<str>> {
        let from = self.fields.partition_point(|(name, _)| name.as_ref() < prefix);
        let rest = self.fields.get(from..).unwrap_or_default();
        rest.iter().map(|(name, _)| name).take_while(move |name| name.starts_with(prefix))
    }

    /// The timers, sorted by name.
    pub fn timers(&self) -> impl Iterator<Item = (&Arc<str>, &Timer)> {
        self.timers.iter().flat_map(|timers| timers.named.iter())
    }

    /// One timer.
    #[must_use]
    pub fn timer(&self, name: &str) -> Option<&Timer> {
        self.timers.as_ref()?.named.get(name)
    }

    /// How many timers are set.
    #[must_use]
    pub fn timer_count(&self) -> usize {
        self.timers.as_ref().map_or(0, |timers| timers.named.len())
    }

    /// How many timers this key has ever had set: the number of the latest setting.
    #[must_use]
    pub fn settings(&self) -> u64 {
        self.settings
    }

    /// Whether it holds neither fields nor timers.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.timers.is_none()
    }

    /// What fields and timers count against the limit of a record, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// About what it takes of the process's memory, in bytes: for caches.
    #[must_use]
    pub fn memory(&self) -> usize {
        const LIST: usize = size_of::<(Arc<str>, Bytes)>();
        const TIMER: usize = 2 * size_of::<(Arc<str>, Timer)>();
        let fields = self.fields.capacity() * LIST;
        size_of::<Self>() + self.bytes + fields + self.timer_count() * TIMER
    }

    /// The timer that is due first; of several due at once, the one set first.
    #[must_use]
    pub fn earliest(&self) -> Option<(&Arc<str>, &Timer)> {
        let timers = self.timers.as_ref()?;
        let (_, name) = timers.due.first_key_value()?;
        timers.named.get_key_value(name)
    }

    /// Removes a timer that fires.
    pub fn fire(&mut self, name: &str) -> Option<Timer> {
        self.timer(name)?;
        self.put_timer(name, None)
    }

    /// Puts a timer back as it was before it fired.
    pub fn put_back(&mut self, name: &str, timer: Timer) {
        self.put_timer(name, Some(timer));
    }

    /// Makes a change.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Set { name, value } => {
                self.put_field(name, Some(value.clone()));
            }
            Change::Delete { name } => {
                self.put_field(name, None);
            }
            Change::SetTimer { name, due_ns, data } => {
                self.settings += 1;
                let timer = Timer { due_ns: *due_ns, data: data.clone(), setting: self.settings };
                self.put_timer(name, Some(timer));
            }
            Change::CancelTimer { name } => {
                self.put_timer(name, None);
            }
        }
    }

    fn place(&self, name: &str) -> Result<usize, usize> {
        // Stored fields come sorted: to be put last costs no search.
        match self.fields.last() {
            Some((last, _)) if last.as_ref() < name => Err(self.fields.len()),
            _ => self.fields.binary_search_by(|(known, _)| known.as_ref().cmp(name)),
        }
    }

    /// Sets or removes a field.
    fn put_field(&mut self, name: &Arc<str>, value: Option<Bytes>) {
        let place = self.place(name);
        if place.is_err() && value.is_none() {
            return;
        }
        let fields = Arc::make_mut(&mut self.fields);
        self.bytes += value.as_ref().map_or(0, |value| field_bytes(name, value));
        let entry = value.map(|value| (Arc::clone(name), value));
        let replaced = match place {
            Ok(at) => fields.splice(at..=at, entry).next(),
            Err(at) => fields.splice(at..at, entry).next(),
        };
        self.bytes -= replaced.map_or(0, |(name, value)| field_bytes(&name, &value));
    }

    /// Sets or removes a timer; gives what was there.
    fn put_timer(&mut self, name: &str, timer: Option<Timer>) -> Option<Timer> {
        if timer.is_none() && self.timer(name).is_none() {
            return None;
        }
        let timers = Arc::make_mut(self.timers.get_or_insert_default());
        let held = timers.named.remove_entry(name);
        let name = held.as_ref().map_or_else(|| Arc::from(name), |(name, _)| Arc::clone(name));
        if let Some((_, held)) = &held {
            timers.due.remove(&(held.due_ns, held.setting));
            self.bytes -= timer_bytes(&name, &held.data);
        }
        if let Some(timer) = timer {
            self.bytes += timer_bytes(&name, &timer.data);
            timers.due.insert((timer.due_ns, timer.setting), name.clone());
            timers.named.insert(name, timer);
        }
        if timers.named.is_empty() {
            self.timers = None;
        }
        held.map(|(_, timer)| timer)
    }
}

#[cfg(test)]
mod tests;
