//! `wasmill dead-letter redrive`: letters go back to a plugin.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::anyhow;
use futures::future::join_all;
use serde::Serialize;

use super::filter::{Filter, plugin};
use super::list::all_or_some;
use super::{Place, letters, search, shown};
use crate::bus::BusError;
use crate::cli::exit::{Exit, Failure};
use crate::cli::out::{self, Format};
use crate::dead_letter::{Archive, ArchiveError, Found, Marks, Order, REDRIVES, Selection, Unsent};
use crate::manifest::PluginName;

/// The most refusals that are told one by one.
const TOLD: usize = 20;

const NOTES: &str = "\
A redriven event goes through the work queue WASMILL_REDRIVES to one plugin and to nobody else who subscribes to its
subject. It waits there until an engine runs the plugin. The plugin sees it as it was: subject, headers, payload, id,
source and time. If it fails again it becomes a dead letter of its own.

Once it is in the queue, the letter is marked as done, and is refused without --force from then on. The same redrive
sent twice within a day, as by two people at the same time, goes out once.";

/// `redrive`
#[derive(Debug, clap::Args)]
#[command(after_long_help = NOTES)]
pub struct RedriveArgs {
    #[command(flatten)]
    filter: Filter,
    /// All letters
    #[arg(long, help_heading = "Which letters")]
    all: bool,
    /// Send them to this plugin, in place of the one that failed
    #[arg(long, value_name = "PLUGIN", value_parser = plugin)]
    to: Option<PluginName>,
    /// Also those that were redriven or edited before
    #[arg(long)]
    force: bool,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// How to write the summary: text to stderr or json to stdout
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
    #[command(flatten)]
    pub(super) place: Place,
}

impl RedriveArgs {
    pub(super) fn selection(&self) -> Result<Selection, Failure> {
        if self.all || self.filter.chooses() {
            Ok(self.filter.selection())
        } else {
            Err(all_or_some("redrive"))
        }
    }
}

/// How it went.
#[derive(Debug, Default, Serialize)]
struct Report {
    dry_run: bool,
    sent: u64,
    refused: u64,
    /// The first refusals.
    refusals: Vec<Refusal>,
}

#[derive(Debug, Serialize)]
struct Refusal {
    sequence: u64,
    reason: String,
}

/// Runs the command.
pub(super) async fn run(args: &RedriveArgs, selection: Selection, archive: &Archive) -> Result<(), Failure> {
    let order = Order { to: args.to.clone(), force: args.force };
    let mut search = search(archive, selection).await?;
    if let Some(to) = &args.to
        && !archive.is_known(to).await.map_err(Failure::bus)?
    {
        return Err(anyhow!(
            "no engine has run plugin {to} on this server, so nobody would take the events\n  hint: is the name right? put the plugin into service first"
        )
        .into());
    }
    if !args.dry_run {
        archive.open_redrives().await.map_err(Failure::bus)?;
    }
    let mut report = Report { dry_run: args.dry_run, ..Report::default() };
    let mut run_here = BTreeMap::new();
    let broken = loop {
        let page = match search.next_page().await {
            Ok(page) if page.is_empty() => break None,
            Ok(page) => page,
            Err(error) => break Some(Failure::bus(error)),
        };
        if order.to.is_none() {
            learn_who_runs(archive, &page, &mut run_here).await.map_err(Failure::bus)?;
        }
        let sent = page.into_iter().map(|(found, marks)| one(archive, args, &order, found, marks, &run_here));
        let mut away = None;
        for (sequence, sent) in join_all(sent).await {
            if let Some(Unsent::Archive(ArchiveError::Bus(error))) =
                report.take(sequence, sent).filter(is_of_the_bus)
            {
                away = Some(Failure::bus(error));
            }
        }
        if away.is_some() {
            break away;
        }
    };
    report.tell(args)?;
    match broken {
        Some(failure) => Err(failure),
        None if report.refused > 0 => Err(Failure::silent(Exit::Refused)),
        None => Ok(()),
    }
}

fn is_of_the_bus(unsent: &Unsent) -> bool {
    matches!(unsent, Unsent::Archive(ArchiveError::Bus(error)) if error.is_transient())
}

/// Finds out which of the plugins that letters came from some engine has run: others would never take theirs.
async fn learn_who_runs(
    archive: &Archive,
    page: &[(Found, Marks)],
    run_here: &mut BTreeMap<PluginName, bool>,
) -> Result<(), BusError> {
    for (found, _) in page {
        if let Found::Letter(filed) = found
            && !run_here.contains_key(&filed.letter.plugin)
        {
            let plugin = filed.letter.plugin.clone();
            let known = archive.is_known(&plugin).await?;
            run_here.insert(plugin, known);
        }
    }
    Ok(())
}

async fn one(
    archive: &Archive,
    args: &RedriveArgs,
    order: &Order,
    found: Found,
    marks: Marks,
    run_here: &BTreeMap<PluginName, bool>,
) -> (u64, Result<u32, Unsent>) {
    let sequence = found.sequence();
    let sent = match found {
        Found::Letter(filed) if run_here.get(&filed.letter.plugin) == Some(&false) => {
            Err(Unsent::Nobody(filed.letter.plugin))
        }
        Found::Letter(_) if args.dry_run && marks.is_done() && !order.force => Err(Unsent::Done(marks)),
        Found::Letter(_) if args.dry_run => Ok(marks.redrives.saturating_add(1)),
        Found::Letter(filed) => archive.redrive(*filed, marks, order).await,
        Found::Unreadable { sequence, subject, fault, .. } => {
            Err(ArchiveError::Unreadable { sequence, subject, fault }.into())
        }
        Found::Missing { sequence } => Err(ArchiveError::Missing(sequence).into()),
    };
    (sequence, sent)
}

impl Report {
    /// Counts one; hands back why it was refused.
    fn take(&mut self, sequence: u64, sent: Result<u32, Unsent>) -> Option<Unsent> {
        let Err(unsent) = sent else {
            self.sent += 1;
            return None;
        };
        self.refused += 1;
        if self.refusals.len() < TOLD {
            self.refusals.push(Refusal { sequence, reason: unsent.to_string() });
        }
        Some(unsent)
    }

    fn tell(&self, args: &RedriveArgs) -> Result<(), Failure> {
        if args.output == Format::Json {
            return out::json(self);
        }
        let mut hints = BTreeSet::new();
        for Refusal { sequence, reason } in &self.refusals {
            let (reason, hint) =
                reason.split_once('\n').map_or((reason.as_str(), None), |(a, b)| (a, Some(b)));
            hints.extend(hint);
            out::say(format_args!("letter {sequence}: {}", shown(reason)));
        }
        let told = self.refusals.len() as u64;
        if self.refused > told {
            out::say(format_args!("… and {} more like these", self.refused - told));
        }
        for hint in hints {
            out::say(shown(hint));
        }
        let whom =
            args.to.as_ref().map_or_else(|| "the plugin that failed".to_owned(), |to| format!("plugin {to}"));
        out::say(match (self.dry_run, self.sent + self.refused) {
            (_, 0) => "no dead letters".to_owned(),
            (true, _) => format!("{} would be sent to {whom}, {} refused", letters(self.sent), self.refused),
            (false, _) => {
                format!("{} sent to {whom} through {REDRIVES}, {} refused", letters(self.sent), self.refused)
            }
        });
        Ok(())
    }
}
