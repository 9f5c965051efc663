//! What state costs: a plugin that counts the events of each key, beside the same plugin without a key, and beside consumers
//! written by hand, with a count of each key in KV and without.

pub mod native;
mod stage;
mod takeover;

use anyhow::{Context as _, Result};

use self::stage::{Figures, Kind, Stage};

/// Keys of the case between one and very many.
const SOME: usize = 1_000;

/// One of those who do the work.
struct Contestant {
    what: &'static str,
    kind: Kind,
}

/// The others are held against the first two.
const CONTESTANTS: [Contestant; 5] = [
    Contestant { what: "native, stateless", kind: Kind::Native { counts: false } },
    Contestant { what: "wasmill, stateless", kind: Kind::Wasmill { counts: false, isolation: "reuse" } },
    Contestant { what: "native, a count in KV", kind: Kind::Native { counts: true } },
    Contestant { what: "wasmill, keyed", kind: Kind::Wasmill { counts: true, isolation: "reuse" } },
    Contestant { what: "wasmill, keyed, fresh", kind: Kind::Wasmill { counts: true, isolation: "fresh" } },
];

/// Runs all cases, or those of which `only` names a word: `one`, `some`, `many`, `takeover`.
pub async fn run(events: usize, rounds: usize, keys: usize, only: &str) -> Result<()> {
    let wanted = |case: &str| only.is_empty() || only.split(',').any(|word| word == case);
    for (case, keys) in [("one", 1), ("some", SOME)] {
        if !wanted(case) {
            continue;
        }
        for emits in [true, false] {
            let outputs = if emits { "one output each" } else { "no outputs" };
            title(&format!(
                "{events} events over {keys} keys, {outputs}, medians of {rounds} rounds in turn"
            ));
            let mut all: Vec<Vec<Figures>> = CONTESTANTS.iter().map(|_| Vec::new()).collect();
            for _ in 0..rounds {
                for (contestant, figures) in CONTESTANTS.iter().zip(&mut all) {
                    let round = round(&contestant.kind, events, keys, emits).await;
                    figures.push(round.context(contestant.what)?);
                }
            }
            table(&all.iter().map(|rounds| Figures::median(rounds)).collect::<Vec<_>>());
        }
    }
    if wanted("many") {
        many(keys).await?;
    }
    if wanted("takeover") {
        takeover::run(keys).await?;
    }
    Ok(())
}

/// One round of one contestant, on a server of its own.
async fn round(kind: &Kind, events: usize, keys: usize, emits: bool) -> Result<Figures> {
    let mut stage = Stage::new(keys).await?;
    stage.fill(events).await?;
    stage.start(kind, emits, 0)?;
    stage.figures(events).await
}

/// One event for each of many keys, and then one more. Reading and writing each count in KV would take minutes, and shows no more
/// than with fewer keys.
async fn many(keys: usize) -> Result<()> {
    title(&format!(
        "{keys} keys, an event and an output each; then one more of each, in another order; one round"
    ));
    let (mut new, mut known) = (Vec::new(), Vec::new());
    let reads_each = |kind: &Kind| matches!(kind, Kind::Native { counts: true });
    for Contestant { what, kind } in CONTESTANTS.iter().filter(|contestant| !reads_each(&contestant.kind)) {
        let mut stage = Stage::new(keys).await?;
        stage.fill(keys).await?;
        stage.start(kind, true, 0)?;
        new.push(stage.figures(keys).await.context(*what)?);
        row(what, &new);
        // It works while this comes in; what counts is what is left after that.
        stage.fill(keys).await?;
        known.push(stage.figures(2 * keys).await.context(*what)?);
        row("    once more", &known);
    }
    Ok(())
}

fn title(what: &str) {
    println!("\n{what}\n");
    println!(
        "{:<26}{:>10}{:>14}{:>14}{:>10}{:>10}{:>13}",
        "", "events/s", "client µs/ev", "server µs/ev", "RSS MiB", "× native", "× stateless"
    );
}

fn table(rows: &[Figures]) {
    for (at, Contestant { what, .. }) in CONTESTANTS.iter().enumerate() {
        row(what, rows.get(..=at).unwrap_or_default());
    }
}

/// Prints the last of the figures, held against the first two.
fn row(what: &str, rows: &[Figures]) {
    let Some(row) = rows.last() else { return };
    print!(
        "{what:<26}{:>10.0}{:>14.1}{:>14.1}{:>10.0}",
        row.per_second, row.client_us, row.server_us, row.rss_mib
    );
    for (base, width) in [(0, 10), (1, 13)] {
        match rows.get(base) {
            Some(base) => print!("{:>width$.2}", row.per_second / base.per_second),
            None => print!("{:>width$}", ""),
        }
    }
    println!();
}
