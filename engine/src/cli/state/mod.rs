//! `wasmill state`: what a plugin with a key keeps for each of its keys, seen, saved, restored and deleted; and
//! `wasmill plugin reset`.
//!
//! In reading order: `list` and `get` (what is there; `told` puts it into words, with `shapes` for what the SDKs store),
//! `line` (a record as a line of an export), `export`, `import` (`restore` stores it), `delete`, `reset`. The first two
//! and `export` only read. The others own the partitions while they work (`owned`): an engine that was at work on them is fenced off,
//! and goes on from where it was within a second or so.

mod delete;
mod export;
mod get;
mod import;
mod input;
mod line;
mod list;
mod owned;
pub mod reset;
mod restore;
mod shapes;
mod told;

use std::sync::Arc;

use super::exit::Failure;
use crate::bus::Bus;
use crate::keyed::survey::{Survey, SurveyError};
use crate::manifest::PluginName;

const EXAMPLES: &str = "\
Examples:
  wasmill state ls card-velocity --prefix C10     keys, and what each takes
  wasmill state ls card-velocity --partitions     who owns what, and how far it has come
  wasmill state get card-velocity C1042           all about one key
  wasmill state export card-velocity > state.ndjson
  wasmill state delete card-velocity C1042 --yes
  wasmill state import card-velocity state.ndjson --replace --yes
  wasmill state export card-velocity C1042 | wasmill state import card-velocity --merge --yes

They work on the bus, whether an engine runs or not. What writes takes the partitions over for as long as it works: an
engine stands back meanwhile and goes on by itself, and no event is lost or counted twice by it.";

/// See, save, restore and delete the state of plugins with a key
#[derive(Debug, clap::Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum StateCommand {
    /// List the keys of a plugin
    Ls(list::ListArgs),
    /// Show all about one key
    Get(get::GetArgs),
    /// Write what is stored to stdout, one key a line, as JSON
    Export(export::ExportArgs),
    /// Store what was exported
    Import(import::ImportArgs),
    /// Forget a key, or all
    Delete(delete::DeleteArgs),
}

/// Runs the command.
///
/// # Errors
/// Exit code 1 for what was refused, 3 if the bus is away.
pub fn run(command: &StateCommand) -> Result<(), Failure> {
    match command {
        StateCommand::Ls(args) => args.place.visit(async |bus| list::run(args, bus).await),
        StateCommand::Get(args) => args.place.visit(async |bus| get::run(args, bus).await),
        StateCommand::Export(args) => args.place.visit(async |bus| export::run(args, bus).await),
        StateCommand::Import(args) => {
            let input = import::open(args)?;
            args.place.visit(async |bus| import::run(args, input, bus).await)
        }
        StateCommand::Delete(args) => {
            args.check()?;
            args.place.visit(async |bus| delete::run(args, bus).await)
        }
    }
}

async fn survey(bus: Arc<dyn Bus>, plugin: &PluginName) -> Result<Survey, Failure> {
    Survey::open(bus, plugin).await.map_err(|error| match error {
        SurveyError::Bus(error) => Failure::bus(error),
        error => error.into(),
    })
}

/// What to say if a key has no record.
fn no_record(plugin: &PluginName, key: &str) -> anyhow::Error {
    anyhow::anyhow!(
        "plugin {plugin} has no record of key {key:?}\n  hint: `wasmill state ls {plugin}` lists its keys"
    )
}

/// `1 key`, `1,234 keys`.
fn counted(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", super::out::grouped(count), if count == 1 { "" } else { "s" })
}
