//! The component that runs sources which the engine hands over.

wit_bindgen::generate!({
    path: ["../../../plugin-sdk/wit", "../wit"],
    world: "wasmill:runner/runner",
    generate_all,
    disable_run_ctors_once_workaround: true,
});

use exports::wasmill::plugin::{handler, migrate, timers};
use exports::wasmill::runner::script;
use wasmill::runner::source;

pub use wasmill::plugin::{clock, config, log, lookup, random, state, timer_control, types};

use crate::thrown::Fault;
use crate::vm::{self, Source};

struct Runner;

impl handler::Guest for Runner {
    fn handle(event: types::Event) -> Result<Vec<types::Output>, types::Failure> {
        vm::handle(event)
    }
}

impl timers::Guest for Runner {
    fn on_timer(timer: types::Timer) -> Result<Vec<types::Output>, types::Failure> {
        vm::on_timer(timer)
    }
}

impl migrate::Guest for Runner {
    fn migrate_field(from_version: String, name: String, value: Vec<u8>) -> Result<Option<Vec<u8>>, String> {
        vm::migrate(&from_version, &name, value)
    }
}

impl script::Guest for Runner {
    fn load() -> Result<Option<types::About>, script::Fault> {
        vm::load(source()).map_err(|Fault { message, line, column, excerpt, trace }| script::Fault {
            message,
            line,
            column,
            excerpt,
            trace,
        })
    }
}

/// The source to run; none if there is none to be had now.
pub fn source() -> Option<Source> {
    let source::File { name, text } = source::read();
    Some(Source { name, text, map: None })
}

export!(Runner);
