//! `wasmill state delete`: a key is forgotten, or all are.

use std::sync::Arc;

use anyhow::anyhow;
use serde::Serialize;

use super::owned::{ended_at, failed, own};
use super::{counted, survey};
use crate::bus::Bus;
use crate::cli::dead_letter::filter::plugin;
use crate::cli::exit::{Exit, Failure};
use crate::cli::out::{self, Format};
use crate::cli::settings::Place;
use crate::keyed::rewind::remains;
use crate::keyed::steward::Steward;
use crate::keyed::survey::{Filed, Survey};
use crate::manifest::PluginName;

const NOTES: &str = "\
A key that was deleted begins anew with its next event. Events that were handled before are not handled again; if the
stream may still bring some of them, the key's record stays, empty but for their positions. What the key had emitted is
stored first.";

/// `delete`
#[derive(Debug, clap::Args)]
#[command(after_help = NOTES)]
pub struct DeleteArgs {
    /// The plugin
    #[arg(value_name = "PLUGIN", value_parser = plugin)]
    plugin: PluginName,
    /// The key
    #[arg(value_name = "KEY", conflicts_with = "all")]
    key: Option<String>,
    /// All keys
    #[arg(long)]
    all: bool,
    /// Really delete; without it, keys are only counted
    #[arg(long)]
    yes: bool,
    /// How to write the summary: text to stderr or json to stdout
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
    #[command(flatten)]
    pub(super) place: Place,
}

impl DeleteArgs {
    pub(super) fn check(&self) -> Result<(), Failure> {
        if self.all || self.key.is_some() {
            return Ok(());
        }
        Err(Failure::new(
            Exit::Usage,
            anyhow!("which key to delete?\n  hint: name one, or all of them with --all"),
        ))
    }
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    plugin: &'a str,
    keys: u64,
    deleted: bool,
}

/// Runs the command.
pub(super) async fn run(args: &DeleteArgs, bus: Arc<dyn Bus>) -> Result<(), Failure> {
    let survey = survey(Arc::clone(&bus), &args.plugin).await?;
    let keys = match &args.key {
        Some(key) => held(&survey, key).await?,
        None => count(&survey).await?,
    };
    let told = match &args.key {
        Some(key) => format!("key {key:?} of plugin {}", args.plugin),
        None => format!("{} of plugin {}", counted(keys, "key"), args.plugin),
    };
    let mut report = Report { plugin: args.plugin.as_str(), keys, deleted: args.yes };
    if !args.yes {
        if args.output == Format::Json {
            out::json(&report)?;
        }
        return Err(anyhow!("{told} would be deleted for good\n  hint: --yes deletes").into());
    }
    report.keys = match &args.key {
        Some(key) => one(&bus, &survey, key).await?,
        None => all(&bus, &survey).await?,
    };
    match (args.output, &args.key) {
        (Format::Json, _) => out::json(&report),
        (Format::Text, Some(key)) => {
            out::say(format_args!("key {key:?} of plugin {} deleted", args.plugin));
            Ok(())
        }
        (Format::Text, None) => {
            out::say(format_args!("{} of plugin {} deleted", counted(report.keys, "key"), args.plugin));
            Ok(())
        }
    }
}

/// Whether a record holds anything.
pub(super) fn holds(filed: &Filed) -> bool {
    filed.record.as_ref().map_or(true, |record| !record.state.is_empty())
}

async fn held(survey: &Survey, key: &str) -> Result<u64, Failure> {
    match survey.record(key).await.map_err(Failure::bus)? {
        Some(filed) if holds(&filed) => Ok(1),
        _ => Err(anyhow!(
            "plugin {0} holds nothing of key {key:?}\n  hint: `wasmill state ls {0}` lists its keys",
            survey.plugin()
        )
        .into()),
    }
}

/// How many keys hold anything.
pub(super) async fn count(survey: &Survey) -> Result<u64, Failure> {
    let mut keys = 0;
    for part in survey.parts() {
        let mut records = survey.records(part).await.map_err(Failure::bus)?;
        while let Some(filed) = records.next().await.map_err(Failure::bus)? {
            keys += u64::from(holds(&filed));
        }
    }
    Ok(keys)
}

async fn one(bus: &Arc<dyn Bus>, survey: &Survey, key: &str) -> Result<u64, Failure> {
    let partition = crate::key::partition(key, survey.count());
    own(bus, survey.plugin(), ([partition], survey.count()), "state-delete", async |stewards| {
        for steward in stewards {
            // Read again: an engine may have written it until it was fenced off.
            if let Some(filed) = steward.record(key).await.map_err(Failure::bus)? {
                forget(steward, &filed).await?;
                steward.flush().await.map_err(failed)?;
            }
        }
        Ok(1)
    })
    .await
}

async fn all(bus: &Arc<dyn Bus>, survey: &Survey) -> Result<u64, Failure> {
    let partitions = survey.parts().iter().map(|part| part.partition);
    own(bus, survey.plugin(), (partitions, survey.count()), "state-delete", async |stewards| {
        let mut keys = 0;
        let done = forget_all(stewards, &mut keys).await;
        done.map(|()| keys).map_err(|failure| ended_at(failure, "deleting", keys))
    })
    .await
}

async fn forget_all(stewards: &mut [Steward], keys: &mut u64) -> Result<(), Failure> {
    for steward in stewards {
        let mut records = steward.records().await.map_err(Failure::bus)?;
        while let Some(filed) = records.next().await.map_err(Failure::bus)? {
            *keys += u64::from(forget(steward, &filed).await?);
        }
        steward.flush().await.map_err(failed)?;
    }
    Ok(())
}

/// Forgets a key, except for which events that may come again were handled; says whether it held anything.
async fn forget(steward: &mut Steward, filed: &Filed) -> Result<bool, Failure> {
    let owner = steward.owner().await;
    let left = filed.record.as_ref().ok().and_then(|record| remains(record, &owner.cursor, &[]));
    let done = match &left {
        Some(left) if !holds(filed) => {
            debug_assert!(left.state.is_empty(), "nothing is left of a key but positions");
            Ok(())
        }
        Some(left) => steward.put(left, filed.ttl_s).await,
        None => steward.remove(&filed.key).await,
    };
    done.map_err(failed)?;
    Ok(holds(filed))
}
