//! `wasmill state import`: what was exported is stored.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use serde::Serialize;

use super::counted;
use super::delete::{count, holds};
use super::export::lowest;
use super::input::Input;
use super::line::Head;
use super::owned::{failed, own};
use crate::bus::{Bus, BusError};
use crate::cli::dead_letter::filter::plugin;
use crate::cli::exit::Failure;
use crate::cli::out::{self, Format};
use crate::cli::settings::Place;
use crate::key;
use crate::keyed::bucket::{Bucket, Owner};
use crate::keyed::steward::{Steward, remains};
use crate::keyed::survey::{Survey, SurveyError};
use crate::manifest::{MAX_PARTITIONS, PluginName};
use crate::record::{Reached, Record};

/// What a record's message may have beyond the record, in bytes: subject and headers.
const MESSAGE_HEAD_BYTES: usize = 1_024;

const NOTES: &str = "\
All lines are read and checked before anything is stored. Of two lines of one key the later holds. Outputs that may not
have been stored when the export was made are published first, unless their stream has them.

The plugin goes on from where it is: events that it handled after the export was made are not in its state then. With
--rewind it goes on from where the export was made, so that they are; what they emitted is emitted once more, under the same
ids. A plugin that has never run here goes on from where the export was made in any case.

To divide the keys otherwise: export, change state.partitions in the manifest to N, import with --replace --partitions N.";

/// `import`
#[derive(Debug, clap::Args)]
#[command(after_help = NOTES)]
pub struct ImportArgs {
    /// The plugin
    #[arg(value_name = "PLUGIN", value_parser = plugin)]
    plugin: PluginName,
    /// The export; `-` reads stdin
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
    /// Even if the plugin has keys: all of them are forgotten
    #[arg(long)]
    replace: bool,
    /// Go on from where the export was made, not from where the plugin is
    #[arg(long)]
    rewind: bool,
    /// Divide the keys into so many partitions [default: as they are]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_PARTITIONS)))]
    partitions: Option<u32>,
    /// How many servers keep a copy, where a bucket has to be made
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=5))]
    replicas: u32,
    /// Really replace keys; without it, they are only counted
    #[arg(long)]
    yes: bool,
    /// How to write the summary: text to stderr or json to stdout
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
    #[command(flatten)]
    pub(super) place: Place,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    plugin: &'a str,
    /// Lines stored, or to be stored.
    records: u64,
    /// Keys that were there before.
    replaced: u64,
    partitions: u32,
    imported: bool,
}

/// Opens what is to be imported.
pub(super) fn open(args: &ImportArgs) -> Result<Input, Failure> {
    Ok(Input::open(&args.file)?)
}

/// Runs the command.
pub(super) async fn run(args: &ImportArgs, input: Input, bus: Arc<dyn Bus>) -> Result<(), Failure> {
    let (head, records) = check(&input, bus.max_message_bytes())?;
    let survey = match Survey::open(Arc::clone(&bus), &args.plugin).await {
        Ok(survey) => Some(survey),
        Err(SurveyError::NoState { .. }) => None,
        Err(SurveyError::Bus(error)) => return Err(Failure::bus(error)),
        Err(error) => return Err(error.into()),
    };
    let before = survey.as_ref().map(Survey::count);
    let partitions = args.partitions.or(before).unwrap_or(head.partitions);
    let replaced = match &survey {
        Some(survey) => count(survey).await?,
        None => 0,
    };
    let mut report = Report { plugin: args.plugin.as_str(), records, replaced, partitions, imported: false };
    if replaced > 0 {
        let there = format!("plugin {} has {}", args.plugin, counted(replaced, "key"));
        if !args.replace {
            return Err(anyhow!("{there}\n  hint: --replace forgets them; or delete them first").into());
        }
        if !args.yes {
            if args.output == Format::Json {
                out::json(&report)?;
            }
            let records = counted(records, "record");
            return Err(anyhow!(
                "{there}, which would be replaced by {records}\n  hint: --yes replaces them"
            )
            .into());
        }
    }
    let most = partitions.max(before.unwrap_or(0));
    for partition in 0..most {
        let spec = Bucket::new(&args.plugin, partition).spec(args.replicas);
        bus.ensure_bucket(&spec).await.map_err(Failure::bus)?;
    }
    let before = before.unwrap_or(partitions);
    let import = Import { input: &input, head: &head, before, partitions, rewind: args.rewind };
    own(&bus, &args.plugin, (0..most, before), "state-import", async |stewards| import.run(stewards).await)
        .await?;
    for partition in partitions..most {
        // All that it held is in the others, and no engine takes it up again.
        match bus.delete_stream(&Bucket::new(&args.plugin, partition).stream()).await {
            Ok(_) | Err(BusError::StreamMissing(_)) => {}
            Err(error) => return Err(Failure::bus(error)),
        }
    }
    report.imported = true;
    match args.output {
        Format::Json => out::json(&report),
        Format::Text => {
            out::say(format_args!("{} of plugin {} imported", counted(records, "record"), args.plugin));
            Ok(())
        }
    }
}

