//! The engine's imports.

use crate::guest::bindings::wasmill::plugin as import;
use crate::log::Level;
use crate::{lookup, state, timers};

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

pub fn state_get(name: &str) -> Result<Option<Vec<u8>>, state::Error> {
    import::state::get(name).map_err(|err| field_error(err, name))
}

pub fn state_set(name: &str, value: &[u8]) -> Result<(), state::Error> {
    import::state::set(name, value).map_err(|err| field_error(err, name))
}

pub fn state_delete(name: &str) -> Result<(), state::Error> {
    import::state::delete(name).map_err(|err| field_error(err, name))
}

pub fn state_names(prefix: &str) -> Result<Vec<String>, state::Error> {
    import::state::names(prefix).map_err(|err| field_error(err, prefix))
}

#[cold]
fn field_error(err: import::state::Error, name: &str) -> state::Error {
    let name = name.to_owned();
    match err {
        import::state::Error::NoKey => state::Error::NoKey,
        import::state::Error::TooLarge(limit_bytes) => state::Error::TooLarge { name, limit_bytes },
        import::state::Error::BadName => state::Error::BadName { name },
    }
}

pub fn timer_set(name: &str, due: u64, data: &[u8]) -> Result<(), timers::Error> {
    import::timer_control::set(name, due, data).map_err(|err| timer_error(err, name))
}

pub fn timer_cancel(name: &str) -> Result<(), timers::Error> {
    import::timer_control::cancel(name).map_err(|err| timer_error(err, name))
}

#[cold]
fn timer_error(err: import::timer_control::Error, name: &str) -> timers::Error {
    let name = name.to_owned();
    match err {
        import::timer_control::Error::NoKey => timers::Error::NoKey,
        import::timer_control::Error::TooMany(limit) => timers::Error::TooMany { name, limit },
        import::timer_control::Error::BadName => timers::Error::BadName { name },
    }
}

pub fn lookup_get(table: &str, key: &str) -> Result<Option<Vec<u8>>, lookup::Error> {
    import::lookup::get(table, key).map_err(|err| {
        let table = table.to_owned();
        match err {
            import::lookup::Error::NotGranted => lookup::Error::NotGranted { table },
            import::lookup::Error::NotReady => lookup::Error::NotReady { table },
        }
    })
}
