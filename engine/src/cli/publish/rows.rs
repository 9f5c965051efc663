//! Reads rows one after another and writes each as a JSON object.

use std::io::BufRead;

use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::cell::{push_text, push_typed};
use super::input::{Input, Syntax};

/// The longest row in bytes: a file without line breaks must not fill the memory.
const MAX_ROW_BYTES: u64 = 64 * 1_024 * 1_024;

/// Which fields a row gives, and what becomes of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Selection {
    /// Fields whose values are also needed apart: for the subject, the id, the time.
    pub(super) picked: Vec<String>,
    /// If not empty, only these go into the event.
    pub(super) only: Vec<String>,
    /// These do not go into the event.
    pub(super) omit: Vec<String>,
    /// CSV: these stay text whatever they look like.
    pub(super) text: Vec<String>,
}

impl Selection {
    fn keeps(&self, field: &str) -> bool {
        let named = |list: &[String]| list.iter().any(|name| name == field);
        !named(&self.omit) && (self.only.is_empty() || named(&self.only))
    }

    fn keeps_all(&self) -> bool {
        self.only.is_empty() && self.omit.is_empty()
    }

    /// Every field that the command line names.
    fn named(&self) -> impl Iterator<Item = &String> {
        self.picked.iter().chain(&self.only).chain(&self.omit).chain(&self.text)
    }
}

/// One row. It is filled again and again, so that reading allocates nothing.
#[derive(Debug, Default)]
pub(super) struct Row {
    /// Counted from 1, the heading not included.
    pub(super) number: u64,
    /// The line on which it begins, from 1.
    pub(super) line: u64,
    /// The row as a JSON object.
    pub(super) json: Vec<u8>,
    /// The values of [`Selection::picked`], in that order.
    pub(super) picked: Vec<String>,
}

/// What is wrong with the input.
#[derive(Debug, thiserror::Error)]
pub(super) enum RowError {
    /// Reading failed: a broken disk, a truncated gzip file.
    #[error("reading failed: {0}")]
    Read(#[from] std::io::Error),
    /// No CSV, or no text.
    #[error("{0}")]
    Csv(String),
    /// The heading names a field twice, or with an empty name.
    #[error("the heading {0}")]
    Heading(String),
    /// The command line names a field that is not there.
    #[error("there is no field {field:?}\n  hint: {hint}")]
    NoField {
        /// The field.
        field: String,
        /// What fields there are.
        hint: String,
    },
    /// Not a JSON object on one line.
    #[error("no JSON object: {0}")]
    Json(String),
    /// Over [`MAX_ROW_BYTES`].
    #[error("over the limit of {MAX_ROW_BYTES} bytes for one row")]
    TooLong,
}

impl From<csv::Error> for RowError {
    /// The place is told by whoever reads the rows, so only what is wrong is taken over.
    fn from(error: csv::Error) -> Self {
        match error.kind() {
            csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                Self::Csv(format!("it has {len} cells, but the heading names {expected_len}"))
            }
            csv::ErrorKind::Utf8 { err, .. } => Self::Csv(format!("cell {} is not UTF-8", err.field() + 1)),
            _ => match error.into_kind() {
                csv::ErrorKind::Io(error) => Self::Read(error),
                other => Self::Csv(format!("{other:?}")),
            },
        }
    }
}

/// Rows of either syntax.
pub(super) enum Rows {
    Csv(Box<CsvRows>),
    Ndjson(NdjsonRows),
}

impl Rows {
    /// Begins to read; a CSV heading is checked at once.
    pub(super) fn new(
        syntax: Syntax,
        reader: Box<dyn BufRead + Send>,
        selection: Selection,
    ) -> Result<Self, RowError> {
        Ok(match syntax {
            Syntax::Csv => Self::Csv(Box::new(CsvRows::new(reader, &selection)?)),
            Syntax::Ndjson => Self::Ndjson(NdjsonRows { reader, selection, text: Vec::new(), line: 0 }),
        })
    }

    /// The rows of an opened input.
    pub(super) fn of(input: Input, selection: Selection) -> Result<Self, RowError> {
        Self::new(input.syntax, input.reader, selection)
    }

    /// Fills `row` with the next one; false at the end. On an error `row.number` and `row.line` say where.
    pub(super) fn next(&mut self, row: &mut Row) -> Result<bool, RowError> {
        row.number += 1;
        row.json.clear();
        match self {
            Self::Csv(rows) => rows.next(row),
            Self::Ndjson(rows) => rows.next(row),
        }
    }
}

struct Column {
    /// `"name":`, ready to be written; none if the column does not go into the event.
    key: Option<Vec<u8>>,
    text: bool,
}

pub(super) struct CsvRows {
    reader: csv::Reader<Box<dyn BufRead + Send>>,
    columns: Vec<Column>,
    /// Column numbers of the picked fields.
    picked: Vec<usize>,
    record: csv::StringRecord,
}

