//! What a test's engine stores for one key.

use std::collections::BTreeMap;

use crate::{state, timers};

/// The most bytes of the name of a field or timer, as the contract has it.
const NAME_MAX_BYTES: usize = 256;
/// What an engine counts for a field beside its name and value.
const FIELD_COST_BYTES: usize = 8;
/// What an engine counts for a timer beside its name and data.
const TIMER_COST_BYTES: usize = 32;

/// How much a key may have.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Fields and timers, their names included.
    pub record_bytes: usize,
    pub timers: u32,
}

/// As a manifest that sets none has them.
impl Default for Limits {
    fn default() -> Self {
        Self { record_bytes: 256 * 1_024, timers: 1_000 }
    }
}

/// One timer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    pub due: u64,
    pub data: Vec<u8>,
    /// Which setting of the key it is: of timers due at one time, the one set first fires first.
    pub number: u64,
}

/// The fields and timers of one key.
#[derive(Debug, Clone, Default)]
pub struct Record {
    pub fields: BTreeMap<String, Vec<u8>>,
    pub timers: BTreeMap<String, Setting>,
    settings: u64,
}

impl Record {
    fn bytes(&self) -> usize {
        let fields: usize = self.fields.iter().map(|(name, value)| field_bytes(name, value)).sum();
        let timers: usize = self.timers.iter().map(|(name, timer)| timer_bytes(name, &timer.data)).sum();
        fields + timers
    }

    /// How large it would be with one part replaced, if that is over the limit. What is over it already may still shrink.
    fn oversize(&self, gone: usize, come: usize, limits: Limits) -> Option<usize> {
        let bytes = self.bytes() - gone + come;
        (bytes > limits.record_bytes && come > gone).then_some(bytes)
    }

    /// When each timer is due.
    pub fn due(&self) -> BTreeMap<String, u64> {
        self.timers.iter().map(|(name, timer)| (name.clone(), timer.due)).collect()
    }

    pub fn get(&self, name: &str) -> Result<Option<Vec<u8>>, state::Error> {
        field_name(name)?;
        Ok(self.fields.get(name).cloned())
    }

    pub fn set(&mut self, name: &str, value: &[u8], limits: Limits) -> Result<(), state::Error> {
        field_name(name)?;
        let before = self.fields.get(name).map_or(0, |value| field_bytes(name, value));
        if self.oversize(before, field_bytes(name, value), limits).is_some() {
            return Err(state::Error::TooLarge {
                name: name.to_owned(),
                limit_bytes: limits.record_bytes as u64,
            });
        }
        self.fields.insert(name.to_owned(), value.to_vec());
        Ok(())
    }

    pub fn delete(&mut self, name: &str) -> Result<(), state::Error> {
        field_name(name)?;
        self.fields.remove(name);
        Ok(())
    }

    pub fn names(&self, prefix: &str) -> Vec<String> {
        self.fields.keys().filter(|name| name.starts_with(prefix)).cloned().collect()
    }

    /// Sets a timer. What the contract has no word for, since an engine ends the call there, is answered as text.
    pub fn set_timer(
        &mut self,
        name: &str,
        due: u64,
        data: &[u8],
        limits: Limits,
    ) -> Result<Option<String>, timers::Error> {
        timer_name(name)?;
        if !self.timers.contains_key(name) && self.timers.len() >= limits.timers as usize {
            return Err(timers::Error::TooMany { name: name.to_owned(), limit: limits.timers });
        }
        let before = self.timers.get(name).map_or(0, |timer| timer_bytes(name, &timer.data));
        if let Some(bytes) = self.oversize(before, timer_bytes(name, data), limits) {
            let limit = limits.record_bytes;
            let fault = format!(
                "with timer {name:?} the key's record would have {bytes} bytes, over its limit of {limit}"
            );
            return Ok(Some(fault));
        }
        self.settings += 1;
        let setting = Setting { due, data: data.to_vec(), number: self.settings };
        self.timers.insert(name.to_owned(), setting);
        Ok(None)
    }

    pub fn cancel(&mut self, name: &str) -> Result<(), timers::Error> {
        timer_name(name)?;
        self.timers.remove(name);
        Ok(())
    }
}

fn field_bytes(name: &str, value: &[u8]) -> usize {
    name.len() + value.len() + FIELD_COST_BYTES
}

fn timer_bytes(name: &str, data: &[u8]) -> usize {
    name.len() + data.len() + TIMER_COST_BYTES
}

fn named(name: &str) -> bool {
    (1..=NAME_MAX_BYTES).contains(&name.len())
}

fn field_name(name: &str) -> Result<(), state::Error> {
    if named(name) { Ok(()) } else { Err(state::Error::BadName { name: name.to_owned() }) }
}

fn timer_name(name: &str) -> Result<(), timers::Error> {
    if named(name) { Ok(()) } else { Err(timers::Error::BadName { name: name.to_owned() }) }
}
