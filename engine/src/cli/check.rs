//! `wasmill check`: would the engine take these plugins? Nothing is started but the component itself, once.

mod report;
mod scratch;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;

pub(super) use self::report::Report;
use self::scratch::Scratch;
use super::exit::{Exit, Failure};
use super::out::{self, Format};
use super::settings::{runner_dirs, runtime};
use crate::artifact::Artifact;
use crate::config::manifests::read_manifest;
use crate::cycles::cycles;
use crate::digest::Digest;
use crate::limits::{DEFAULT_WEIGHT, Limits};
use crate::lookup::NoTables;
use crate::manifest::{Manifest, ManifestError, PluginName};
use crate::sandbox::{LoadSpec, LogLine, LogSink, Sandbox, Shape, this_program};
use crate::subject::Pattern;

/// Check plugins: contract, description, manifest, limits
///
/// Each component is compiled and started once, as the engine would. With `<name>.toml` beside it, its manifest is
/// checked too, and its limits apply.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// Components, core modules, or source of source plugins
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Fail on warnings too
    #[arg(long)]
    strict: bool,
    /// How to write the findings
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

/// Runs the command.
///
/// # Errors
/// Exit code 1 if a plugin would be refused; the reasons are part of the output.
pub fn run(args: &CheckArgs) -> Result<(), Failure> {
    let reports = runtime()?.block_on(check_all(&args.files))?;
    match args.output {
        Format::Json => out::json(&reports)?,
        Format::Text => {
            for report in &reports {
                out::data(report.text())?;
            }
        }
    }
    let bad = |report: &Report| !report.faults.is_empty() || (args.strict && !report.warnings.is_empty());
    if reports.iter().any(bad) { Err(Failure::silent(Exit::Refused)) } else { Ok(()) }
}

async fn check_all(files: &[PathBuf]) -> Result<Vec<Report>, Failure> {
    let (sandbox, _scratch) = sandbox()?;
    let mut reports = Vec::new();
    for file in files {
        reports.push(check_one(&sandbox, file).await);
    }
    warn_of_cycles(&mut reports);
    Ok(reports)
}

/// Where the user's programs keep what they can make again (XDG base directories).
fn cache_dir() -> Option<PathBuf> {
    let named = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|dir| dir.is_absolute());
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    named.or_else(home).map(|dir| dir.join("wasmill/compiled"))
}

/// Checks a component that is not in its file yet, with a manifest from elsewhere, as if both stood in their places.
///
/// # Errors
/// If there is nothing to check with. A bad component is part of the report.
pub(super) fn check_before_placing(file: &Path, bytes: &[u8], manifest: &Path) -> Result<Report, Failure> {
    let (sandbox, _scratch) = sandbox()?;
    let mut report = Report { file: file.to_owned(), ..Report::default() };
    match name_of(file) {
        Ok(name) => {
            let manifest = manifest_at(manifest, &mut report);
            runtime()?.block_on(judge(&sandbox, &mut report, name, bytes, manifest));
        }
        Err(fault) => report.faults.push(fault.to_string()),
    }
    let mut reports = [report];
    warn_of_cycles(&mut reports);
    let [report] = reports;
    Ok(report)
}

/// What checks components, and the folder of its own that must outlive it.
fn sandbox() -> Result<(Arc<Sandbox>, Scratch), Failure> {
    let compiler = this_program().context("find this program's own file, which is also the compiler")?;
    let runners = runner_dirs(None)?;
    // The user's own cache spares the seconds that an interpreter takes to compile; without one a folder of this run does.
    let lasting = cache_dir().map(|dir| Sandbox::with_runners(compiler.clone(), dir, runners.clone()));
    let scratch = Scratch::new().context("make a temporary folder for compiled code")?;
    let sandbox = match lasting {
        Some(Ok(sandbox)) => sandbox,
        _ => Sandbox::with_runners(compiler, scratch.path().join("compiled"), runners)?,
    };
    Ok((sandbox, scratch))
}

/// Plugins that feed themselves, or each other if they are checked together.
fn warn_of_cycles(reports: &mut [Report]) {
    let named =
        reports.iter().filter_map(|report| Some((name_of(&report.file).ok()?, report.manifest.as_ref()?)));
    let plugins: BTreeMap<PluginName, &Manifest> = named.collect();
    let found = cycles(plugins.iter().map(|(name, manifest)| (name, *manifest)));
    for report in reports {
        report.warnings.extend(name_of(&report.file).ok().and_then(|name| found.get(&name).cloned()));
    }
}