/// Reads all lines, and counts the records.
fn check(input: &Input, max_message_bytes: usize) -> anyhow::Result<(Head, u64)> {
    let mut lines = input.lines()?;
    let head = lines.head()?;
    let limit = max_message_bytes.saturating_sub(MESSAGE_HEAD_BYTES);
    let mut records = 0;
    while let Some((record, _)) = lines.next()? {
        let bytes = record.encode().len();
        if bytes > limit {
            let told = format!(
                "the record of key {:?} has {bytes} bytes, over the server's limit of {limit}",
                record.key
            );
            return Err(anyhow!(told).context(lines.at()));
        }
        records += 1;
    }
    Ok((head, records))
}

struct Import<'a> {
    input: &'a Input,
    head: &'a Head,
    /// Into how many partitions the keys were divided.
    before: u32,
    partitions: u32,
    rewind: bool,
}

/// What is left of keys that are forgotten: see [`remains`].
type Left = HashMap<String, (Record, Option<u64>)>;

impl Import<'_> {
    async fn run(&self, stewards: &mut [Steward]) -> Result<(), Failure> {
        let rewound = self.set_out(stewards).await?;
        let left = self.forget(stewards, rewound).await?;
        if self.divides_anew() {
            for (record, ttl_s) in left.values() {
                self.steward(stewards, &record.key)?.put(record, *ttl_s).await.map_err(failed)?;
            }
        }
        let mut lines = self.input.lines()?;
        lines.head()?;
        while let Some((mut record, ttl_s)) = lines.next()? {
            let steward = self.steward(stewards, &record.key)?;
            if !record.outbox.is_empty() {
                let since_ns = record.touched_ns;
                steward.emit(vec![&mut record], since_ns).await.map_err(failed)?;
            }
            if let Some((left, _)) = left.get(&record.key) {
                for (stream, reached) in &left.applied {
                    record.apply(stream, *reached);
                }
            }
            steward.put(&record, ttl_s).await.map_err(failed)?;
        }
        for steward in &mut *stewards {
            steward.flush().await.map_err(failed)?;
        }
        // The first partition last: it is what the others are judged by.
        for steward in stewards.iter().rev().filter(|_| self.divides_anew()) {
            steward.set(|owner| owner.partitions = self.partitions).await.map_err(failed)?;
        }
        Ok(())
    }

    fn divides_anew(&self) -> bool {
        self.before != self.partitions
    }

    fn steward<'s>(&self, stewards: &'s mut [Steward], key: &str) -> anyhow::Result<&'s mut Steward> {
        let partition = key::partition(key, self.partitions);
        let steward = stewards.iter_mut().find(|steward| steward.partition() == partition);
        steward.with_context(|| format!("partition {partition} is not owned"))
    }

    /// Sets where the plugin goes on; says whether that is where the export was made.
    async fn set_out(&self, stewards: &[Steward]) -> Result<bool, Failure> {
        let mut owners = Vec::new();
        for steward in stewards.iter().filter(|steward| steward.partition() < self.before) {
            owners.push(steward.owner().await);
        }
        let present = lowest(&owners);
        let rewinds = self.rewind || present.is_empty();
        if !rewinds && !self.divides_anew() {
            return Ok(false);
        }
        let (cursor, clock_ns) = if rewinds {
            (self.head.cursor.clone(), self.head.clock_ns)
        } else {
            (present, owners.iter().map(|owner| owner.clock_ns).min().unwrap_or_default())
        };
        let resets = owners.iter().map(|owner| owner.resets).max().unwrap_or_default();
        for steward in stewards {
            let cursor = cursor.clone();
            let set = |owner: &mut Owner| {
                (owner.cursor, owner.clock_ns, owner.resets) = (cursor, clock_ns, resets);
            };
            steward.set(set).await.map_err(failed)?;
        }
        Ok(rewinds)
    }

    async fn forget(&self, stewards: &mut [Steward], rewound: bool) -> Result<Left, Failure> {
        let mut left = Left::new();
        for steward in stewards {
            let cursor: BTreeMap<String, Reached> = steward.owner().await.cursor;
            let mut records = steward.records().await.map_err(Failure::bus)?;
            while let Some(filed) = records.next().await.map_err(Failure::bus)? {
                let record = filed.record.as_ref().ok().filter(|_| !rewound);
                let remaining = record.and_then(|record| remains(record, &cursor, &[]));
                match &remaining {
                    Some(_) if !holds(&filed) && !self.divides_anew() => {}
                    Some(remaining) if !self.divides_anew() => {
                        steward.put(remaining, filed.ttl_s).await.map_err(failed)?;
                    }
                    _ => steward.remove(&filed.key).await.map_err(failed)?,
                }
                if let Some(remaining) = remaining {
                    left.insert(filed.key, (remaining, filed.ttl_s));
                }
            }
        }
        Ok(left)
    }
}
