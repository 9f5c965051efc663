//! The plugin, as far as it is the same with a key and without one.

use wasmill::breaker::BreakerSettings;
use wasmill::effects::Emitter;
use wasmill::limits::Limits;
use wasmill::manifest::{Emit, Isolation, Kind, Manifest, OutputDelivery, Retry, Start, Subscribe};
use wasmill::subject::{Pattern, SubjectError};

/// Its name.
pub(super) const PLUGIN: &str = "simulated";
/// The stream that it reads.
pub(super) const STREAM: &str = "IN";

/// The digest that a version says its component has.
pub(super) fn digest(version: u32) -> String {
    format!("digest-{version}")
}

/// What the outputs of a version say of where they come from.
pub(super) fn emitter(version: u32) -> Emitter {
    Emitter { plugin: PLUGIN.to_owned(), version: version.to_string(), digest: digest(version) }
}

/// The manifest of a plugin without a key that is never quarantined, of which so many outputs may leave in a second.
pub(super) fn manifest(concurrency: u32, retry: &Retry, pace: u32) -> Result<Manifest, SubjectError> {
    Ok(Manifest {
        enabled: true,
        kind: Kind::Plugin,
        isolation: Some(Isolation::Fresh),
        concurrency,
        subscribe: vec![Subscribe {
            stream: Some(STREAM.to_owned()),
            subjects: vec![Pattern::new("in.>")?],
            start: Start::All,
            durable: None,
        }],
        emit: Emit { subjects: vec![Pattern::new("out.>")?], reply: false, delivery: OutputDelivery::Stored },
        retry: retry.clone(),
        breaker: BreakerSettings { failures: 0, ..BreakerSettings::default() },
        weight: 1,
        limits: Limits { outputs_per_second: pace, ..Limits::default() },
        config: Default::default(),
        key: None,
        state: Default::default(),
        lookup: Default::default(),
    })
}