/// What a file holds, as the engine would take it.
fn artifact_of(file: &Path) -> Artifact {
    let ending = file.extension().and_then(|ending| ending.to_str());
    ending.and_then(Artifact::of_extension).unwrap_or_default()
}

/// The plugin that a component's file stands for.
fn name_of(file: &Path) -> Result<PluginName, ManifestError> {
    PluginName::new(file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default())
}

async fn check_one(sandbox: &Arc<Sandbox>, given: &Path) -> Report {
    // Whoever names the manifest means the plugin.
    let file = if given.extension().is_some_and(|kind| kind == "toml") {
        let codes = Artifact::ALL.map(|artifact| given.with_extension(artifact.extension()));
        codes.iter().find(|code| code.is_file()).unwrap_or(&codes[0]).clone()
    } else {
        given.to_owned()
    };
    let mut report = Report { file: file.clone(), ..Report::default() };
    let name = match name_of(&file) {
        Ok(name) => name,
        Err(fault) => {
            report.faults.push(fault.to_string());
            return report;
        }
    };
    let manifest = manifest_at(&file.with_extension("toml"), &mut report);
    match std::fs::read(&file) {
        Ok(bytes) => judge(sandbox, &mut report, name, &bytes, manifest).await,
        Err(error) => report.faults.push(format!("it cannot be read: {error}")),
    }
    report
}

/// Whether the engine would take this component with this manifest.
async fn judge(
    sandbox: &Arc<Sandbox>,
    report: &mut Report,
    name: PluginName,
    bytes: &[u8],
    mut manifest: Option<Manifest>,
) {
    let artifact = artifact_of(&report.file);
    if let Some(manifest) = &mut manifest {
        manifest.isolation.get_or_insert(artifact.default_isolation());
    }
    report.bytes = Some(bytes.len());
    let digest = Digest::of(bytes);
    report.digest = Some(digest);
    let spec = LoadSpec {
        name,
        artifact,
        kind: manifest.as_ref().map(|manifest| manifest.kind).unwrap_or_default(),
        digest,
        limits: manifest.as_ref().map_or_else(Limits::default, |manifest| manifest.limits.clone()),
        isolation: manifest.as_ref().and_then(|manifest| manifest.isolation).unwrap_or_default(),
        weight: manifest.as_ref().map_or(DEFAULT_WEIGHT, |manifest| manifest.weight),
        emit: manifest.as_ref().map(|manifest| manifest.emit.clone()).unwrap_or_default(),
        config: manifest.as_ref().map(Manifest::config_json).unwrap_or_default(),
        lookup: Arc::new(NoTables),
    };
    match sandbox.load(bytes, &spec, log_sink(&report.file)).await {
        Err(fault) => report.faults.push(fault.to_string()),
        Ok(prepared) => {
            report.shape = Some(prepared.shape().clone());
            if let Some(manifest) = manifest.as_ref().filter(|_| !artifact.is_source()) {
                compare_needs(manifest, &prepared.needs_key(), prepared.shape(), &mut report.warnings);
            }
            if let Some(about) = prepared.about() {
                if let Some(manifest) = &manifest {
                    compare("subjects", &about.subjects, &subscribed(manifest), &mut report.warnings);
                    compare("emits", &about.emits, &manifest.emit.subjects, &mut report.warnings);
                }
                report.about = Some(about.clone());
            }
        }
    }
    report.manifest = manifest;
}

fn manifest_at(path: &Path, report: &mut Report) -> Option<Manifest> {
    if !path.exists() {
        report.warnings.push(format!(
            "there is no manifest {} beside it, so only the component is checked",
            path.display()
        ));
        return None;
    }
    read_manifest(path).map_err(|fault| report.faults.push(fault)).ok()
}

fn subscribed(manifest: &Manifest) -> Vec<Pattern> {
    manifest.subscribe.iter().flat_map(|entry| entry.subjects.iter().cloned()).collect()
}

/// A plugin may be put to a use that its author did not think of, so a difference is a warning.
fn compare(what: &str, described: &[String], granted: &[Pattern], warnings: &mut Vec<String>) {
    let (described_as, manifest_key) = match what {
        "emits" => ("emits to", "emit.subjects"),
        _ => ("is made for", "subscribe.subjects"),
    };
    for text in described {
        match Pattern::new(text.as_str()) {
            Err(fault) => warnings.push(format!("its description: {what}: {fault}")),
            Ok(pattern) if granted.iter().any(|grant| grant.overlaps(&pattern)) => {}
            Ok(pattern) => {
                warnings.push(format!(
                    "it says that it {described_as} {pattern}, which the manifest's {manifest_key} leave out"
                ));
            }
        }
    }
}

