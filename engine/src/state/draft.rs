//! What one call has changed so far, beside the state that it began with.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;

use super::{Change, KeyState, StateLimits, field_bytes, is_name, timer_bytes};
use crate::limits::MAX_STATE_NAME_BYTES;

/// A name that is empty or over [`MAX_STATE_NAME_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the name is empty or over {MAX_STATE_NAME_BYTES} bytes")]
pub struct BadName;

/// Why a field or a timer is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Its name is none.
    #[error(transparent)]
    Name(#[from] BadName),
    /// With it the state would be over its limit.
    #[error(transparent)]
    Size(#[from] Oversize),
}

/// A state that would be over its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the key's fields and timers would have {bytes} bytes, over the limit of {limit}")]
pub struct Oversize {
    /// What it would have.
    pub bytes: usize,
    /// The limit.
    pub limit: usize,
}

/// Why a timer is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TimerRefused {
    /// Its name is none, or with it the state would be over its limit.
    #[error(transparent)]
    State(#[from] Refused),
    /// The key has as many timers as it may have.
    #[error("the key has {limit} timers, the most that it may have")]
    TooMany {
        /// The limit.
        limit: u32,
    },
}

/// The changes of one call over the state that it began with. Dropping it undoes them.
///
/// However often a call changes a field or a timer, the last time counts, and no more than that is held.
#[derive(Debug)]
pub struct Draft {
    base: KeyState,
    limits: StateLimits,
    fields: BTreeMap<Arc<str>, Option<Bytes>>,
    timers: BTreeMap<Arc<str>, Touched>,
    /// How often timers were touched, which gives them their order.
    touches: u64,
    bytes: usize,
    timer_count: usize,
}

#[derive(Debug)]
struct Touched {
    order: u64,
    /// When it is due and what is stored with it; none if it was cancelled.
    set: Option<(u64, Bytes)>,
}

impl Draft {
    /// Begins with a state.
    #[must_use]
    pub fn new(base: KeyState, limits: StateLimits) -> Self {
        let (bytes, timer_count) = (base.bytes(), base.timer_count());
        let (fields, timers) = Default::default();
        Self { base, limits, fields, timers, touches: 0, bytes, timer_count }
    }

    /// One field's value as it is now.
    ///
    /// # Errors
    /// [`BadName`].
    pub fn get(&self, name: &str) -> Result<Option<&Bytes>, BadName> {
        check_name(name)?;
        Ok(self.current(name))
    }

    /// Sets a field.
    ///
    /// # Errors
    /// Each [`Refused`]. A state that is over its limit already may still shrink.
    pub fn set(&mut self, name: &str, value: Bytes) -> Result<(), Refused> {
        check_name(name)?;
        let before = self.current(name).map_or(0, |held| field_bytes(name, held));
        self.bytes = self.fitting(before, field_bytes(name, &value))?;
        self.touch_field(name, Some(value));
        Ok(())
    }

    /// Removes a field; one that is not there is no error.
    ///
    /// # Errors
    /// [`BadName`].
    pub fn delete(&mut self, name: &str) -> Result<(), BadName> {
        check_name(name)?;
        if let Some(held) = self.current(name) {
            self.bytes -= field_bytes(name, held);
            self.touch_field(name, None);
        }
        Ok(())
    }

    /// The names of the fields that begin with `prefix`, sorted.
    #[must_use]
    pub fn names<'a>(&'a self, prefix: &'a str) -> Vec<&'a str> {
        let stored = self.base.names(prefix).filter(|name| !self.fields.contains_key(*name));
        let mut names: Vec<&str> = stored.map(AsRef::as_ref).collect();
        let stored = names.len();
        let touched = self.fields.range::<str, _>((Bound::Included(prefix), Bound::Unbounded));
        let touched = touched.take_while(|(name, _)| name.starts_with(prefix));
        names.extend(touched.filter(|(_, value)| value.is_some()).map(|(name, _)| name.as_ref()));
        if names.len() > stored {
            // Two sorted runs: merging them is all that this costs.
            names.sort();
        }
        names
    }

    /// Sets a timer, in place of one of the same name.
    ///
    /// # Errors
    /// Each [`TimerRefused`].
    pub fn set_timer(&mut self, name: &str, due_ns: u64, data: Bytes) -> Result<(), TimerRefused> {
        check_name(name).map_err(Refused::Name)?;
        let held = self.timer_size(name);
        let limit = self.limits.timers;
        if held.is_none() && self.timer_count >= limit as usize {
            return Err(TimerRefused::TooMany { limit });
        }
        self.bytes = self.fitting(held.unwrap_or(0), timer_bytes(name, &data)).map_err(Refused::Size)?;
        self.timer_count += usize::from(held.is_none());
        self.touch_timer(name, Some((due_ns, data)));
        Ok(())
    }

    /// Removes a timer; one that is not set is no error.
    ///
    /// # Errors
    /// [`BadName`].
    pub fn cancel_timer(&mut self, name: &str) -> Result<(), BadName> {
        check_name(name)?;
        if let Some(held) = self.timer_size(name) {
            self.bytes -= held;
            self.timer_count -= 1;
            self.touch_timer(name, None);
        }
        Ok(())
    }

    /// The changes, one for each field and timer that was touched: fields by name, timers as they were last touched.
    #[must_use = "the changes are not made yet"]
    pub fn into_changes(self) -> Vec<Change> {
        let Self { base, fields, timers, .. } = self;
        let fields = fields.into_iter().filter_map(|(name, value)| match value {
            Some(value) => Some(Change::Set { name, value }),
            None => base.field(&name).is_some().then_some(Change::Delete { name }),
        });
        let mut changes: Vec<Change> = fields.collect();
        let mut timers: Vec<_> = timers.into_iter().collect();
        timers.sort_by_key(|(_, touched)| touched.order);
        changes.extend(timers.into_iter().filter_map(|(name, touched)| match touched.set {
            Some((due_ns, data)) => Some(Change::SetTimer { name, due_ns, data }),
            None => base.timer(&name).is_some().then_some(Change::CancelTimer { name }),
        }));
        changes
    }

    fn current(&self, name: &str) -> Option<&Bytes> {
        match self.fields.get(name) {
            Some(touched) => touched.as_ref(),
            None => self.base.field(name),
        }
    }

    fn timer_size(&self, name: &str) -> Option<usize> {
        let data = match self.timers.get(name) {
            Some(touched) => touched.set.as_ref().map(|(_, data)| data),
            None => self.base.timer(name).map(|timer| &timer.data),
        };
        data.map(|data| timer_bytes(name, data))
    }

    /// The size with one part replaced.
    fn fitting(&self, gone: usize, come: usize) -> Result<usize, Oversize> {
        let bytes = self.bytes - gone + come;
        let limit = self.limits.record_bytes;
        if bytes > limit && come > gone { Err(Oversize { bytes, limit }) } else { Ok(bytes) }
    }

    fn touch_field(&mut self, name: &str, value: Option<Bytes>) {
        match self.fields.get_mut(name) {
            Some(touched) => *touched = value,
            None => {
                self.fields.insert(name.into(), value);
            }
        }
    }

    fn touch_timer(&mut self, name: &str, set: Option<(u64, Bytes)>) {
        self.touches += 1;
        let touched = Touched { order: self.touches, set };
        match self.timers.get_mut(name) {
            Some(known) => *known = touched,
            None => {
                self.timers.insert(name.into(), touched);
            }
        }
    }
}

fn check_name(name: &str) -> Result<(), BadName> {
    if is_name(name) { Ok(()) } else { Err(BadName) }
}
