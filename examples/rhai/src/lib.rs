//! A plugin whose rule is no part of it: the `[config]` table of its manifest holds a script in Rhai, which an interpreter in
//! the component runs for each event.
//!
//! - [`functions`]: what a script can call.
//! - [`script`]: compiling it, running it, and what becomes of its errors.

mod functions;
mod script;

use std::cell::OnceCell;

use script::Script;
use wasmill_sdk::{Event, Failure, Output, config, plugin};

thread_local! {
    /// Compiled by the first event that an instance handles; a script that does not compile never gets better.
    static SCRIPT: OnceCell<Result<Script, Failure>> = const { OnceCell::new() };
}

plugin!(handle);

fn handle(event: Event) -> Result<Vec<Output>, Failure> {
    SCRIPT.with(|script| match script.get_or_init(compile) {
        Ok(script) => script.run(&event),
        Err(failure) => Err(failure.clone()),
    })
}

fn compile() -> Result<Script, Failure> {
    let text = config::get("script")
        .ok_or_else(|| Failure::exception("the manifest has no `script` in its [config] table", ""))?;
    Script::compile(&text)
}

#[cfg(test)]
mod tests;
