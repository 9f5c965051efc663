//! An engine that kills itself at a named place.

use std::process::ExitStatus;
use std::time::Duration;

use anyhow::Result;
use wasmill_tests::nats::NatsServer;

use crate::engine::was_killed;
use crate::stage::{Fired, Stage};

/// What brings an engine to the place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Events do.
    Events,
    /// Another version of the component.
    Swap,
    /// A manifest that changes the subscription.
    Resubscription,
    /// SIGTERM.
    Term,
}

/// How long a trial waits for the kill.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long one swap may take to come to it.
const PER_SWAP: Duration = Duration::from_millis(200);
/// The most swaps until it must have come.
const MAX_SWAPS: u64 = 20;

/// Starts an engine that is to kill itself, brings it there, and starts it again without the order.
pub fn strike(
    stage: &mut Stage<'_>,
    server: &mut NatsServer,
    name: &str,
    cause: Cause,
    hits: u64,
) -> Result<Fired> {
    let at = 1 + stage.rng.u64(..hits.max(1));
    // Either nothing leaves the process any more, or all that was handed to its other threads does.
    let how = if stage.rng.bool() { "kill" } else { "linger" };
    let order = format!("{name}={how}@{at}");
    stage.note(&order);
    let engine = stage.add_engine(server.url())?;
    stage.engine(engine)?.start(Some(&order))?;
    let died = bring(stage, engine, cause)?;
    let told = format!("failpoint {name}: kill");
    let fired = match died.map(was_killed) {
        None => Err(format!("{order} never came")),
        Some(false) => Err("the engine ended in another way".to_owned()),
        Some(true) if !stage.engine(engine)?.log().contains(&told) => Err(format!("no line {told:?}")),
        Some(true) => Ok(()),
    };
    if stage.rng.bool() {
        // What was begun with one version is ended with another.
        stage.swap()?;
    }
    stage.engine(engine)?.start(None)?;
    Ok(fired)
}

/// Waits for the end of the engine and does what brings it there; none if it lives on.
fn bring(stage: &mut Stage<'_>, engine: usize, cause: Cause) -> Result<Option<ExitStatus>> {
    match cause {
        Cause::Events => stage.engine(engine)?.wait(PATIENCE),
        Cause::Swap | Cause::Resubscription => {
            stage.pause(200, 500);
            for _ in 0..MAX_SWAPS {
                match cause {
                    Cause::Swap => stage.swap()?,
                    _ => stage.change_subscription()?,
                }
                if let Some(died) = stage.engine(engine)?.wait(PER_SWAP)? {
                    return Ok(Some(died));
                }
            }
            Ok(None)
        }
        Cause::Term => {
            stage.pause(300, 900);
            stage.engine(engine)?.terminate(PATIENCE)
        }
    }
}
