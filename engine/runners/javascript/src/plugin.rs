//! The component that a source is built into.

wit_bindgen::generate!({
    path: "../../../plugin-sdk/wit",
    world: "wasmill:plugin/described-plugin",
    generate_all,
    disable_run_ctors_once_workaround: true,
});

use exports::wasmill::plugin::{description, handler};

pub use wasmill::plugin::{clock, config, log, random, types};

use crate::vm::{self, Source};

struct Plugin;

impl handler::Guest for Plugin {
    fn handle(event: types::Event) -> Result<Vec<types::Output>, types::Failure> {
        vm::handle(event)
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
