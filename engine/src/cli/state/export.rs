//! `wasmill state export`: all that is stored, one key a line.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::line::{Head, Line};
use super::{counted, no_record, survey};
use crate::bus::Bus;
use crate::cli::dead_letter::filter::plugin;
use crate::cli::exit::{Exit, Failure};
use crate::cli::out;
use crate::cli::settings::Place;
use crate::keyed::bucket::Owner;
use crate::keyed::survey::{Filed, Survey};
use crate::manifest::PluginName;
use crate::record::Reached;

const NOTES: &str = "\
The first line says of which plugin it is and up to where its streams were done; each of the others is a key with its
fields, timers, and the events that are in it. Values are told as `data` (JSON), `text` or `base64`, so that `wasmill state
import` stores them byte for byte. What was written with KEY or --prefix is brought back by `wasmill state import --merge`.

Each key is told as it is at some moment while the command reads. If an engine is at work, a key that changes meanwhile may
come twice; the later line holds.";

/// `export`
#[derive(Debug, clap::Args)]
#[command(after_help = NOTES)]
pub struct ExportArgs {
    /// The plugin
    #[arg(value_name = "PLUGIN", value_parser = plugin)]
    plugin: PluginName,
    /// This key only [default: all]
    #[arg(value_name = "KEY", conflicts_with = "prefix")]
    key: Option<String>,
    /// Only keys that begin so
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    prefix: String,
    #[command(flatten)]
    pub(super) place: Place,
}

/// Runs the command.
pub(super) async fn run(args: &ExportArgs, bus: Arc<dyn Bus>) -> Result<(), Failure> {
    let survey = survey(bus, &args.plugin).await?;
    let mut told = Told::default();
    let head = serde_json::to_string(&head(&survey))?;
    if let Some(key) = &args.key {
        let filed = survey.record(key).await.map_err(Failure::bus)?;
        let filed = filed.ok_or_else(|| no_record(&args.plugin, key))?;
        out::data(head)?;
        told.tell(&filed)?;
        return told.end();
    }
    out::data(head)?;
    for part in survey.parts() {
        let mut records = survey.records(part).await.map_err(Failure::bus)?;
        while let Some(filed) = records.next().await.map_err(Failure::bus)? {
            if filed.key.starts_with(&args.prefix) {
                told.tell(&filed)?;
            }
        }
    }
    told.end()
}

/// What was told.
#[derive(Default)]
struct Told {
    records: u64,
    unreadable: u64,
}

impl Told {
    fn tell(&mut self, filed: &Filed) -> Result<(), Failure> {
        match &filed.record {
            Ok(record) => {
                out::data(serde_json::to_string(&Line::of(filed, record))?)?;
                self.records += 1;
            }
            Err(error) => {
                self.unreadable += 1;
                out::say(format_args!("error: the record of key {:?} cannot be read: {error}", filed.key));
            }
        }
        Ok(())
    }

    fn end(self) -> Result<(), Failure> {
        out::say(format_args!("{} exported", counted(self.records, "record")));
        if self.unreadable > 0 { Err(Failure::silent(Exit::Refused)) } else { Ok(()) }
    }
}

fn head(survey: &Survey) -> Head {
    let owners: Vec<_> = survey.parts().iter().filter_map(|part| part.owner.as_ref()).collect();
    let clock_ns = owners.iter().map(|owner| owner.clock_ns).min().unwrap_or_default();
    Head::new(survey.plugin().as_str(), survey.count(), lowest(owners), clock_ns)
}

/// Up to where each stream is done in all partitions.
pub(super) fn lowest<'a>(owners: impl IntoIterator<Item = &'a Owner>) -> BTreeMap<String, Reached> {
    let mut lowest = BTreeMap::<String, Reached>::new();
    for (stream, reached) in owners.into_iter().flat_map(|owner| &owner.cursor) {
        let known = lowest.entry(stream.clone()).or_insert(*reached);
        // A partition that still tells of a stream before this one has nothing done of it.
        if known.incarnation_ms == reached.incarnation_ms {
            known.sequence = known.sequence.min(reached.sequence);
        } else {
            *known =
                Reached { incarnation_ms: known.incarnation_ms.max(reached.incarnation_ms), sequence: 0 };
        }
    }
    lowest
}
