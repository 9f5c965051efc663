//! The component that a source is built into.

wit_bindgen::generate!({
    path: "../../../plugin-sdk/wit",
    world: "wasmill:plugin/full-plugin",
    generate_all,
    disable_run_ctors_once_workaround: true,
});

use exports::wasmill::plugin::{description, handler, migrate, timers};

pub use wasmill::plugin::{clock, config, log, lookup, random, state, timer_control, types};

use crate::vm::{self, Source};

struct Plugin;

impl handler::Guest for Plugin {
    fn handle(event: types::Event) -> Result<Vec<types::Output>, types::Failure> {
        vm::handle(event)
    }
}

impl timers::Guest for Plugin {
    fn on_timer(timer: types::Timer) -> Result<Vec<types::Output>, types::Failure> {
        vm::on_timer(timer)
    }
}

impl migrate::Guest for Plugin {
    fn migrate_field(from_version: String, name: String, value: Vec<u8>) -> Result<Option<Vec<u8>>, String> {
        vm::migrate(&from_version, &name, value)
    }
}

impl description::Guest for Plugin {
    fn describe() -> types::About {
        vm::about()
    }
}

/// The source to run: it was loaded when the component was built.
pub fn source() -> Option<Source> {
    None
}

export!(Plugin);
