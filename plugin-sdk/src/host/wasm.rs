//! The engine's imports.

use crate::guest::bindings::wasmill::plugin as import;
use crate::log::Level;

pub fn log(level: Level, message: &str, fields: &[(String, String)]) {
    let level = match level {
        Level::Trace => import::log::Level::Trace,
        Level::Debug => import::log::Level::Debug,
        Level::Info => import::log::Level::Info,
        Level::Warn => import::log::Level::Warn,
        Level::Error => import::log::Level::Error,
    };
    import::log::log(level, message, fields);
}

pub fn now() -> u64 {
    import::clock::now()
}

pub fn config_get(key: &str) -> Option<String> {
    import::config::get(key)
}

pub fn config_json() -> String {
    import::config::json()
}

pub fn random_next() -> u64 {
    import::random::next()
}

pub fn random_bytes(length: u32) -> Vec<u8> {
    import::random::bytes(length)
}
