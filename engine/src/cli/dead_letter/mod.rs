//! `wasmill dead-letter`: events that failed, seen, corrected and sent back.
//!
//! In reading order: `filter` (which letters), `list` and `show` (what they say; `told` puts it into words and JSON),
//! `redrive`, `edit`, `purge`.

mod edit;
pub(super) mod filter;
mod list;
mod purge;
mod redrive;
mod show;
mod told;

use super::exit::Failure;
use super::settings::Place;
use crate::bus::BusError;
use crate::dead_letter::{Archive, ArchiveError, STREAM, Search, Selection};
use crate::outcome::one_line;

const EXAMPLES: &str = "\
Examples:
  wasmill dead-letter ls --group                     what failed, and how often
  wasmill dead-letter ls --plugin fraud --since 2h   one plugin's latest
  wasmill dead-letter show 17                        all about one
  wasmill dead-letter redrive --plugin fraud --open  once a fixed version is in place
  wasmill dead-letter edit 17                        correct one, then redrive the new one
  wasmill dead-letter purge --done --yes             forget those dealt with

A redrive goes to the plugin that failed, or to the one that --to names, and to nobody else. It is a new event with
outputs of its own: whatever the failed tries emitted stays. A letter is redriven once; --force does it again.";

/// See, correct and send back the events that failed
#[derive(Debug, clap::Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum DeadLetterCommand {
    /// List dead letters
    Ls(list::ListArgs),
    /// Show all about one dead letter
    Show(show::ShowArgs),
    /// Send dead letters to the plugin that failed, or to another one
    Redrive(redrive::RedriveArgs),
    /// Correct a dead letter: the corrected one is a new letter
    Edit(edit::EditArgs),
    /// Remove dead letters for good
    Purge(purge::PurgeArgs),
}

/// Runs the command.
///
/// # Errors
/// Exit code 1 for what was refused, 3 if the bus is away.
pub fn run(command: &DeadLetterCommand) -> Result<(), Failure> {
    match command {
        DeadLetterCommand::Ls(args) => {
            args.place.visit(async |bus| list::run(args, &Archive::new(bus)).await)
        }
        DeadLetterCommand::Show(args) => {
            args.place.visit(async |bus| show::run(args, &Archive::new(bus)).await)
        }
        DeadLetterCommand::Redrive(args) => {
            let selection = args.selection()?;
            args.place.visit(async |bus| redrive::run(args, selection, &Archive::new(bus)).await)
        }
        DeadLetterCommand::Edit(args) => {
            args.place.visit(async |bus| edit::run(args, &Archive::new(bus)).await)
        }
        DeadLetterCommand::Purge(args) => {
            let selection = args.selection()?;
            args.place.visit(async |bus| purge::run(args, selection, &Archive::new(bus)).await)
        }
    }
}

/// Begins a search.
async fn search(archive: &Archive, selection: Selection) -> Result<Search, Failure> {
    archive.search(selection).await.map_err(|error| match error {
        BusError::StreamMissing(_) => anyhow::anyhow!(no_letters()).into(),
        error => Failure::bus(error),
    })
}

fn no_letters() -> String {
    format!("there are no dead letters: stream {STREAM} does not exist, so no engine has run on this server")
}

/// The bus's part of an error keeps its exit code.
fn failed(error: ArchiveError) -> Failure {
    match error {
        ArchiveError::Bus(BusError::StreamMissing(_)) => anyhow::anyhow!(no_letters()).into(),
        ArchiveError::Bus(error) => Failure::bus(error),
        error => error.into(),
    }
}

/// A text of several lines, which may quote what a letter holds, without what a terminal would act on.
fn shown(text: &str) -> String {
    text.lines().map(|line| one_line(line.to_owned())).collect::<Vec<_>>().join("\n")
}

/// `1 letter`, `1,234 letters`.
fn letters(count: u64) -> String {
    format!("{} {}", super::out::grouped(count), if count == 1 { "letter" } else { "letters" })
}
