//! `wasmill dead-letter purge`: letters are removed for good.

use anyhow::anyhow;
use futures::{StreamExt as _, stream};
use serde::Serialize;

use super::filter::Filter;
use super::list::all_or_some;
use super::{Place, letters, search};
use crate::cli::exit::{Exit, Failure};
use crate::cli::out::{self, Format};
use crate::dead_letter::{Archive, Found, Selection};

/// Letters removed at once.
const AT_ONCE: usize = 16;

/// `purge`
#[derive(Debug, clap::Args)]
pub struct PurgeArgs {
    #[command(flatten)]
    filter: Filter,
    /// All letters
    #[arg(long, help_heading = "Which letters")]
    all: bool,
    /// Really remove them; without it, they are only counted
    #[arg(long)]
    yes: bool,
    /// How to write the summary: text to stderr or json to stdout
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
    #[command(flatten)]
    pub(super) place: Place,
}

impl PurgeArgs {
    pub(super) fn selection(&self) -> Result<Selection, Failure> {
        if self.all || self.filter.chooses() {
            Ok(self.filter.selection())
        } else {
            Err(all_or_some("purge"))
        }
    }
}

/// How it went.
#[derive(Debug, Default, Serialize)]
struct Report {
    /// Letters removed, or to be removed.
    letters: u64,
    /// Of those, such as nobody has dealt with.
    open: u64,
    /// Sequences at which there is no letter.
    missing: u64,
    removed: bool,
}

/// Runs the command.
pub(super) async fn run(args: &PurgeArgs, selection: Selection, archive: &Archive) -> Result<(), Failure> {
    let mut search = search(archive, selection).await?;
    let mut report = Report { removed: args.yes, ..Report::default() };
    loop {
        let page = search.next_page().await.map_err(Failure::bus)?;
        if page.is_empty() {
            break;
        }
        let mut there = Vec::new();
        for (found, marks) in page {
            if let Found::Missing { sequence } = found {
                report.missing += 1;
                out::say(format_args!("error: there is no dead letter {sequence}"));
            } else {
                report.letters += 1;
                report.open += u64::from(!marks.is_done());
                there.push(found);
            }
        }
        if args.yes {
            let mut removals =
                stream::iter(&there).map(|found| archive.remove(found)).buffer_unordered(AT_ONCE);
            while let Some(removed) = removals.next().await {
                removed.map_err(Failure::bus)?;
            }
        }
    }
    report.tell(args)
}

impl Report {
    fn tell(&self, args: &PurgeArgs) -> Result<(), Failure> {
        let count = format!("{}, {} of them open,", letters(self.letters), self.open);
        if args.output == Format::Json {
            out::json(self)?;
        } else if self.letters == 0 {
            out::say("no dead letters");
        } else if args.yes {
            out::say(format_args!("{count} removed"));
        }
        if !args.yes && self.letters > 0 {
            return Err(anyhow!("{count} would be removed for good\n  hint: --yes removes them").into());
        }
        if self.missing > 0 { Err(Failure::silent(Exit::Refused)) } else { Ok(()) }
    }
}
