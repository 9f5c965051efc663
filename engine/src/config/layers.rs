//! Merges the sources of a configuration and remembers which of them each setting came from.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

use super::{Config, ConfigError};
use crate::hint::with_suggestion;

/// What variables for settings begin with.
pub const ENV_PREFIX: &str = "WASMILL_";
/// What parts the tables and the key in a variable's name: keys have single underscores themselves.
const ENV_STEP: &str = "__";

/// Where a setting came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A line of the file, from 1.
    File(PathBuf, usize),
    /// An environment variable.
    Env(String),
    /// A flag of the command line.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Env(name) => write!(f, "environment variable {name}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}

/// One setting that a flag makes.
#[derive(Debug, Clone)]
pub struct FlagSetting {
    /// The flag, as in `--bus-url`.
    pub flag: &'static str,
    /// The setting, as in `bus.url`.
    pub key: &'static str,
    /// Its value.
    pub value: String,
}

/// What a configuration is made of, lowest precedence first. Reading it from disk and process is the caller's part.
#[derive(Debug, Default)]
pub struct Sources {
    /// The file's path and text.
    pub file: Option<(PathBuf, String)>,
    /// The whole environment; what is not ours is passed over.
    pub env: Vec<(OsString, OsString)>,
    /// Settings made by flags.
    pub flags: Vec<FlagSetting>,
}

/// A merged configuration.
#[derive(Debug)]
pub struct Loaded {
    /// What it says.
    pub config: Config,
    /// Where each setting that is not a default came from; `streams[0].name` for lists of tables.
    pub origins: BTreeMap<String, Origin>,
    /// The file that was read.
    pub file: Option<PathBuf>,
}

impl Loaded {
    /// Where a setting came from.
    #[must_use]
    pub fn origin(&self, key: &str) -> Origin {
        self.origins.get(key).cloned().unwrap_or(Origin::Default)
    }
}

/// Merges all sources.
///
/// # Errors
/// Every finding names its source, and for an unknown key the nearest known one.
pub fn load(sources: &Sources) -> Result<Loaded, ConfigError> {
    let mut findings = Vec::new();
    let mut merged = Table::new();
    let mut origins = BTreeMap::new();
    if let Some((path, text)) = &sources.file {
        match read_file(path, text, &mut origins) {
            Ok(table) => merged = table,
            Err(finding) => findings.push(finding),
        }
    }
    let mut env: Vec<_> = sources.env.iter().collect();
    env.sort();
    for (name, value) in env {
        match env_setting(name, value) {
            None => {}
            Some(Ok((key, table))) => {
                let Some(name) = name.to_str() else { continue };
                set(&mut merged, &mut origins, &key, table, &Origin::Env(name.to_owned()));
            }
            Some(Err(finding)) => findings.push(finding),
        }
    }
    for FlagSetting { flag, key, value } in &sources.flags {
        let steps: Vec<String> = key.split('.').map(str::to_owned).collect();
        match typed(&steps, value) {
            Ok(table) => set(&mut merged, &mut origins, key, table, &Origin::Flag(flag)),
            Err(reason) => findings.push(format!("flag {flag}: {reason}")),
        }
    }
    if !findings.is_empty() {
        return Err(ConfigError(findings));
    }
    let config = merged.try_into().map_err(|err| ConfigError(vec![with_suggestion(err.message())]))?;
    Ok(Loaded { config, origins, file: sources.file.as_ref().map(|(path, _)| path.clone()) })
}

fn set(merged: &mut Table, origins: &mut BTreeMap<String, Origin>, key: &str, table: Table, origin: &Origin) {
    merge(merged, table);
    let inside = |known: &String| known.strip_prefix(key).is_some_and(|rest| rest.starts_with(['.', '[']));
    origins.retain(|known, _| !inside(known));
    origins.insert(key.to_owned(), origin.clone());
}

/// Tables are merged key by key; everything else, lists too, is replaced as a whole.
fn merge(into: &mut Table, from: Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Table(have)), Value::Table(more)) => merge(have, more),
            (_, value) => drop(into.insert(key, value)),
        }
    }
}

