//! What `check` found out about one plugin.

use std::path::PathBuf;

use serde::{Serialize, Serializer};

use crate::cli::out::grouped;
use crate::digest::Digest;
use crate::key::KeySource;
use crate::manifest::{Isolation, Manifest};
use crate::sandbox::{About, Shape};

/// One plugin.
#[derive(Debug, Default, Serialize)]
pub(in crate::cli) struct Report {
    pub(in crate::cli) file: PathBuf,
    /// Why the engine would refuse it.
    pub(in crate::cli) faults: Vec<String>,
    /// What looks like a mistake.
    pub(in crate::cli) warnings: Vec<String>,
    pub(super) bytes: Option<usize>,
    pub(super) digest: Option<Digest>,
    #[serde(serialize_with = "about")]
    pub(super) about: Option<About>,
    #[serde(flatten)]
    pub(super) shape: Option<Shape>,
    pub(in crate::cli) manifest: Option<Manifest>,
}

fn about<S: Serializer>(about: &Option<About>, serializer: S) -> Result<S::Ok, S::Error> {
    let shown = about.as_ref().map(|about| {
        serde_json::json!({
            "name": about.name,
            "version": about.version,
            "summary": about.summary,
            "subjects": about.subjects,
            "emits": about.emits,
        })
    });
    shown.serialize(serializer)
}

impl Report {
    /// The report for people.
    pub(in crate::cli) fn text(&self) -> String {
        let verdict = if self.faults.is_empty() { "ok" } else { "refused" };
        let mut text = format!("{}: {verdict}", self.file.display());
        let mut line = |name: &str, value: String| text.push_str(&format!("\n  {name:<10} {value}"));
        for fault in &self.faults {
            line("fault", indented(fault));
        }
        for warning in &self.warnings {
            line("warning", indented(warning));
        }
        if let Some(about) = &self.about {
            line("plugin", format!("{} {}: {}", about.name, about.version, about.summary));
            line("made for", listed(&about.subjects));
            line("emits", listed(&about.emits));
        }
        if let Some(bytes) = self.bytes {
            line("size", format!("{} bytes", grouped(bytes as u64)));
        }
        if let Some(digest) = &self.digest {
            line("digest", digest.to_string());
        }
        if let Some(shape) = &self.shape {
            line("imports", imports(&shape.imports));
            line("exports", listed(&shape.exports));
        }
        if let Some(manifest) = &self.manifest {
            let subscriptions: Vec<String> = manifest.subscribe.iter().map(subscription).collect();
            line("receives", listed(&subscriptions));
            if let Some(source) = &manifest.key {
                line("key", key(source));
            }
            if !manifest.lookup.is_empty() {
                let tables = manifest.lookup.iter().map(|(name, bucket)| format!("{name} ({bucket})"));
                line("looks up", listed(&tables.collect::<Vec<_>>()));
            }
            line(
                "may emit",
                listed(&manifest.emit.subjects.iter().map(ToString::to_string).collect::<Vec<_>>()),
            );
            line("limits", limits(manifest));
        }
        text
    }
}

fn subscription(entry: &crate::manifest::Subscribe) -> String {
    let subjects = entry.subjects.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match &entry.stream {
        Some(stream) => format!("{stream}: {subjects}"),
        None => format!("{subjects} (core, at most once)"),
    }
}

fn key(source: &KeySource) -> String {
    match source {
        KeySource::Token(token) => format!("token {token} of the subject"),
        KeySource::Header(name) => format!("header {name}"),
        KeySource::Pointer(pointer) => format!("{pointer} of the payload"),
    }
}

fn limits(manifest: &Manifest) -> String {
    let limits = &manifest.limits;
    let isolation = match manifest.isolation.unwrap_or_default() {
        Isolation::Fresh => "a fresh instance for each event",
        Isolation::Reuse => "instances serve many events",
    };
    format!(
        "{} MiB memory, {} ms CPU, {} ms wall, {} outputs; {isolation}",
        limits.memory_mib,
        limits.cpu_ms,
        limits.wall_ms,
        grouped(u64::from(limits.outputs))
    )
}

/// Every guest toolchain imports a dozen interfaces of WASI, of which the engine grants nothing: they are only counted.
fn imports(names: &[String]) -> String {
    let (wasi, own): (Vec<&String>, Vec<&String>) = names.iter().partition(|name| name.starts_with("wasi:"));
    let mut shown: Vec<String> = own.into_iter().cloned().collect();
    if !wasi.is_empty() {
        shown.push(format!("{} of WASI, without files, network or environment", wasi.len()));
    }
    listed(&shown)
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "-".to_owned() } else { names.join(", ") }
}

fn indented(text: &str) -> String {
    text.replace('\n', "\n             ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_come_first() {
        let report = Report {
            file: "rule.wasm".into(),
            faults: vec!["the file is a core module\n  hint: build it".into()],
            bytes: Some(12_345),
            ..Report::default()
        };
        assert_eq!(
            report.text(),
            "rule.wasm: refused\n  fault      the file is a core module\n               hint: build it\n  size       12,345 bytes"
        );
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["about"], serde_json::Value::Null);
    }
}
