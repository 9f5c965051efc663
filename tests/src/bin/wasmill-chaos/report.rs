//! The table of what was tried and what came of it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use wasmill_tests::checker::findings::Verdict;

use crate::args::Args;
use crate::stage::Ended;

/// All runs at one point.
#[derive(Debug, Clone, Default)]
pub struct Row {
    pub name: &'static str,
    about: &'static str,
    trials: u64,
    fired: u64,
    valid: u64,
    invalid: u64,
    void: u64,
    events: u64,
    outputs: u64,
    letters: u64,
    lost: u64,
    repeated: u64,
    torn: u64,
    unexplained: u64,
    wrong_version: u64,
    letters_wrong: u64,
    state_wrong: u64,
    out_of_order: u64,
}

impl Row {
    pub fn new(name: &'static str, about: &'static str) -> Self {
        Self { name, about, ..Self::default() }
    }

    pub fn add(&mut self, ended: &Ended) {
        self.trials += 1;
        self.fired += u64::from(ended.fired);
        *match ended.verdict {
            Verdict::Valid => &mut self.valid,
            Verdict::Invalid => &mut self.invalid,
            Verdict::Void(_) => &mut self.void,
        } += 1;
        let findings = &ended.findings;
        self.events += findings.events;
        self.outputs += findings.outputs;
        self.letters += findings.letters;
        self.lost += findings.lost.all();
        self.repeated += findings.repeated;
        self.torn += findings.torn;
        self.unexplained += findings.unexplained;
        self.wrong_version += findings.wrong_version;
        self.letters_wrong += findings.letters_wrong;
        self.state_wrong += findings.state_wrong;
        self.out_of_order += if findings.ordered { findings.out_of_order } else { 0 };
    }

    /// A run that came to no verdict proves nothing.
    pub fn broken(&mut self) {
        self.trials += 1;
        self.void += 1;
    }

    pub fn is_valid(&self) -> bool {
        self.trials > 0 && self.valid == self.trials
    }

    fn cells(&self) -> [u64; 16] {
        [
            self.trials,
            self.fired,
            self.valid,
            self.invalid,
            self.void,
            self.events,
            self.outputs,
            self.letters,
            self.lost,
            self.repeated,
            self.torn,
            self.unexplained,
            self.wrong_version,
            self.letters_wrong,
            self.state_wrong,
            self.out_of_order,
        ]
    }
}

const HEADINGS: [&str; 16] = [
    "trials",
    "fired",
    "valid",
    "invalid",
    "void",
    "events",
    "outputs",
    "dead letters",
    "lost",
    "repeated",
    "torn",
    "unexplained",
    "wrong version",
    "dead letters wrong",
    "state wrong",
    "out of order",
];

/// A Markdown table, aligned so that it can be read as it is.
pub fn table(rows: &[Row]) -> String {
    let mut sum = [0; HEADINGS.len()];
    let mut lines = vec![std::iter::once("point").chain(HEADINGS).map(str::to_owned).collect::<Vec<_>>()];
    for row in rows {
        let cells = row.cells();
        sum.iter_mut().zip(cells).for_each(|(sum, cell)| *sum += cell);
        lines.push(std::iter::once(row.name.to_owned()).chain(cells.iter().map(u64::to_string)).collect());
    }
    lines.push(std::iter::once("all".to_owned()).chain(sum.iter().map(u64::to_string)).collect());
    let width = |column: usize| {
        lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.len()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..=HEADINGS.len()).map(width).collect();
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            let cell = if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") };
            text.push_str(&format!("| {cell} "));
        }
        text.push_str("|\n");
        if number == 0 {
            for (column, width) in widths.iter().enumerate() {
                let end = if column == 0 { "-" } else { ":" };
                text.push_str(&format!("|{}{end}", "-".repeat(width + 1)));
            }
            text.push_str("|\n");
        }
    }
    text
}

/// Writes the report: when, with what, what the points are, and the table.
pub fn write(path: &Path, args: &Args, rows: &[Row], table: &str) -> Result<()> {
    let date = Command::new("date").args(["-u", "+%Y-%m-%d"]).output().context("ask for the date")?;
    let date = String::from_utf8_lossy(&date.stdout).trim().to_owned();
    let words: Vec<&str> = args.words.iter().map(String::as_str).collect();
    let mut text = format!(
        "# Chaos\n\nReal engines and servers are killed, frozen, cut off and swapped while events flow; a checker that shares \
         no code with\nthe engine then reads the streams and compares them with what was published. A trial is valid if the \
         fault left evidence\nand nothing is lost, repeated, torn, unexplained or stamped with the wrong version, each \
         expected dead letter is there\nonce, and state and order are right where they are promised; a trial without evidence of its fault is void, and counts as failed.\n\n\
         {date}, `cargo xtask chaos {}`:\n\n{table}\n| point | what happens there |\n|---|---|\n",
        words.join(" ")
    );
    for row in rows {
        text.push_str(&format!("| {} | {} |\n", row.name, row.about));
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    }
    std::fs::write(path, text).with_context(|| format!("write {}", path.display()))
}
