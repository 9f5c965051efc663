//! From two files to a version that may be put into service: read, parse, compile, check, try out.

use std::sync::Arc;

use super::guest_log;
use super::unkeyed_service::durable_spec;
use crate::artifact::Artifact;
use crate::bus::{Bus, BusError};
use crate::effects::Emitter;
use crate::keyed;
use crate::manifest::{Manifest, PluginName};
use crate::plan::Files;
use crate::sandbox::{LoadError, LoadSpec, Sandbox, Workers};
use crate::tables::BucketTables;

/// The bytes of a plugin's two files.
pub(super) struct Source {
    pub files: Files,
    pub component: Vec<u8>,
    pub manifest: String,
}

/// A version that may be put into service, with the files it came from.
pub(super) struct Candidate {
    pub ready: Ready,
    pub source: Source,
}

/// A version that may be put into service.
pub(super) struct Ready {
    pub workers: Workers,
    pub manifest: Arc<Manifest>,
    pub emitter: Emitter,
}

/// Why files make no version.
pub(super) enum Refusal {
    /// The manifest says not to run it.
    Disabled,
    /// The component is not well-formed. If it was written just now, the rest of it may follow.
    Malformed(Artifact, String),
    /// A file changed between the look at it and its reading.
    Changed(String),
    /// It is good, but what it subscribes to is not there, and a version that serves would make way for one that waits.
    NotYet(String),
    /// This is wrong with it.
    Because(String),
}

/// What loading needs.
#[derive(Clone)]
pub(super) struct Around {
    pub sandbox: Arc<Sandbox>,
    pub bus: Arc<dyn Bus>,
    /// Whether a plugin whose streams do not keep what is promised is refused.
    pub strict: bool,
}

/// Loads a version. If another version `serves`, what this one subscribes to must stand before it takes over.
pub(super) async fn load(
    around: &Around,
    serves: bool,
    name: &PluginName,
    source: Source,
) -> Result<Candidate, Refusal> {
    let mut manifest =
        Manifest::parse(&source.manifest).map_err(|err| Refusal::Because(format!("{name}.toml: {err}")))?;
    if !manifest.enabled {
        return Err(Refusal::Disabled);
    }
    let artifact = source.files.artifact;
    let isolation = *manifest.isolation.get_or_insert(artifact.default_isolation());
    let file = format!("{name}.{}", artifact.extension());
    let because = |what: &dyn std::fmt::Display| Refusal::Because(format!("{file}: {what}"));
    let spec = LoadSpec {
        name: name.clone(),
        artifact,
        kind: manifest.kind,
        digest: source.files.component,
        limits: manifest.limits.clone(),
        isolation,
        weight: manifest.weight,
        emit: manifest.emit.clone(),
        config: manifest.config_json(),
        lookup: Arc::new(BucketTables::watch(name, &around.bus, &manifest.lookup)),
    };
    let sink = guest_log::sink(name);
    let prepared =
        around.sandbox.load(&source.component, &spec, Arc::clone(&sink)).await.map_err(|err| match err {
            // A module that lacks exports may be one that is still being written.
            LoadError::Empty
            | LoadError::Truncated
            | LoadError::NotWasm
            | LoadError::CoreModule(_)
            | LoadError::Invalid(_) => Refusal::Malformed(artifact, format!("{file}: {err}")),
            err => because(&err),
        })?;
    let emitter = Emitter {
        plugin: name.to_string(),
        version: prepared.about().map(|about| about.version.clone()).unwrap_or_default(),
        digest: source.files.component.to_string(),
    };
    let workers = around
        .sandbox
        .start(prepared, sink)
        .map_err(|err| because(&format!("its threads did not start: {err}")))?;
    if around.strict {
        let warnings = super::horizon::warnings(&*around.bus, &manifest).await;
        if !warnings.is_empty() {
            let strict = "  hint: or set delivery.strict = false";
            return Err(Refusal::NotYet(format!("{name}.toml: {}\n{strict}", warnings.join("\n"))));
        }
    }
    if serves {
        prepare(&*around.bus, name, &manifest).await?;
    }
    let ready = Ready { workers, manifest: Arc::new(manifest), emitter };
    Ok(Candidate { ready, source })
}

/// Sees to it that what the version subscribes to stands. The last step before it takes over: from here on the version
/// before it may be handed events of the new subjects.
async fn prepare(bus: &dyn Bus, name: &PluginName, manifest: &Manifest) -> Result<(), Refusal> {
    if manifest.key.is_some() {
        return prepare_keyed(bus, name, manifest).await;
    }
    for spec in manifest.subscribe.iter().filter_map(|entry| durable_spec(name, manifest, entry)) {
        match bus.prepare(&spec).await {
            Ok(()) => {}
            Err(err @ BusError::StreamMissing(_)) => {
                return Err(Refusal::NotYet(format!("{name}.toml: {err}")));
            }
            // Without an answer nothing is known against it: the subscription finds out.
            Err(err) if err.is_transient() => {}
            Err(err) => return Err(Refusal::Because(format!("{name}.toml: {err}"))),
        }
    }
    Ok(())
}

/// The same for a plugin with a key: it has no consumers that could be there already.
async fn prepare_keyed(bus: &dyn Bus, name: &PluginName, manifest: &Manifest) -> Result<(), Refusal> {
    for stream in manifest.subscribe.iter().filter_map(|entry| entry.stream.as_ref()) {
        if let Err(err @ BusError::StreamMissing(_)) = bus.stream(stream).await {
            return Err(Refusal::NotYet(format!("{name}.toml: {err}")));
        }
    }
    // A bucket that cannot be asked now says nothing against it.
    match keyed::partitions(bus, name).await {
        // An import may divide the keys anew.
        Ok(Some(found)) if found != manifest.state.partitions => Err(Refusal::NotYet(format!(
            "{name}.toml: {}",
            keyed::LeaseError::Partitions { wanted: manifest.state.partitions, found }
        ))),
        Ok(_) | Err(_) => Ok(()),
    }
}
