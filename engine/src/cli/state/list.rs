//! `wasmill state ls`: the keys of a plugin in a table, or its partitions.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;

use super::{counted, survey, told};
use crate::bus::{Bus, BusError};
use crate::cli::dead_letter::filter::plugin;
use crate::cli::exit::{Exit, Failure};
use crate::cli::out::{self, Format, grouped};
use crate::cli::settings::Place;
use crate::keyed::bucket::Owner;
use crate::keyed::survey::{Filed, Part, Survey};
use crate::manifest::PluginName;
use crate::outcome::one_line;
use crate::record::{Reached, Record};

/// The most keys of a table, whose columns are as wide as the widest cell: all of them are held until the last is read.
const TABLE_ROWS: usize = 1_000;

const NOTES: &str = "\
A key that holds neither fields nor timers is only listed with --all: what is left of it says which events were handled.
While an engine is at work, -o json may tell of a key twice; the later line holds.";

/// `ls`
#[derive(Debug, clap::Args)]
#[command(after_help = NOTES)]
pub struct ListArgs {
    /// The plugin
    #[arg(value_name = "PLUGIN", value_parser = plugin)]
    plugin: PluginName,
    /// Only keys that begin so
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    prefix: String,
    /// No more than this many [default: 1,000 in a table, all as JSON]
    #[arg(long, value_name = "COUNT")]
    limit: Option<usize>,
    /// Also keys that hold nothing
    #[arg(long)]
    all: bool,
    /// The partitions instead: who owns each, and how far it has come
    #[arg(long, conflicts_with_all = ["prefix", "limit", "all"])]
    partitions: bool,
    /// How to write them: a table, or as JSON, one a line
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
    #[command(flatten)]
    pub(super) place: Place,
}

/// Runs the command.
pub(super) async fn run(args: &ListArgs, bus: Arc<dyn Bus>) -> Result<(), Failure> {
    let survey = survey(Arc::clone(&bus), &args.plugin).await?;
    if args.partitions {
        return partitions(args, &survey, &*bus).await;
    }
    let in_table = args.output == Format::Text;
    let most = args.limit.unwrap_or(usize::MAX).min(if in_table { TABLE_ROWS } else { usize::MAX });
    let mut lister = Lister {
        args,
        most,
        rows: Vec::new(),
        at: HashMap::new(),
        listed: 0,
        more: false,
        empty: 0,
        unreadable: 0,
    };
    'all: for part in survey.parts() {
        let mut records = survey.records(part).await.map_err(Failure::bus)?;
        while !lister.more {
            let Some(filed) = records.next().await.map_err(Failure::bus)? else { continue 'all };
            lister.take(&filed)?;
        }
        break;
    }
    lister.end()
}

struct Lister<'a> {
    args: &'a ListArgs,
    /// No more keys than these are listed.
    most: usize,
    rows: Vec<Vec<String>>,
    /// Where the row of a key stands.
    at: HashMap<String, usize>,
    listed: usize,
    /// There is at least one key more than are listed.
    more: bool,
    empty: u64,
    unreadable: u64,
}

#[derive(Serialize)]
struct Told<'a> {
    key: &'a str,
    partition: u32,
    bytes: usize,
    #[serde(flatten)]
    held: Option<ToldHeld<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unreadable: Option<String>,
}

#[derive(Serialize)]
struct ToldHeld<'a> {
    fields: usize,
    timers: usize,
    next_timer: Option<String>,
    touched: String,
    version: &'a str,
}

impl Lister<'_> {
    fn take(&mut self, filed: &Filed) -> Result<(), Failure> {
        if !filed.key.starts_with(&self.args.prefix) {
            return Ok(());
        }
        if filed.record.as_ref().is_ok_and(|record| record.state.is_empty()) && !self.args.all {
            self.empty += 1;
            return Ok(());
        }
        let known = self.at.get(&filed.key).copied();
        if known.is_none() && self.listed >= self.most {
            self.more = true;
            return Ok(());
        }
        self.unreadable += u64::from(filed.record.is_err());
        if self.args.output == Format::Json {
            self.listed += 1;
            return out::data(serde_json::to_string(&json(filed))?);
        }
        let row = row(filed);
        match known.and_then(|at| self.rows.get_mut(at)) {
            Some(before) => *before = row,
            None => {
                self.at.insert(filed.key.clone(), self.rows.len());
                self.rows.push(row);
                self.listed += 1;
            }
        }
        Ok(())
    }

    fn end(self) -> Result<(), Failure> {
        if self.args.output == Format::Text {
            let heading = ["KEY", "PARTITION", "BYTES", "FIELDS", "TIMERS", "NEXT TIMER", "TOUCHED"];
            let mut rows = vec![heading.map(str::to_owned).to_vec()];
            rows.extend(self.rows);
            if self.listed == 0 && !self.more {
                out::say("no keys");
            } else {
                out::data(out::table(&rows, &[1, 2, 3, 4]))?;
            }
            if self.empty > 0 && !self.more {
                out::say(format_args!(
                    "{} more that hold nothing\n  hint: --all lists them",
                    grouped(self.empty)
                ));
            }
        }
        if self.more {
            let first = counted(self.listed as u64, "key");
            let limited = self.args.output == Format::Json || self.most < TABLE_ROWS;
            let hint = if limited { "a larger --limit, or --prefix" } else { "--prefix, or -o json" };
            out::say(format_args!("the first {first}; there are more\n  hint: {hint}"));
        }
        if self.unreadable > 0 {
            let unreadable = counted(self.unreadable, "record");
            out::say(format_args!(
                "error: {unreadable} cannot be read\n  hint: `wasmill state get` says why"
            ));
            return Err(Failure::silent(Exit::Refused));
        }
        Ok(())
    }
}

