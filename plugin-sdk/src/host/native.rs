//! A test's own engine: one per thread, as each test has its thread.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::record::{Limits, Record};
use crate::log::Level;
use crate::testing::{Line, fail};
use crate::{lookup, state, timers};

/// The rows of a lookup table; none while it is not loaded.
pub type Table = Option<BTreeMap<String, Vec<u8>>>;

/// What the host functions answer from, and where they write to.
pub struct World {
    pub config: Map<String, Value>,
    pub now: u64,
    pub random: u64,
    pub lines: Vec<Line>,
    /// What is stored for the key in question; none without a key.
    pub record: Option<Record>,
    pub limits: Limits,
    pub tables: BTreeMap<String, Table>,
    pub call: Call,
}

/// Who sees that an engine would have ended a call.
#[derive(Debug, Default)]
pub enum Call {
    /// Nobody: the test calls by itself.
    #[default]
    Untold,
    /// The keyed engine, which takes the call for failed.
    Told,
    /// Ended, for this reason.
    Ended(String),
}

impl World {
    fn new() -> Self {
        Self {
            config: Map::new(),
            now: 0,
            random: 0,
            lines: Vec::new(),
            record: None,
            limits: Limits::default(),
            tables: BTreeMap::new(),
            call: Call::default(),
        }
    }
}

thread_local! {
    static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
}

/// Works on this thread's world.
pub fn with<R>(work: impl FnOnce(&mut World) -> R) -> R {
    WORLD.with_borrow_mut(|world| work(world.get_or_insert_with(World::new)))
}

/// Starts this thread's world anew.
pub fn reset() {
    WORLD.set(None);
}

pub fn log(level: Level, message: &str, fields: &[(String, String)]) {
    let line = Line { level, message: message.to_owned(), fields: fields.to_vec() };
    with(|world| world.lines.push(line));
}

pub fn now() -> u64 {
    with(|world| world.now)
}

pub fn config_get(key: &str) -> Option<String> {
    with(|world| {
        world.config.get(key).map(|value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned))
    })
}

pub fn config_json() -> String {
    with(|world| Value::Object(world.config.clone()).to_string())
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, and every seed gives another sequence. The engine's numbers differ.
pub fn random_next() -> u64 {
    with(|world| {
        world.random = world.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = world.random;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    })
}

pub fn random_bytes(length: u32) -> Vec<u8> {
    std::iter::repeat_with(random_next).flat_map(u64::to_le_bytes).take(length as usize).collect()
}

pub fn state_get(name: &str) -> Result<Option<Vec<u8>>, state::Error> {
    with(|world| world.record.as_ref().ok_or(state::Error::NoKey)?.get(name))
}

pub fn state_set(name: &str, value: &[u8]) -> Result<(), state::Error> {
    with(|world| world.record.as_mut().ok_or(state::Error::NoKey)?.set(name, value, world.limits))
}

pub fn state_delete(name: &str) -> Result<(), state::Error> {
    with(|world| world.record.as_mut().ok_or(state::Error::NoKey)?.delete(name))
}

pub fn state_names(prefix: &str) -> Result<Vec<String>, state::Error> {
    with(|world| Ok(world.record.as_ref().ok_or(state::Error::NoKey)?.names(prefix)))
}

pub fn timer_set(name: &str, due: u64, data: &[u8]) -> Result<(), timers::Error> {
    with(|world| {
        let record = world.record.as_mut().ok_or(timers::Error::NoKey)?;
        if let Some(fault) = record.set_timer(name, due, data, world.limits)? {
            match world.call {
                Call::Untold => fail(&fault),
                Call::Told => world.call = Call::Ended(fault),
                Call::Ended(_) => {}
            }
        }
        Ok(())
    })
}

pub fn timer_cancel(name: &str) -> Result<(), timers::Error> {
    with(|world| world.record.as_mut().ok_or(timers::Error::NoKey)?.cancel(name))
}

pub fn lookup_get(table: &str, key: &str) -> Result<Option<Vec<u8>>, lookup::Error> {
    with(|world| match world.tables.get(table) {
        Some(Some(rows)) => Ok(rows.get(key).cloned()),
        Some(None) => Err(lookup::Error::NotReady { table: table.to_owned() }),
        None => Err(lookup::Error::NotGranted { table: table.to_owned() }),
    })
}