impl CsvRows {
    fn new(reader: Box<dyn BufRead + Send>, selection: &Selection) -> Result<Self, RowError> {
        let mut reader = csv::ReaderBuilder::new().buffer_capacity(256 * 1_024).from_reader(reader);
        let heading = reader.headers()?.clone();
        let names: Vec<&str> = heading.iter().collect();
        for (at, name) in names.iter().enumerate() {
            if name.is_empty() {
                return Err(RowError::Heading(format!("has no name for column {}", at + 1)));
            }
            if names.iter().take(at).any(|earlier| earlier == name) {
                return Err(RowError::Heading(format!("names {name:?} twice")));
            }
        }
        if let Some(field) = selection.named().find(|field| !names.contains(&field.as_str())) {
            return Err(no_field(field, &names));
        }
        let columns = names
            .iter()
            .map(|name| Column {
                key: selection.keeps(name).then(|| {
                    let mut key = Vec::new();
                    push_text(&mut key, name);
                    key.push(b':');
                    key
                }),
                text: selection.text.iter().any(|field| field == name),
            })
            .collect();
        let place = |field: &String| names.iter().position(|name| name == field);
        let picked = selection.picked.iter().filter_map(place).collect();
        Ok(Self { reader, columns, picked, record: csv::StringRecord::new() })
    }

    fn next(&mut self, row: &mut Row) -> Result<bool, RowError> {
        row.line = self.reader.position().line();
        if !self.reader.read_record(&mut self.record)? {
            return Ok(false);
        }
        row.line = self.record.position().map_or(row.line, csv::Position::line);
        row.json.push(b'{');
        for (column, cell) in self.columns.iter().zip(&self.record) {
            let Some(key) = &column.key else { continue };
            if row.json.len() > 1 {
                row.json.push(b',');
            }
            row.json.extend_from_slice(key);
            if column.text { push_text(&mut row.json, cell) } else { push_typed(&mut row.json, cell) }
        }
        row.json.push(b'}');
        row.picked.resize(self.picked.len(), String::new());
        for (value, &at) in row.picked.iter_mut().zip(&self.picked) {
            value.clear();
            value.push_str(self.record.get(at).unwrap_or_default());
        }
        Ok(true)
    }
}

fn no_field(field: &str, names: &[&str]) -> RowError {
    let hint = match crate::hint::nearest(field, names.iter().copied()) {
        Some(name) => format!("did you mean {name:?}?"),
        None => format!("there are {}", names.join(", ")),
    };
    RowError::NoField { field: field.to_owned(), hint }
}

pub(super) struct NdjsonRows {
    reader: Box<dyn BufRead + Send>,
    selection: Selection,
    text: Vec<u8>,
    line: u64,
}

impl NdjsonRows {
    fn next(&mut self, row: &mut Row) -> Result<bool, RowError> {
        loop {
            self.line += 1;
            row.line = self.line;
            self.text.clear();
            let mut bounded = std::io::Read::take(&mut self.reader, MAX_ROW_BYTES + 1);
            if bounded.read_until(b'\n', &mut self.text)? == 0 {
                return Ok(false);
            }
            if self.text.len() as u64 > MAX_ROW_BYTES {
                return Err(RowError::TooLong);
            }
            if !self.text.trim_ascii().is_empty() {
                break;
            }
        }
        let text = self.text.trim_ascii();
        if !text.starts_with(b"{") {
            return Err(RowError::Json("the line does not begin with '{'".into()));
        }
        if self.selection.picked.is_empty() && self.selection.keeps_all() {
            serde_json::from_slice::<IgnoredAny>(text).map_err(|err| RowError::Json(err.to_string()))?;
            row.json.extend_from_slice(text);
            return Ok(true);
        }
        let fields: Map<String, Value> =
            serde_json::from_slice(text).map_err(|err| RowError::Json(err.to_string()))?;
        row.picked.resize(self.selection.picked.len(), String::new());
        for (value, name) in row.picked.iter_mut().zip(&self.selection.picked) {
            *value = picked_text(&fields, name)?;
        }
        if self.selection.keeps_all() {
            // The very bytes of the file: numbers keep the digits they have there.
            row.json.extend_from_slice(text);
        } else {
            let kept: Map<String, Value> =
                fields.into_iter().filter(|(name, _)| self.selection.keeps(name)).collect();
            serde_json::to_writer(&mut row.json, &kept).map_err(|err| RowError::Json(err.to_string()))?;
        }
        Ok(true)
    }
}

fn picked_text(fields: &Map<String, Value>, name: &str) -> Result<String, RowError> {
    match fields.get(name) {
        None => Err(no_field(name, &fields.keys().map(String::as_str).collect::<Vec<_>>())),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Null) => Ok(String::new()),
        Some(value @ (Value::Number(_) | Value::Bool(_))) => Ok(value.to_string()),
        Some(_) => Err(RowError::Json(format!("field {name:?} is a list or an object, not one value"))),
    }
}

#[cfg(test)]
#[path = "rows_tests.rs"]
mod tests;
