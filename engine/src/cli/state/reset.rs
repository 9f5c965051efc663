//! `wasmill plugin reset`: a plugin with a key handles events again from a place in its streams on, or passes over some.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{anyhow, ensure};
use jiff::Timestamp;
use serde::Serialize;

use super::delete::{count, holds};
use super::export::lowest;
use super::owned::{ended_at, failed, own};
use super::{counted, survey};
use crate::bus::{Begin, Bus, BusError, FollowSpec};
use crate::cli::dead_letter::filter::{plugin, time};
use crate::cli::exit::{Exit, Failure};
use crate::cli::out::{self, Format};
use crate::cli::settings::Place;
use crate::keyed::bucket::Owner;
use crate::keyed::rewind::{remains, rewound};
use crate::keyed::steward::Steward;
use crate::manifest::PluginName;
use crate::record::Reached;

/// How long a message that the server counted may take to come.
const PATIENCE: Duration = Duration::from_secs(10);

const NOTES: &str = "\
What the plugin keeps of its keys is forgotten, unless --keep-state says otherwise; then it handles the events from the
given place on. Their outputs are new ones: no stream takes them for repeats of those that were emitted before. With
--keep-state, events that are in the state already are counted into it once more if the place is before them.

This works on the bus, whether an engine runs or not. A running one stands back meanwhile, and goes on by itself.

Examples:
  wasmill plugin reset card-velocity --to-sequence 1 --yes          all over again
  wasmill plugin reset card-velocity --to-time 2h --yes             the last two hours
  wasmill plugin reset card-velocity --to-time 0s --keep-state --yes   pass over what waits";

/// `reset`
#[derive(Debug, clap::Args)]
#[command(after_help = NOTES)]
#[group(id = "where", required = true, multiple = false, args = ["to_sequence", "to_time"])]
pub struct ResetArgs {
    /// The plugin
    #[arg(value_name = "NAME", value_parser = plugin)]
    plugin: PluginName,
    /// The sequence of the first event to handle
    #[arg(long, value_name = "SEQ", value_parser = clap::value_parser!(u64).range(1..))]
    to_sequence: Option<u64>,
    /// Handle what was stored since: a time as in 2026-11-21T10:00:00Z, or how long ago as in 15m, 2h, 3d
    #[arg(long, value_name = "TIME", value_parser = time)]
    to_time: Option<Timestamp>,
    /// In this stream only; needed with --to-sequence if the plugin reads several
    #[arg(long, value_name = "STREAM")]
    stream: Option<String>,
    /// Keep the fields and timers of all keys
    #[arg(long)]
    keep_state: bool,
    /// Really do it; without it, only say what would be done
    #[arg(long)]
    yes: bool,
    /// How to write the summary: text to stderr or json to stdout
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
    #[command(flatten)]
    place: Place,
}

/// What is done to a stream.
#[derive(Debug, Serialize)]
struct Move {
    stream: String,
    /// The first event that was not done, in any partition.
    from_sequence: u64,
    /// The first event to be handled.
    to_sequence: u64,
    #[serde(skip)]
    to: Reached,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    plugin: &'a str,
    streams: &'a [Move],
    keys: u64,
    keeps_state: bool,
    reset: bool,
}

/// Runs the command.
///
/// # Errors
/// Exit code 1 for what was refused, 3 if the bus is away.
pub fn run(args: &ResetArgs) -> Result<(), Failure> {
    args.place.visit(async |bus| reset(args, bus).await)
}