fn json(filed: &Filed) -> Told<'_> {
    let unreadable = filed.record.as_ref().err().map(ToString::to_string);
    let held = filed.record.as_ref().ok().map(ToldHeld::of);
    Told { key: &filed.key, partition: filed.partition, bytes: filed.bytes, held, unreadable }
}

impl<'a> ToldHeld<'a> {
    fn of(record: &'a Record) -> Self {
        Self {
            fields: record.state.fields().len(),
            timers: record.state.timer_count(),
            next_timer: record.state.earliest().map(|(_, timer)| told::time(timer.due_ns)),
            touched: told::time(record.touched_ns),
            version: &record.version,
        }
    }
}

fn row(filed: &Filed) -> Vec<String> {
    let dash = || "-".to_owned();
    let [fields, timers, next, touched] = match &filed.record {
        Ok(record) => [
            grouped(record.state.fields().len() as u64),
            grouped(record.state.timer_count() as u64),
            record.state.earliest().map_or_else(dash, |(_, timer)| told::second(timer.due_ns)),
            told::second(record.touched_ns),
        ],
        Err(_) => [dash(), dash(), dash(), "unreadable".to_owned()],
    };
    let (key, partition, bytes) =
        (filed.key.clone(), filed.partition.to_string(), grouped(filed.bytes as u64));
    [key, partition, bytes, fields, timers, next, touched].map(one_line).to_vec()
}

#[derive(Serialize)]
struct ToldPart<'a> {
    partition: u32,
    bucket: &'a str,
    #[serde(flatten)]
    owner: Option<&'a Owner>,
    renewed: String,
    streams: Vec<ToldStream<'a>>,
}

#[derive(Serialize)]
struct ToldStream<'a> {
    stream: &'a str,
    done: u64,
    /// The stream's last sequence; none if the stream is gone, or is another of the same name.
    last: Option<u64>,
}

async fn partitions(args: &ListArgs, survey: &Survey, bus: &dyn Bus) -> Result<(), Failure> {
    let heading = ["PARTITION", "OWNER", "STATE", "RENEWED", "STREAM", "DONE", "LAST", "RESETS"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    let mut known = HashMap::new();
    for part in survey.parts() {
        let mut streams = Vec::new();
        for (stream, reached) in part.owner.iter().flat_map(|owner| &owner.cursor) {
            let last = match known.get(stream) {
                Some(last) => *last,
                None => last_of(bus, stream, *reached).await?,
            };
            known.insert(stream.clone(), last);
            streams.push(ToldStream { stream, done: reached.sequence, last });
        }
        if args.output == Format::Json {
            let renewed = told::time(part.renewed_ns);
            let (partition, bucket, owner) = (part.partition, part.bucket.name(), part.owner.as_ref());
            out::data(serde_json::to_string(&ToldPart { partition, bucket, owner, renewed, streams })?)?;
        } else {
            rows.extend(part_rows(part, &streams));
        }
    }
    if args.output == Format::Text {
        out::data(out::table(&rows, &[0, 5, 6, 7]))?;
    }
    Ok(())
}

async fn last_of(bus: &dyn Bus, stream: &str, reached: Reached) -> Result<Option<u64>, Failure> {
    match bus.stream(stream).await {
        Ok(info) if info.incarnation_ms == reached.incarnation_ms => Ok(Some(info.last_sequence)),
        Ok(_) | Err(BusError::StreamMissing(_)) => Ok(None),
        Err(error) => Err(Failure::bus(error)),
    }
}

fn part_rows(part: &Part, streams: &[ToldStream<'_>]) -> Vec<Vec<String>> {
    let none = || "-".to_owned();
    let (engine, state, resets) = match &part.owner {
        Some(owner) if owner.released => (none(), "released", owner.resets),
        Some(owner) => (owner.engine.clone(), "owned", owner.resets),
        None => (none(), "new", 0),
    };
    let renewed = if part.renewed_ns == 0 { none() } else { told::second(part.renewed_ns) };
    let head = [part.partition.to_string(), engine, state.to_owned(), renewed];
    let row = |head: [String; 4], stream: [String; 3]| {
        let all = head.into_iter().chain(stream).chain([resets.to_string()]);
        all.map(one_line).collect::<Vec<_>>()
    };
    if streams.is_empty() {
        return vec![row(head, [none(), none(), none()])];
    }
    let told = |stream: &ToldStream<'_>| {
        let last = stream.last.map_or_else(|| "gone".to_owned(), grouped);
        row(head.clone(), [stream.stream.to_owned(), grouped(stream.done), last])
    };
    streams.iter().map(told).collect()
}
