//! A language's plugin in a sandbox, as an engine would load it.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use bytes::Bytes;
use serde_json::Value;
use wasmill::digest::Digest;
use wasmill::lookup::{LookupError, Tables};
use wasmill::manifest::{Isolation, Manifest, PluginName};
use wasmill::sandbox::{Caller, LoadSpec, LogLine, LogSink, Prepared, Sandbox};

use super::checks::Check;
use super::rows::Row;
use crate::parts;

/// The plugin's name. It takes part in the seed of its randomness, so every language has the same.
pub const NAME: &str = "conformance";

/// The `[config]` table of every check.
const CONFIG: &str = r#"
limit = 220
text = "grüße 🦀 \"quoted\" \\"
ratio = 0.25
on = true
nothing = ""
[config.nested]
list = [1, "two", [true]]
empty = {}
"#;

/// What a call may use, generous beside the defaults: the suite is about what a call does, and a machine with too much to
/// do must not change that. Memory is what an author gets who sets nothing.
const LIMITS: &str = "cpu_ms = 3_000\nwall_ms = 60_000";

/// The `[config]` table as JSON.
#[must_use]
pub fn config_json() -> Value {
    manifest("", Isolation::Fresh).map(|manifest| Value::Object(manifest.config_json())).unwrap_or_default()
}

/// The manifest: lines of `[limits]` take the place of the suite's of the same name.
///
/// # Errors
/// If the lines are none.
pub fn manifest(limits: &str, isolation: Isolation) -> Result<Manifest> {
    let isolation = if isolation == Isolation::Fresh { "fresh" } else { "reuse" };
    let name = |line: &str| line.split('=').next().unwrap_or_default().trim().to_owned();
    let replaced = |line: &&str| !limits.lines().any(|own| name(own) == name(line));
    let limits: Vec<_> = LIMITS.lines().filter(replaced).chain(limits.lines()).collect();
    let text = format!(
        "isolation = \"{isolation}\"\n[[subscribe]]\nsubjects = [\"conformance.in.>\"]\n\
         [emit]\nsubjects = [\"conformance.out\", \"conformance.out.>\"]\n[limits]\n{}\n[config]\n{CONFIG}",
        limits.join("\n")
    );
    Manifest::parse(&text).with_context(|| text.clone())
}

/// What a plugin logs, as it comes.
#[derive(Clone, Default)]
pub struct Heard(Arc<Mutex<Vec<LogLine>>>);

impl Heard {
    /// Something that hears it.
    #[must_use]
    pub fn sink(&self) -> LogSink {
        let lines = Arc::clone(&self.0);
        Arc::new(move |line| lines.lock().unwrap_or_else(PoisonError::into_inner).push(line))
    }

    /// What has come since the last time.
    #[must_use]
    pub fn take(&self) -> Vec<LogLine> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The lookup tables: `rows`, and `late`, which is never loaded.
#[derive(Debug)]
struct Rows;

impl Tables for Rows {
    fn get(&self, table: &str, key: &str) -> Result<Option<Bytes>, LookupError> {
        match (table, key) {
            ("rows", "k") => Ok(Some("row".into())),
            ("rows", "grüße 🦀") => Ok(Some("世界".into())),
            ("rows", "empty") => Ok(Some(Bytes::new())),
            ("rows", _) => Ok(None),
            ("late", _) => Err(LookupError::NotReady),
            _ => Err(LookupError::NotGranted),
        }
    }
}

/// A plugin under one manifest.
#[derive(Clone)]
pub struct Served {
    /// The manifest.
    pub manifest: Arc<Manifest>,
    /// What was loaded.
    pub prepared: Arc<Prepared>,
}

/// One language's plugin.
pub struct Loaded {
    sandbox: Arc<Sandbox>,
    /// The language.
    pub row: &'static Row,
    /// The file that the engine is given.
    pub bytes: Vec<u8>,
    /// Under each manifest that was asked for: what came of loading it.
    served: Vec<(Isolation, String, Result<Served, String>)>,
}

impl Loaded {
    /// Reads the plugin.
    ///
    /// # Errors
    /// If it was not built.
    pub fn new(sandbox: &Arc<Sandbox>, row: &'static Row) -> Result<Self> {
        let path = parts::language(row.name, row.kind.artifact().extension())?;
        let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self { sandbox: Arc::clone(sandbox), row, bytes, served: Vec::new() })
    }

    /// The plugin under a check's limits: loaded now, or before.
    ///
    /// # Errors
    /// Why the engine refuses it.
    pub async fn serve(&mut self, check: &Check, isolation: Isolation) -> Result<Served, String> {
        self.serve_with(check.limits, isolation).await
    }

    /// The plugin under these lines of `[limits]`.
    ///
    /// # Errors
    /// Why the engine refuses it.
    pub async fn serve_with(&mut self, limits: &str, isolation: Isolation) -> Result<Served, String> {
        let known = self.served.iter().find(|(of, under, _)| *of == isolation && under == limits);
        if let Some((_, _, served)) = known {
            return served.clone();
        }
        let served = self.load(limits, isolation).await.map_err(|err| format!("it was not loaded: {err:#}"));
        self.served.push((isolation, limits.to_owned(), served.clone()));
        served
    }

    /// Loads the plugin anew.
    ///
    /// # Errors
    /// Why the engine refuses it.
    pub async fn load(&self, limits: &str, isolation: Isolation) -> Result<Served> {
        let manifest = manifest(limits, isolation)?;
        let spec = LoadSpec {
            name: PluginName::new(NAME)?,
            artifact: self.row.kind.artifact(),
            kind: manifest.kind,
            digest: Digest::of(&self.bytes),
            limits: manifest.limits.clone(),
            isolation,
            weight: manifest.weight,
            emit: manifest.emit.clone(),
            config: manifest.config_json(),
            lookup: Arc::new(Rows),
        };
        let prepared = self.sandbox.load(&self.bytes, &spec, Heard::default().sink()).await?;
        Ok(Served { manifest: Arc::new(manifest), prepared })
    }

    /// Something that calls the plugin, with no instance yet.
    #[must_use]
    pub fn caller(&self, served: &Served, sink: LogSink) -> Caller {
        self.sandbox.caller(Arc::clone(&served.prepared), sink)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checks_limits_take_the_place_of_the_suites() {
        let usual = manifest("", Isolation::Fresh).unwrap();
        let other = manifest("cpu_ms = 200", Isolation::Reuse).unwrap();
        assert_eq!((usual.limits.cpu_ms, other.limits.cpu_ms), (3_000, 200));
        assert_eq!(usual.limits.wall_ms, other.limits.wall_ms);
        assert_eq!(config_json()["nested"]["list"][1], "two");
        assert_eq!(config_json()["limit"], 220);
    }
}
