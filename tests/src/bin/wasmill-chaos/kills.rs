//! Signals at random moments: to the engine, to the server.

use std::time::Duration;

use anyhow::Result;
use wasmill_tests::nats::NatsServer;

use crate::stage::{Fired, MADE, Stage};

/// How long an engine may take to put a version into service.
const IN_SERVICE: Duration = Duration::from_secs(10);

/// The engine is killed once, while there is work.
pub fn once(stage: &mut Stage<'_>, server: &mut NatsServer) -> Result<Fired> {
    let engine = stage.add_engine(server.url())?;
    stage.engine(engine)?.start(None)?;
    stage.pause(50, 700);
    kill(stage, engine)
}

/// The engine is killed again and again, some time also before it is up.
pub fn in_a_row(stage: &mut Stage<'_>, server: &mut NatsServer) -> Result<Fired> {
    let engine = stage.add_engine(server.url())?;
    stage.engine(engine)?.start(None)?;
    let mut fired = Ok(());
    for _ in 0..stage.rng.u32(3..=5) {
        stage.pause(20, 300);
        fired = fired.and(kill(stage, engine)?);
    }
    Ok(fired)
}

fn kill(stage: &mut Stage<'_>, engine: usize) -> Result<Fired> {
    let killed = stage.engine(engine)?.kill()?;
    if stage.rng.bool() {
        stage.swap()?;
    }
    stage.engine(engine)?.start(None)?;
    Ok(if killed { Ok(()) } else { Err("the engine had ended before it was killed".to_owned()) })
}

/// One of two engines stands still for longer than the ack wait, wakes up, and goes on where it was.
pub fn zombie(stage: &mut Stage<'_>, server: &mut NatsServer) -> Result<Fired> {
    let frozen = stage.add_engine(server.url())?;
    let other = stage.add_engine(server.url())?;
    stage.engine(frozen)?.start(None)?;
    stage.engine(other)?.start(None)?;
    stage.pause(250, 700);
    stage.engine(frozen)?.signal("STOP")?;
    stage.pause(1_150, 1_700);
    let stood_still = stage.engine(frozen)?.is_frozen()?;
    stage.engine(frozen)?.signal("CONT")?;
    Ok(if stood_still { Ok(()) } else { Err("it did not stand still".to_owned()) })
}

/// The server is killed and comes back on the same port with the same store.
pub fn server(stage: &mut Stage<'_>, server: &mut NatsServer) -> Result<Fired> {
    let engine = stage.add_engine(server.url())?;
    stage.engine(engine)?.start(None)?;
    // An engine whose first connection fails gives up.
    stage.engine(engine)?.wait_until_in_service(1, IN_SERVICE)?;
    stage.pause(0, 500);
    bounce(stage, server)
}

/// Engine and server are killed at the same moment, and the server comes back first.
pub fn both(stage: &mut Stage<'_>, server: &mut NatsServer) -> Result<Fired> {
    let engine = stage.add_engine(server.url())?;
    stage.engine(engine)?.start(None)?;
    stage.pause(250, 700);
    let killed = stage.engine(engine)?.kill()?;
    let fired = bounce(stage, server)?;
    stage.engine(engine)?.start(None)?;
    Ok(if killed { fired } else { Err("the engine had ended before it was killed".to_owned()) })
}

fn bounce(stage: &mut Stage<'_>, server: &mut NatsServer) -> Result<Fired> {
    let before = server.pid();
    server.kill()?;
    stage.pause(0, 300);
    server.restart()?;
    Ok(if server.pid() == before { Err("the server is the same as before".to_owned()) } else { Ok(()) })
}

/// The engine is killed somewhere in a series of swaps.
pub fn during_swaps(stage: &mut Stage<'_>, server: &mut NatsServer) -> Result<Fired> {
    let engine = stage.add_engine(server.url())?;
    stage.engine(engine)?.start(None)?;
    stage.least_versions = 2;
    stage.wait_for_outputs(MADE)?;
    let (swaps, kill_after) = (6, stage.rng.u32(1..=4));
    let mut fired = Ok(());
    for swap in 0..swaps {
        stage.swap()?;
        stage.pause(10, 150);
        if swap == kill_after {
            fired = kill(stage, engine)?;
        }
    }
    stage.engine(engine)?.wait_until_in_service(1, IN_SERVICE)?;
    stage.wait_for_outputs(MADE)?;
    Ok(fired)
}
