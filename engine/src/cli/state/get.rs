//! `wasmill state get`: all about one key.

use std::sync::Arc;

use anyhow::anyhow;
use serde::Serialize;

use super::line::Line;
use super::{no_record, survey, told};
use crate::bus::Bus;
use crate::cli::dead_letter::filter::plugin;
use crate::cli::exit::Failure;
use crate::cli::out::{self, Format};
use crate::cli::settings::Place;
use crate::keyed::bucket::Owner;
use crate::manifest::PluginName;

/// `get`
#[derive(Debug, clap::Args)]
pub struct GetArgs {
    /// The plugin
    #[arg(value_name = "PLUGIN", value_parser = plugin)]
    plugin: PluginName,
    /// The key
    #[arg(value_name = "KEY")]
    key: String,
    /// Write the value of this field and nothing else, byte for byte
    #[arg(long, value_name = "NAME", conflicts_with = "output")]
    field: Option<String>,
    /// How to write it
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
    #[command(flatten)]
    pub(super) place: Place,
}

#[derive(Serialize)]
struct Told<'a> {
    plugin: &'a str,
    partition: u32,
    revision: u64,
    stored: String,
    bytes: usize,
    /// All that it emits is known to be stored.
    settled: bool,
    owner: Option<&'a Owner>,
    #[serde(flatten)]
    line: Line,
}

/// Runs the command.
pub(super) async fn run(args: &GetArgs, bus: Arc<dyn Bus>) -> Result<(), Failure> {
    let survey = survey(bus, &args.plugin).await?;
    let key = &args.key;
    let filed =
        survey.record(key).await.map_err(Failure::bus)?.ok_or_else(|| no_record(&args.plugin, key))?;
    let record = filed
        .record
        .as_ref()
        .map_err(|error| anyhow!("the record of key {key:?} cannot be read: {error}"))?;
    if let Some(name) = &args.field {
        let names: Vec<_> = record.state.fields().map(|(name, _)| name.as_ref()).collect();
        let value = record.state.field(name).ok_or_else(|| match crate::hint::nearest(name, names) {
            Some(near) => anyhow!("key {key:?} has no field {name:?}\n  hint: did you mean {near:?}?"),
            None => anyhow!("key {key:?} has no field {name:?}\n  hint: without --field all are told"),
        })?;
        return out::bytes(value);
    }
    let part = survey.parts().iter().find(|part| part.partition == filed.partition);
    let owner = part.and_then(|part| part.owner.as_ref());
    match args.output {
        Format::Text => out::data(told::whole(&filed, record, owner, told::now_ns())),
        Format::Json => out::json(&Told {
            plugin: args.plugin.as_str(),
            partition: filed.partition,
            revision: filed.sequence,
            stored: told::time(filed.stored_ns),
            bytes: filed.bytes,
            settled: filed.settled,
            owner,
            line: Line::of(&filed, record),
        }),
    }
}