async fn reset(args: &ResetArgs, bus: Arc<dyn Bus>) -> Result<(), Failure> {
    let survey = survey(Arc::clone(&bus), &args.plugin).await?;
    let cursor = lowest(survey.parts().iter().filter_map(|part| part.owner.as_ref()));
    let moves = args.moves(&*bus, &cursor).await?;
    let keys = count(&survey).await?;
    let mut report = Report {
        plugin: args.plugin.as_str(),
        streams: &moves,
        keys,
        keeps_state: args.keep_state,
        reset: false,
    };
    let places: Vec<_> = moves.iter().map(Move::told).collect();
    let places = places.join(", ");
    let keys = counted(keys, "key");
    if !args.yes {
        if args.output == Format::Json {
            out::json(&report)?;
        }
        let state = if args.keep_state { format!("keep {keys}") } else { format!("forget {keys}") };
        return Err(anyhow!(
            "plugin {} would {state} and go to {places}\n  hint: --yes does it",
            args.plugin
        )
        .into());
    }
    let partitions = survey.parts().iter().map(|part| part.partition);
    let to: BTreeMap<String, Reached> = moves.iter().map(|one| (one.stream.clone(), one.to)).collect();
    let work = async |stewards: &mut Vec<Steward>| {
        let mut keys = 0;
        let done = set_back(stewards, &to, args.keep_state, &mut keys).await;
        done.map(|()| keys).map_err(|failure| ended_at(failure, "the reset", keys))
    };
    report.keys = own(&bus, &args.plugin, (partitions, survey.count()), "plugin-reset", work).await?;
    report.reset = true;
    match args.output {
        Format::Json => out::json(&report),
        Format::Text => {
            let state = if args.keep_state { "kept" } else { "forgotten" };
            let keys = counted(report.keys, "key");
            out::say(format_args!("plugin {} goes on from {places}; {keys} {state}", args.plugin));
            Ok(())
        }
    }
}

impl Move {
    fn told(&self) -> String {
        format!(
            "{}:{} (from {})",
            self.stream,
            out::grouped(self.to_sequence),
            out::grouped(self.from_sequence)
        )
    }
}

impl ResetArgs {
    async fn moves(&self, bus: &dyn Bus, cursor: &BTreeMap<String, Reached>) -> Result<Vec<Move>, Failure> {
        let plugin = &self.plugin;
        let known: Vec<_> = cursor.keys().map(String::as_str).collect();
        let told = known.join(", ");
        if let Some(stream) = self.stream.as_ref().filter(|stream| !cursor.contains_key(*stream)) {
            let hint =
                if known.is_empty() { "it has read none yet".to_owned() } else { format!("it reads {told}") };
            return Err(anyhow!("plugin {plugin} does not read stream {stream:?}\n  hint: {hint}").into());
        }
        if known.is_empty() {
            return Err(
                anyhow!("plugin {plugin} has not read any stream yet, so there is nothing to reset").into()
            );
        }
        if self.to_sequence.is_some() && self.stream.is_none() && known.len() > 1 {
            return Err(Failure::new(
                Exit::Usage,
                anyhow!(
                    "plugin {plugin} reads several streams: {told}\n  hint: --stream says in which the sequence is"
                ),
            ));
        }
        let mut moves = Vec::new();
        for (stream, from) in
            cursor.iter().filter(|(stream, _)| self.stream.as_ref().is_none_or(|one| one == *stream))
        {
            match self.target(bus, stream).await {
                Ok(to) => moves.push(Move {
                    stream: stream.clone(),
                    from_sequence: from.sequence + 1,
                    to_sequence: to.sequence + 1,
                    to,
                }),
                // It read that one under an earlier manifest.
                Err(Missed::Bus(BusError::StreamMissing(_))) if known.len() > 1 && self.stream.is_none() => {}
                Err(Missed::Bus(error)) => return Err(Failure::bus(error)),
                Err(Missed::Refused(error)) => return Err(error.into()),
            }
        }
        if moves.is_empty() {
            return Err(anyhow!(
                "none of the streams that plugin {plugin} has read is there: {told}\n  hint: `wasmill state delete {plugin} --all` forgets its keys"
            )
            .into());
        }
        Ok(moves)
    }

