//! What it takes to follow an owner that died, with many keys: until the next event is handled, and until all records have
//! been read, which is when the timers of all keys are known.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use wasmill_tests::place::{Place, Process};
use wasmill_tests::{parts, streams};

use super::stage::{Kind, LEASE, PLUGIN, Stage, manifest, rss_mib};

const PATIENCE: Duration = Duration::from_secs(300);
const LOOK: Duration = Duration::from_millis(5);
/// Timers that no round is long enough for.
const IDLE_MS: u64 = 3_600_000;

/// Runs it twice: with records that hold a count, and with a timer in each.
pub async fn run(keys: usize) -> Result<()> {
    println!("\n{keys} keys, their owner is killed, another engine waits; lease {LEASE:?}\n");
    println!(
        "{:<22}{:>18}{:>20}{:>22}{:>14}",
        "", "RSS before, MiB", "lease taken, s", "event handled, s", "all read, s"
    );
    for (what, idle_ms) in [("a count each", 0), ("and a timer each", IDLE_MS)] {
        let mut stage = Stage::new(keys).await?;
        stage.fill(keys).await?;
        stage.start(&Kind::Wasmill { counts: true, isolation: "reuse" }, true, idle_ms)?;
        stage.wait_for(keys).await?;
        let owner = stage.engine()?;
        let place = Place::new()?;
        place.put(PLUGIN, &std::fs::read(parts::test_tally()?)?, &manifest(true, true, "reuse", idle_ms))?;
        let heir = place.spawn(&stage.server.url())?;
        until(|| Ok(heir.page("/api/plugins/tally")?.1.contains("standby: ")))
            .await
            .context("it does not stand by")?;
        let before_mib = rss_mib(owner.pid())?;
        owner.kill()?;
        let killed = Instant::now();
        let mut taken = None;
        let mut all_read = None;
        let mut handled = None;
        stage.fill(1).await?;
        while taken.is_none() || all_read.is_none() || handled.is_none() {
            if killed.elapsed() > PATIENCE {
                bail!("it never took over:\n{}", heir.log());
            }
            if handled.is_none() && streams::count(&stage.jetstream, "ALERTS").await? > keys as u64 {
                handled = Some(killed.elapsed());
            }
            note(&mut taken, &heir, "owned after", killed);
            note(&mut all_read, &heir, "all records read", killed);
            tokio::time::sleep(LOOK).await;
        }
        println!(
            "{what:<22}{before_mib:>18.0}{:>20.2}{:>22.2}{:>14.2}   {:.0} MiB after",
            seconds(taken),
            seconds(handled),
            seconds(all_read),
            rss_mib(heir.pid())?
        );
    }
    Ok(())
}

/// Takes the time when a line first stands in the log.
fn note(at: &mut Option<Duration>, engine: &Process, line: &str, since: Instant) {
    if at.is_none() && engine.log().contains(line) {
        *at = Some(since.elapsed());
    }
}

fn seconds(at: Option<Duration>) -> f64 {
    at.map_or(f64::NAN, |at| at.as_secs_f64())
}

async fn until(holds: impl Fn() -> Result<bool>) -> Result<()> {
    let since = Instant::now();
    while !holds()? {
        if since.elapsed() > PATIENCE {
            bail!("not within {PATIENCE:?}");
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}
