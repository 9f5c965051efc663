//! What a script can call beside the language's own.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use rhai::{Dynamic, Engine, EvalAltResult, INT, Position};
use wasmill_sdk::{Failure, Output, clock, log, random};

/// What a script has emitted so far.
pub type Outbox = Rc<RefCell<Vec<Output>>>;

type Called<T> = Result<T, Box<EvalAltResult>>;

/// Gives an engine all of it.
pub fn register(engine: &mut Engine, outbox: &Outbox) {
    let held = Rc::clone(outbox);
    engine.register_fn("emit", move |subject: &str, value: Dynamic| hold(&held, subject, &value, None));
    let held = Rc::clone(outbox);
    engine.register_fn("emit", move |subject: &str, value: Dynamic, kind: &str| {
        hold(&held, subject, &value, Some(kind))
    });

    engine.register_fn("reject", |reason: &str| ended(Failure::reject(reason)));
    engine.register_fn("retry", |reason: &str| ended(Failure::retry(reason)));
    engine.register_fn("retry", |reason: &str, after_ms: INT| {
        let wait = Duration::from_millis(u64::try_from(after_ms).unwrap_or_default());
        ended(Failure::retry_after(wait, reason))
    });

    engine.register_fn("trace", |text: &str| log::trace!("{text}"));
    engine.register_fn("info", |text: &str| log::info!("{text}"));
    engine.register_fn("warn", |text: &str| log::warn!("{text}"));
    engine.register_fn("error", |text: &str| log::error!("{text}"));
    engine.on_print(|text| log::info!("{text}"));
    engine.on_debug(|text, _, at| log::debug!("{text} at {at:?}"));

    engine.register_fn("now", || INT::try_from(clock::now()).unwrap_or(INT::MAX));
    // 53 bits are what a float holds.
    engine.register_fn("random", || (random::next() >> 11) as f64 / (1_u64 << 53) as f64);
}

/// The payload is JSON, whatever the value.
fn hold(outbox: &Outbox, subject: &str, value: &Dynamic, kind: Option<&str>) -> Called<()> {
    let output = Output::json(subject, value).map_err(|failure| failure.reason().to_owned())?;
    outbox.borrow_mut().push(match kind {
        Some(kind) => output.with_type(kind),
        None => output,
    });
    Ok(())
}

/// Ends the script for good: `try` in a script does not catch this.
fn ended(failure: Failure) -> Called<()> {
    Err(EvalAltResult::ErrorTerminated(Dynamic::from(failure), Position::NONE).into())
}
