//! `wasmill state import`: what was exported is stored.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{anyhow, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;

use super::counted;
use super::delete::{count, holds};
use super::input::Input;
use super::line::Head;
use super::owned::own;
use super::restore::{AT_ONCE, Restore};
use crate::bus::{Bus, BusError};
use crate::cli::dead_letter::filter::plugin;
use crate::cli::exit::Failure;
use crate::cli::out::{self, Format};
use crate::cli::settings::Place;
use crate::keyed::bucket::Bucket;
use crate::keyed::survey::{Survey, SurveyError};
use crate::manifest::{MAX_PARTITIONS, PluginName};

/// What a record's message may have beyond the record, in bytes: subject and headers.
const MESSAGE_HEAD_BYTES: usize = 1_024;

const NOTES: &str = "\
All lines are read and checked before anything is stored. Of two lines of one key the later holds. Outputs that may not
have been stored when the export was made are published first, unless their stream has them. If it ends before all is done,
each key is as it was or as the export has it; run it again then.

The plugin goes on from where it is: events that it handled after the export was made are not in its state then. With
--rewind it goes on from where the export was made, so that they are; what they emitted is emitted once more, under the same
ids. A plugin that has never run here goes on from where the export was made in any case.

With --merge, keys that the export does not have stay as they are: that brings back a part that `wasmill state export` wrote
with a KEY or --prefix. Events of a key that were handled before are not handled again, whether its export has them or not.

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
    /// Even if the plugin has keys: those that the export has are replaced, the others stay
    #[arg(long, conflicts_with_all = ["replace", "rewind", "partitions"])]
    merge: bool,
    /// Even if the export is of a plugin of another name
    #[arg(long)]
    from_other: bool,
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
    /// Keys that were there before and are no more, or as the export has them.
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
    let (head, records, keys) = check(&input, bus.max_message_bytes(), args.merge)?;
    args.is_of(&head)?;
    let survey = match Survey::open(Arc::clone(&bus), &args.plugin).await {
        Ok(survey) => Some(survey),
        Err(SurveyError::NoState { .. }) => None,
        Err(SurveyError::Bus(error)) => return Err(Failure::bus(error)),
        Err(error) => return Err(error.into()),
    };
    let before = survey.as_ref().map(Survey::count);
    let partitions = args.partitions.or(before).unwrap_or(head.partitions);
    let replaced = match &survey {
        Some(survey) if args.merge => held(survey, &keys).await?,
        Some(survey) => count(survey).await?,
        None => 0,
    };
    let mut report = Report { plugin: args.plugin.as_str(), records, replaced, partitions, imported: false };
    args.may(&report)?;
    let most = partitions.max(before.unwrap_or(0));
    for partition in 0..most {
        let spec = Bucket::new(&args.plugin, partition).spec(args.replicas);
        bus.ensure_bucket(&spec).await.map_err(Failure::bus)?;
    }
    let before = before.unwrap_or(partitions);
    let (input, head, merged) = (&input, &head, args.merge.then_some(&keys));
    let restore = Restore { input, head, records, before, partitions, rewind: args.rewind, merged };
    let partitions_owned = (0..most, before);
    own(&bus, &args.plugin, partitions_owned, "state-import", async |stewards| restore.run(stewards).await)
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

impl ImportArgs {
    /// Whether it is an export of this plugin.
    fn is_of(&self, head: &Head) -> anyhow::Result<()> {
        let (of, plugin) = (&head.plugin, &self.plugin);
        ensure!(
            self.from_other || of == plugin.as_str(),
            "the export is of plugin {of:?}, not of {plugin}\n  hint: --from-other imports it all the same"
        );
        Ok(())
    }

    /// Whether what is there may be replaced.
    fn may(&self, report: &Report<'_>) -> Result<(), Failure> {
        let keys = counted(report.replaced, "key");
        if report.replaced == 0 {
            return Ok(());
        }
        if !self.merge && !self.replace {
            return Err(anyhow!(
                "plugin {} has {keys}\n  hint: --merge replaces those that the export has, --replace forgets all of them",
                self.plugin
            )
            .into());
        }
        if self.yes {
            return Ok(());
        }
        if self.output == Format::Json {
            out::json(report)?;
        }
        let records = counted(report.records, "record");
        let told = if self.merge {
            format!("{keys} of plugin {} would be replaced, as {records} would be stored", self.plugin)
        } else {
            format!("plugin {} has {keys}, which would be replaced by {records}", self.plugin)
        };
        Err(anyhow!("{told}\n  hint: --yes replaces them").into())
    }
}

/// How many of these keys hold anything.
async fn held(survey: &Survey, keys: &HashSet<String>) -> Result<u64, Failure> {
    let found = stream::iter(keys).map(|key| survey.record(key)).buffer_unordered(AT_ONCE);
    let held =
        found.try_fold(0, async |count, filed| Ok(count + u64::from(filed.as_ref().is_some_and(holds))));
    held.await.map_err(Failure::bus)
}

/// Reads all lines, counts the records, and keeps their keys if they are `wanted`.
fn check(
    input: &Input,
    max_message_bytes: usize,
    wanted: bool,
) -> anyhow::Result<(Head, u64, HashSet<String>)> {
    let mut lines = input.lines()?;
    let head = lines.head()?;
    let limit = max_message_bytes.saturating_sub(MESSAGE_HEAD_BYTES);
    let mut records = 0;
    let mut keys = HashSet::new();
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
        if wanted {
            keys.insert(record.key);
        }
    }
    Ok((head, records, keys))
}