fn read_file(path: &Path, text: &str, origins: &mut BTreeMap<String, Origin>) -> Result<Table, String> {
    let place = |err: &toml::de::Error| {
        let line = err.span().map(|span| format!(":{}", line_of(text, span.start))).unwrap_or_default();
        format!("{}{line}: {}", path.display(), with_suggestion(err.message()))
    };
    let spans = DeTable::parse(text).map_err(|err| place(&err))?;
    // The file is decoded on its own first: only here do errors know their line.
    toml::from_str::<Config>(text).map_err(|err| place(&err))?;
    note_table("", spans.get_ref(), &mut |key, start| {
        origins.insert(key, Origin::File(path.to_owned(), line_of(text, start)));
    });
    toml::from_str(text).map_err(|err| place(&err))
}

fn note_table(prefix: &str, table: &DeTable<'_>, note: &mut impl FnMut(String, usize)) {
    for (name, value) in table {
        let key = if prefix.is_empty() {
            name.get_ref().to_string()
        } else {
            format!("{prefix}.{}", name.get_ref())
        };
        note_value(key, name.span().start, value, note);
    }
}

fn note_value(key: String, start: usize, value: &Spanned<DeValue<'_>>, note: &mut impl FnMut(String, usize)) {
    match value.get_ref() {
        DeValue::Table(table) => note_table(&key, table, note),
        DeValue::Array(list) if list.iter().any(|item| item.get_ref().is_table()) => {
            for (at, item) in list.iter().enumerate() {
                note(format!("{key}[{at}]"), item.span().start);
                note_value(format!("{key}[{at}]"), item.span().start, item, note);
            }
        }
        _ => note(key, start),
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|&byte| byte == b'\n').count() + 1
}

/// The setting that a variable makes; none if the variable is not one of ours.
///
/// A name with `__` in it is a setting, and must be a known one. A name without (`WASMILL_CONFIG`, `WASMILL_LOG`,
/// `WASMILL_NATS_SERVER`) is somebody else's, unless it is a setting's name but for the doubled underscore.
fn env_setting(name: &OsString, value: &OsString) -> Option<Result<(String, Table), String>> {
    let name = name.to_str()?;
    let rest = name.strip_prefix(ENV_PREFIX)?;
    if !rest.contains(ENV_STEP) {
        return near_miss(name, rest).map(Err);
    }
    let steps: Vec<String> = rest.split(ENV_STEP).map(str::to_ascii_lowercase).collect();
    let Some(value) = value.to_str() else {
        return Some(Err(format!("environment variable {name}: the value is not UTF-8")));
    };
    Some(match typed(&steps, value) {
        Ok(table) => Ok((steps.join("."), table)),
        Err(reason) => Err(format!("environment variable {name}: {reason}")),
    })
}

fn near_miss(name: &str, rest: &str) -> Option<String> {
    let (table, key) = rest.split_once('_')?;
    let steps = [table.to_ascii_lowercase(), key.to_ascii_lowercase()];
    let known = match decode(&steps, Value::String(String::new())) {
        Ok(_) => true,
        Err(reason) => !reason.contains("unknown field") && !reason.contains("invalid type: map"),
    };
    known.then(|| {
        format!(
            "environment variable {name} has no effect\n  hint: two underscores follow the table: {ENV_PREFIX}{table}{ENV_STEP}{key}"
        )
    })
}

/// A text as the setting takes it: as it is where the setting is a text, else read as a TOML value.
fn typed(steps: &[String], text: &str) -> Result<Table, String> {
    let as_text = match decode(steps, Value::String(text.to_owned())) {
        Ok(table) => return Ok(table),
        Err(reason) => reason,
    };
    match format!("value = {text}").parse::<Table>().ok().and_then(|mut table| table.remove("value")) {
        Some(value) => decode(steps, value),
        None => Err(as_text),
    }
}

/// A table with this one setting, if the configuration would take it.
fn decode(steps: &[String], value: Value) -> Result<Table, String> {
    let nested =
        steps.iter().rev().fold(value, |inner, step| Value::Table(Table::from_iter([(step.clone(), inner)])));
    let Value::Table(table) = nested else { return Err("the name is empty".into()) };
    table.clone().try_into::<Config>().map_err(|err| with_suggestion(err.message()))?;
    Ok(table)
}

#[cfg(test)]
#[path = "layers_tests.rs"]
mod tests;
