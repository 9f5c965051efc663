//! The only place that prints: data to stdout, talk to stderr. A closed pipe ends the command quietly.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use super::exit::{Exit, Failure};

/// How data is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// Writes data, followed by a line break, to stdout.
///
/// # Errors
/// A reader that went away (`| head`) is a quiet success; anything else is named.
pub fn data(text: impl Display) -> Result<(), Failure> {
    written(writeln!(io::stdout().lock(), "{text}"))
}

/// Writes bytes to stdout as they are.
///
/// # Errors
/// As [`data`].
pub fn bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    written(stdout.write_all(bytes).and_then(|()| stdout.flush()))
}

fn written(written: io::Result<()>) -> Result<(), Failure> {
    match written {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::silent(Exit::Ok)),
        Err(error) => Err(Failure::from(anyhow::Error::new(error).context("write to stdout"))),
    }
}

/// Writes a value as JSON to stdout.
///
/// # Errors
/// As [`data`].
pub fn json(value: &impl Serialize) -> Result<(), Failure> {
    data(serde_json::to_string_pretty(value)?)
}

/// Writes one line of talk to stderr. If nobody reads it, that is no reason to stop.
pub fn say(text: impl Display) {
    // Nothing is left to report a failed report to.
    drop(writeln!(io::stderr().lock(), "{text}"));
}

/// Reports a failure the way every command does.
pub fn failure(error: &anyhow::Error) {
    say(format_args!("error: {error:#}"));
}

/// Whether stdout is a terminal that can be redrawn.
#[must_use]
pub fn is_screen() -> bool {
    io::stdout().is_terminal()
}

/// Lays rows out in columns, the first row being the heading. Cells in the columns that `right` names are put to the
/// right edge: numbers.
#[must_use]
pub fn table(rows: &[Vec<String>], right: &[usize]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|at| {
            rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        if number > 0 {
            text.push('\n');
        }
        let line: Vec<String> = row
            .iter()
            .zip(&widths)
            .enumerate()
            .map(
                |(at, (cell, &width))| {
                    if right.contains(&at) { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
                },
            )
            .collect();
        text.push_str(line.join("  ").trim_end());
    }
    text
}

/// A number with its thousands set apart.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_line_up() {
        let rows = [vec!["NAME".to_owned(), "DONE".to_owned()], vec!["a".to_owned(), "12,345".to_owned()]];
        assert_eq!(table(&rows, &[1]), "NAME    DONE\na     12,345");
        assert_eq!(table(&[], &[]), "");
    }

    #[test]
    fn thousands_are_set_apart() {
        for (number, text) in
            [(0, "0"), (999, "999"), (1_000, "1,000"), (585_177, "585,177"), (1_234_567, "1,234,567")]
        {
            assert_eq!(grouped(number), text);
        }
    }
}
