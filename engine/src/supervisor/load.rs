//! From two files to a version that may be put into service: read, parse, compile, check, try out.

use std::sync::Arc;

use super::guest_log;
use crate::bus::{Bus, BusError};
use crate::effects::Emitter;
use crate::manifest::{Manifest, PluginName};
use crate::plan::Files;
use crate::sandbox::{LoadError, LoadSpec, Sandbox};
use crate::unkeyed::Version;

/// The bytes of a plugin's two files.
pub(super) struct Source {
    pub files: Files,
    pub component: Vec<u8>,
    pub manifest: String,
}

/// A version that may be put into service, with the files it came from.
pub(super) struct Candidate {
    pub version: Version,
    pub source: Source,
}

/// Why files make no version.
pub(super) enum Refusal {
    /// The manifest says not to run it.
    Disabled,
    /// The component is not well-formed. If it was written just now, the rest of it may follow.
    Malformed(String),
    /// It is good, but what it subscribes to is not there, and a version that serves would make way for one that waits.
    NotYet(String),
    /// This is wrong with it.
    Because(String),
}

/// Loads a version. With `bus`, another version serves: then the streams it reads must be there.
pub(super) async fn load(
    sandbox: &Arc<Sandbox>,
    bus: Option<&dyn Bus>,
    name: &PluginName,
    source: Source,
) -> Result<Candidate, Refusal> {
    let manifest =
        Manifest::parse(&source.manifest).map_err(|err| Refusal::Because(format!("{name}.toml: {err}")))?;
    if !manifest.enabled {
        return Err(Refusal::Disabled);
    }
    if let Some(bus) = bus {
        check_streams(bus, name, &manifest).await?;
    }
    let because = |what: &dyn std::fmt::Display| Refusal::Because(format!("{name}.wasm: {what}"));
    let spec = LoadSpec {
        name: name.clone(),
        limits: manifest.limits.clone(),
        isolation: manifest.isolation,
        config: manifest.config_json(),
    };
    let sink = guest_log::sink(name);
    let prepared =
        sandbox.load(&source.component, &spec, Arc::clone(&sink)).await.map_err(|err| match err {
            LoadError::Empty | LoadError::Truncated | LoadError::NotWasm | LoadError::Invalid(_) => {
                Refusal::Malformed(format!("{name}.wasm: {err}"))
            }
            err => because(&err),
        })?;
    let emitter = Emitter {
        plugin: name.to_string(),
        version: prepared.about().map(|about| about.version.clone()).unwrap_or_default(),
        digest: source.files.component.to_string(),
    };
    let workers =
        sandbox.start(prepared, sink).map_err(|err| because(&format!("its threads did not start: {err}")))?;
    let version = Version { workers, manifest: Arc::new(manifest), emitter };
    Ok(Candidate { version, source })
}

async fn check_streams(bus: &dyn Bus, name: &PluginName, manifest: &Manifest) -> Result<(), Refusal> {
    for stream in manifest.subscribe.iter().filter_map(|entry| entry.stream.as_ref()) {
        // Without an answer nothing is known against it: the subscription finds out.
        if let Err(err @ BusError::StreamMissing(_)) = bus.stream(stream).await {
            return Err(Refusal::NotYet(format!("{name}.toml: {err}")));
        }
    }
    Ok(())
}
