//! The figures as a table, on the screen and between two marks of a document.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use wasmill_tests::languages::matrix::Verdict;
use wasmill_tests::languages::rows::Can;
use wasmill_tests::languages::{ROWS, Row};
use wasmill_tests::parts;

use crate::measure::Figures;

/// The marks between which a document has the table.
const BEGIN: &str = "<!-- begin: cargo xtask languages --report -->";
const END: &str = "<!-- end -->";

const HEAD: [&str; 11] = [
    "language",
    "engine is given",
    "checks",
    "uncaught error",
    "file",
    "first load",
    "load again",
    "`none`",
    "`transform`",
    "fresh `none`",
    "memory",
];

/// All that is told of one language.
pub struct Line<'a> {
    /// The language.
    pub row: &'static Row,
    /// What came of its checks.
    pub verdicts: &'a [Verdict],
    /// What it costs.
    pub figures: Figures,
}

/// The whole table, with what it was made by.
pub struct Report {
    cells: Vec<[String; HEAD.len()]>,
    tools: Vec<String>,
    date: String,
}

impl Report {
    /// Puts it together. `tools.txt` beside the plugins says what they were built with.
    pub fn new(lines: Vec<Line<'_>>) -> Result<Self> {
        let told = std::fs::read_to_string(parts::languages()?.join("tools.txt")).unwrap_or_default();
        let known: BTreeMap<_, _> = told.lines().filter_map(|line| line.split_once('\t')).collect();
        let used = |folder: &&str| lines.iter().any(|line| line.row.folder == *folder);
        let mut folders: Vec<_> = ROWS.iter().map(|row| row.folder).filter(used).collect();
        folders.dedup();
        let tools = folders.iter().filter_map(|folder| Some(format!("{folder}: {}", known.get(folder)?)));
        let date = jiff::Timestamp::now().strftime("%Y-%m-%d").to_string();
        Ok(Self { tools: tools.collect(), cells: lines.iter().map(cells).collect(), date })
    }

    /// For the screen: columns of even width.
    pub fn text(&self) -> String {
        let mut all = vec![HEAD.map(|title| title.replace('`', ""))];
        all.extend(self.cells.iter().cloned());
        let width = |at: usize| all.iter().filter_map(|row| Some(row.get(at)?.chars().count())).max();
        let widths: Vec<_> = (0..HEAD.len()).map(|at| width(at).unwrap_or_default()).collect();
        let mut text = String::new();
        for row in &all {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            let _ = writeln!(text, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
        }
        let _ = writeln!(text, "\n{}", self.provenance());
        for tools in &self.tools {
            let _ = writeln!(text, "  {tools}");
        }
        text
    }

    fn provenance(&self) -> String {
        let profile = if cfg!(debug_assertions) { "development profile" } else { "release profile" };
        format!("{}, {} on {}, {profile}, p50", self.date, std::env::consts::ARCH, std::env::consts::OS)
    }

    fn markdown(&self) -> String {
        let mut text = format!("| {} |\n|{}\n", HEAD.join(" | "), "---|".repeat(HEAD.len()));
        for row in &self.cells {
            let _ = writeln!(text, "| {} |", row.join(" | "));
        }
        let _ = writeln!(
            text,
            "\nMade by `cargo xtask languages --report`: {}. Built with:\n",
            self.provenance()
        );
        for tools in &self.tools {
            let _ = writeln!(text, "- {tools}");
        }
        text
    }

    /// Puts the table between the marks of a document, and leaves the rest of it alone.
    pub fn write_into(&self, file: &Path) -> Result<()> {
        let before =
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let text = between(&before, &self.markdown())
            .with_context(|| format!("{} has no lines {BEGIN:?} and {END:?}", file.display()))?;
        std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
    }
}

fn between(document: &str, table: &str) -> Option<String> {
    let (head, rest) = document.split_once(BEGIN)?;
    let (_, tail) = rest.split_once(END)?;
    Some(format!("{head}{BEGIN}\n\n{table}\n{END}{tail}"))
}

fn cells(line: &Line<'_>) -> [String; HEAD.len()] {
    let Line { row, verdicts, figures } = line;
    let passed = verdicts.iter().filter(|verdict| **verdict == Verdict::Pass).count();
    let file = match figures.runner_bytes {
        Some(runner) => format!("{} + {} shared", size(figures.file_bytes), size(runner)),
        None => size(figures.file_bytes),
    };
    [
        row.name.to_owned(),
        row.kind.title().to_owned(),
        format!("{passed} of {}", verdicts.len()),
        if row.can(Can::Raise) { "exception and trace" } else { "trap and backtrace" }.to_owned(),
        file,
        time(figures.compile_ns),
        time(figures.load_ns),
        time(figures.none_ns),
        time(figures.transform_ns),
        time(figures.fresh_ns),
        size(figures.instance_bytes),
    ]
}

/// Three digits and a unit.
fn time(ns: u64) -> String {
    let ns = ns as f64;
    match ns {
        ns if ns < 1e6 => format!("{} µs", digits(ns / 1e3)),
        ns if ns < 1e9 => format!("{} ms", digits(ns / 1e6)),
        ns => format!("{} s", digits(ns / 1e9)),
    }
}

fn size(bytes: u64) -> String {
    let bytes = bytes as f64;
    if bytes < 1_048_576.0 {
        format!("{} KiB", digits(bytes / 1_024.0))
    } else {
        format!("{} MiB", digits(bytes / 1_048_576.0))
    }
}

fn digits(value: f64) -> String {
    if value < 10.0 { format!("{value:.1}") } else { format!("{value:.0}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_the_unit_that_keeps_them_short() {
        assert_eq!(
            [3_456, 45_678, 1_500_000, 12_000_000_000].map(time),
            ["3.5 µs", "46 µs", "1.5 ms", "12 s"]
        );
        assert_eq!([512, 65_536, 18_000_000].map(size), ["0.5 KiB", "64 KiB", "17 MiB"]);
    }

    #[test]
    fn the_rest_of_the_document_is_left_alone() {
        let document = format!("# Title\n\n{BEGIN}\nold\n{END}\n\nprose\n");
        let once = between(&document, "new\n").unwrap();
        assert_eq!(once, format!("# Title\n\n{BEGIN}\n\nnew\n\n{END}\n\nprose\n"));
        assert_eq!(between(&once, "new\n").unwrap(), once);
        assert_eq!(between("no marks", "new"), None);
    }
}
