//! A test's own engine: one per thread, as each test has its thread.

use std::cell::RefCell;

use serde_json::{Map, Value};

use crate::log::Level;
use crate::testing::Line;

/// What the host functions answer from, and where they write to.
pub struct World {
    pub config: Map<String, Value>,
    pub now: u64,
    pub random: u64,
    pub lines: Vec<Line>,
}

impl World {
    fn new() -> Self {
        Self { config: Map::new(), now: 0, random: 0, lines: Vec::new() }
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