    /// The position before the first that is to be handled.
    async fn target(&self, bus: &dyn Bus, stream: &str) -> Result<Reached, Missed> {
        let info = bus.stream(stream).await?;
        let sequence = match (self.to_sequence, self.to_time) {
            (Some(sequence), _) => within(stream, sequence, info.last_sequence)? - 1,
            (None, Some(time)) => before(bus, stream, time, info.last_sequence).await?,
            (None, None) => return Err(Missed::Refused(anyhow!("where to is missing"))),
        };
        Ok(Reached { incarnation_ms: info.incarnation_ms, sequence })
    }
}

/// Why a place is none.
enum Missed {
    Bus(BusError),
    Refused(anyhow::Error),
}

impl From<BusError> for Missed {
    fn from(error: BusError) -> Self {
        Self::Bus(error)
    }
}

impl From<anyhow::Error> for Missed {
    fn from(error: anyhow::Error) -> Self {
        Self::Refused(error)
    }
}

fn within(stream: &str, sequence: u64, last: u64) -> anyhow::Result<u64> {
    ensure!(
        sequence <= last + 1,
        "stream {stream} ends with {last}, so that {sequence} is not there yet\n  hint: {} passes over all that is there",
        last + 1
    );
    Ok(sequence)
}

/// The last position before what was stored at a time or after it.
async fn before(bus: &dyn Bus, stream: &str, time: Timestamp, last: u64) -> Result<u64, BusError> {
    let ns = u64::try_from(time.as_nanosecond()).unwrap_or_default();
    let spec = FollowSpec {
        stream: stream.to_owned(),
        filters: Vec::new(),
        begin: Begin::Time(ns),
        headers_only: true,
        prefetch: 1,
        prefetch_bytes: 1,
    };
    let mut follow = bus.follow(&spec).await?;
    if follow.pending() == 0 {
        return Ok(last);
    }
    let operation = || format!("find {time} in stream {stream:?}");
    let late = |_| BusError::TimedOut { operation: operation(), after: PATIENCE };
    match tokio::time::timeout(PATIENCE, follow.next()).await.map_err(late)? {
        Some(first) => Ok(first?.position.sequence.saturating_sub(1)),
        None => Ok(last),
    }
}

/// Sets streams to a position, and forgets all keys, or what they know of events after it.
async fn set_back(
    stewards: &mut [Steward],
    to: &BTreeMap<String, Reached>,
    keep_state: bool,
    keys: &mut u64,
) -> Result<(), Failure> {
    let streams: Vec<String> = to.keys().cloned().collect();
    let mut resets = 0;
    for steward in &*stewards {
        resets = resets.max(steward.owner().await.resets + 1);
    }
    // First where to go on: if this ends here, what is still kept says which events are in it.
    for steward in &*stewards {
        let set = |owner: &mut Owner| {
            owner.cursor.extend(to.iter().map(|(stream, reached)| (stream.clone(), *reached)));
            (owner.resets, owner.clock_ns) = (resets, 0);
        };
        steward.set(set).await.map_err(failed)?;
    }
    for steward in stewards {
        let cursor = steward.owner().await.cursor;
        let mut records = steward.records().await.map_err(Failure::bus)?;
        while let Some(filed) = records.next().await.map_err(Failure::bus)? {
            let record = filed.record.as_ref().ok();
            let left = match (record, keep_state) {
                (Some(record), true) => rewound(record, &cursor, &streams),
                (Some(record), false) => remains(record, &cursor, &streams),
                (None, _) => None,
            };
            let done = match &left {
                // As an earlier reset has left it.
                Some(left) if Some(left) == record => Ok(()),
                Some(left) => steward.put(left, filed.ttl_s).await,
                None if keep_state => Ok(()),
                None => steward.remove(&filed.key).await,
            };
            done.map_err(failed)?;
            *keys += u64::from(holds(&filed));
        }
        steward.flush().await.map_err(failed)?;
    }
    Ok(())
}