/// All that a plugin may import.
const ALL_IMPORTS: [&str; 7] = ["clock", "config", "log", "lookup", "random", "state", "timer-control"];

/// Imports that this manifest leaves without an answer, and grants that nothing comes of. A runner imports all that there is, and so
/// do components that hold an interpreter: source says nothing of itself here.
fn compare_needs(manifest: &Manifest, needs_key: &[&str], shape: &Shape, warnings: &mut Vec<String>) {
    let has =
        |name: &&str| shape.imports.iter().any(|import| *import == format!("wasmill:plugin/{name}@0.1.0"));
    if ALL_IMPORTS.iter().all(has) {
        return;
    }
    if manifest.key.is_none() && !needs_key.is_empty() {
        warnings.push(format!(
            "it imports {}, and the manifest names no key: it will have neither state nor timers",
            needs_key.join(" and ")
        ));
    }
    let looks_up = shape.imports.iter().any(|name| name.starts_with("wasmill:plugin/lookup@"));
    if looks_up && manifest.lookup.is_empty() {
        warnings
            .push("it imports wasmill:plugin/lookup, and the manifest's [lookup] grants no table".to_owned());
    } else if !looks_up && !manifest.lookup.is_empty() {
        warnings.push(
            "the manifest's [lookup] grants tables, and it does not import wasmill:plugin/lookup".to_owned(),
        );
    }
}

fn log_sink(file: &Path) -> LogSink {
    let file = file.display().to_string();
    Arc::new(move |line: LogLine| out::say(format_args!("{file}: {} {}", line.level, line.message)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_component_needs_is_held_against_the_manifest() {
        let manifest = |lines: &str| {
            Manifest::parse(&format!("{lines}\n[[subscribe]]\nstream = \"S\"\nsubjects = [\"a.>\"]\n"))
                .unwrap()
        };
        let (state, lookup) = ("wasmill:plugin/state@0.1.0", "wasmill:plugin/lookup@0.1.0");
        let all = ALL_IMPORTS.map(|name| format!("wasmill:plugin/{name}@0.1.0"));
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        for (lines, imports, wanted) in [
            ("", &[][..], &[][..]),
            ("", &[state, lookup], &["it imports wasmill:plugin/state@0.1.0, and", "grants no table"]),
            ("key = { token = 2 }\nlookup = { t = \"B\" }", &[state, lookup], &[]),
            ("lookup = { t = \"B\" }", &[], &["does not import"]),
            ("", &all, &[]),
        ] {
            let needs: Vec<&str> = imports.iter().copied().filter(|name| *name == state).collect();
            let imports = imports.iter().map(|name| (*name).to_owned()).collect();
            let mut warnings = Vec::new();
            compare_needs(&manifest(lines), &needs, &Shape { imports, exports: Vec::new() }, &mut warnings);
            assert_eq!(warnings.len(), wanted.len(), "{warnings:?}");
            assert!(warnings.iter().zip(wanted).all(|(told, wanted)| told.contains(wanted)), "{warnings:?}");
        }
    }

    #[test]
    fn the_description_is_held_against_the_manifest() {
        for (described, granted, wanted) in [
            (&["payments.>"][..], &["payments.card"][..], &[][..]),
            (
                &["payments.>"],
                &["orders.>"],
                &["emits to payments.>, which the manifest's emit.subjects leave out"],
            ),
            (&["a", "b"], &["a"], &["emits to b"]),
            (&["a..b"], &["a"], &["its description: emits: subject \"a..b\" has an empty token"]),
            (&[], &[], &[]),
        ] {
            let described: Vec<String> = described.iter().map(|text| (*text).to_owned()).collect();
            let granted: Vec<Pattern> = granted.iter().map(|text| Pattern::new(*text).unwrap()).collect();
            let mut warnings = Vec::new();
            compare("emits", &described, &granted, &mut warnings);
            assert_eq!(warnings.len(), wanted.len(), "{warnings:?}");
            for (warning, wanted) in warnings.iter().zip(wanted) {
                assert!(warning.contains(wanted), "{warning}");
            }
        }
    }
}
