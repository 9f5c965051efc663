//! `wasmill dead-letter ls`: letters in a table, or counted in groups.

use std::collections::BTreeMap;

use anyhow::anyhow;
use jiff::Timestamp;
use serde::Serialize;

use super::filter::Filter;
use super::{Place, letters, search, told};
use crate::bus::BusError;
use crate::cli::exit::{Exit, Failure};
use crate::cli::out::{self, Format, grouped};
use crate::dead_letter::{Archive, Found, Marks, UNREADABLE};
use crate::outcome::{cut, one_line};

/// The most letters of a table, whose columns are as wide as the widest cell: all of them are held until the last is read.
const TABLE_ROWS: u64 = 1_000;
/// As much of a failure's text as a row holds, in bytes.
const DETAIL_BYTES: usize = 60;
/// The most groups. Reasons are a few dozen, unless somebody else writes letters.
const MAX_GROUPS: usize = 10_000;

/// `ls`
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    #[command(flatten)]
    filter: Filter,
    /// Count them by plugin and reason
    #[arg(long)]
    group: bool,
    /// How to write them: a table, or as JSON, one letter a line
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
    #[command(flatten)]
    pub(super) place: Place,
}

/// Runs the command.
pub(super) async fn run(args: &ListArgs, archive: &Archive) -> Result<(), Failure> {
    let mut selection = args.filter.selection();
    let in_table = args.output == Format::Text && !args.group;
    if in_table {
        // One more than is shown tells whether there are more.
        selection.limit = Some(selection.limit.unwrap_or(TABLE_ROWS + 1).min(TABLE_ROWS + 1));
    }
    let mut lister = Lister::new(args);
    let mut search = match archive.search(selection.clone()).await {
        // Where no engine has run yet nothing has failed.
        Err(BusError::StreamMissing(_)) if selection.sequences.is_empty() => return lister.end(),
        Err(_) => search(archive, selection).await?,
        Ok(search) => search,
    };
    loop {
        let page = search.next_page().await.map_err(Failure::bus)?;
        if page.is_empty() {
            return lister.end();
        }
        for (found, marks) in page {
            lister.take(&found, marks)?;
        }
    }
}

struct Lister<'a> {
    args: &'a ListArgs,
    rows: Vec<Vec<String>>,
    groups: BTreeMap<(String, String), Group>,
    missing: u64,
}

#[derive(Debug, Clone, Serialize)]
struct Group {
    count: u64,
    open: u64,
    first: String,
    last: String,
    example: u64,
}

#[derive(Serialize)]
struct ToldGroup<'a> {
    plugin: &'a str,
    reason: &'a str,
    #[serde(flatten)]
    group: &'a Group,
}

impl<'a> Lister<'a> {
    fn new(args: &'a ListArgs) -> Self {
        Self { args, rows: Vec::new(), groups: BTreeMap::new(), missing: 0 }
    }

    fn take(&mut self, found: &Found, marks: Marks) -> Result<(), Failure> {
        if let Found::Missing { sequence } = found {
            self.missing += 1;
            out::say(format_args!("error: there is no dead letter {sequence}"));
        } else if self.args.group {
            self.count(found, marks);
        } else if self.args.output == Format::Json {
            if let Some(line) = told::line(found, marks) {
                out::data(line?)?;
            }
        } else {
            self.rows.extend(row(found, marks));
        }
        Ok(())
    }

    fn count(&mut self, found: &Found, marks: Marks) {
        let (plugin, reason, stored) = match found {
            Found::Letter(filed) => {
                (filed.letter.plugin.to_string(), filed.letter.reason.clone(), filed.stored)
            }
            Found::Unreadable { subject, stored, .. } => (subject.clone(), UNREADABLE.to_owned(), *stored),
            Found::Missing { .. } => return,
        };
        let mut key = (plugin, reason);
        if self.groups.len() >= MAX_GROUPS && !self.groups.contains_key(&key) {
            key = ("-".to_owned(), "others".to_owned());
        }
        let group = self.groups.entry(key).or_insert_with(|| Group {
            count: 0,
            open: 0,
            first: stored.to_string(),
            last: String::new(),
            example: found.sequence(),
        });
        group.count += 1;
        group.open += u64::from(!marks.is_done());
        group.last = stored.to_string();
    }

    fn end(self) -> Result<(), Failure> {
        match (self.args.group, self.args.output) {
            (true, Format::Json) => {
                for ((plugin, reason), group) in &self.groups {
                    out::data(serde_json::to_string(&ToldGroup { plugin, reason, group })?)?;
                }
            }
            (true, Format::Text) if !self.groups.is_empty() => out::data(grouped_table(&self.groups))?,
            (false, Format::Text) if !self.rows.is_empty() => self.table()?,
            (_, Format::Text) if self.missing == 0 => out::say("no dead letters"),
            _ => {}
        }
        if self.missing > 0 { Err(Failure::silent(Exit::Refused)) } else { Ok(()) }
    }

    fn table(&self) -> Result<(), Failure> {
        let heading = ["LETTER", "STORED", "PLUGIN", "REASON", "STATE", "TRIES", "SUBJECT", "DETAIL"];
        let shown = usize::try_from(TABLE_ROWS).unwrap_or(usize::MAX);
        let mut rows = vec![heading.map(str::to_owned).to_vec()];
        rows.extend(self.rows.iter().take(shown).cloned());
        out::data(out::table(&rows, &[0, 5]))?;
        if self.rows.len() > shown {
            out::say(format_args!(
                "the first {}; there are more\n  hint: --since, --group, or -o json",
                letters(TABLE_ROWS)
            ));
        }
        Ok(())
    }
}

fn row(found: &Found, marks: Marks) -> Option<Vec<String>> {
    let row = match found {
        Found::Letter(filed) => {
            let letter = &filed.letter;
            [
                filed.sequence.to_string(),
                seconds(filed.stored),
                letter.plugin.to_string(),
                letter.reason.clone(),
                told::state(marks),
                letter.attempts.to_string(),
                letter.event.message.subject.as_str().to_owned(),
                short(&letter.detail),
            ]
        }
        Found::Unreadable { sequence, stored, subject, fault } => [
            sequence.to_string(),
            seconds(*stored),
            "-".to_owned(),
            UNREADABLE.to_owned(),
            "-".to_owned(),
            "-".to_owned(),
            subject.clone(),
            fault.to_string(),
        ],
        Found::Missing { .. } => return None,
    };
    Some(row.map(one_line).to_vec())
}

fn seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn short(detail: &str) -> String {
    let mut text = detail.to_owned();
    if text.len() > DETAIL_BYTES {
        cut(&mut text, DETAIL_BYTES);
        text.push('…');
    }
    text
}

fn grouped_table(groups: &BTreeMap<(String, String), Group>) -> String {
    let heading = ["PLUGIN", "REASON", "LETTERS", "OPEN", "FIRST", "LAST", "EXAMPLE"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for ((plugin, reason), group) in groups {
        let cells = [
            plugin.clone(),
            reason.clone(),
            grouped(group.count),
            grouped(group.open),
            group.first.clone(),
            group.last.clone(),
            group.example.to_string(),
        ];
        rows.push(cells.map(one_line).to_vec());
    }
    out::table(&rows, &[2, 3, 6])
}

/// What a command without any filter is told.
pub(super) fn all_or_some(what: &str) -> Failure {
    Failure::new(
        Exit::Usage,
        anyhow!(
            "which letters to {what}?\n  hint: name some, or use --plugin, --reason, --since, --open and the like, or --all"
        ),
    )
}
