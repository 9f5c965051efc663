//! Whether the streams remember message ids for as long as an event may be delivered again. If one does not, an output may
//! be stored twice, so the operator is told.

use std::collections::BTreeMap;
use std::time::Duration;

use super::view::Views;
use crate::bus::{Bus, StreamInfo};
use crate::manifest::{Manifest, OutputDelivery, PluginName};

/// Tells what is wrong with the streams that a plugin emits to.
pub(super) async fn tell(bus: &dyn Bus, plugin: &PluginName, manifest: &Manifest, views: &Views) {
    let warnings = warnings(bus, manifest).await;
    for warning in &warnings {
        tracing::warn!(plugin = plugin.as_str(), "{warning}");
    }
    views.warnings(plugin, warnings);
}

/// What is wrong with the streams that a plugin emits to.
pub(super) async fn warnings(bus: &dyn Bus, manifest: &Manifest) -> Vec<String> {
    if manifest.emit.delivery == OutputDelivery::Core {
        return Vec::new();
    }
    let mut warnings = Vec::new();
    let mut streams: BTreeMap<String, StreamInfo> = BTreeMap::new();
    for pattern in &manifest.emit.subjects {
        match bus.streams_for(pattern).await {
            Ok(found) if found.is_empty() => warnings.push(format!(
                "no stream stores {pattern}: outputs there would fail\n  hint: declare one under [[streams]], or set emit.delivery = \"core\""
            )),
            Ok(found) => streams.extend(found.into_iter().map(|stream| (stream.name.clone(), stream))),
            Err(err) => warnings.push(format!("the streams for {pattern} could not be looked up: {err}")),
        }
    }
    warnings.extend(streams.values().filter_map(|stream| too_short(stream, manifest.retry.horizon())));
    warnings
}

fn too_short(stream: &StreamInfo, horizon: Duration) -> Option<String> {
    (stream.duplicate_window < horizon).then(|| {
        format!(
            "stream {} remembers message ids for {} s, but an event may be delivered again for {} s: an output may be stored twice\n  hint: raise the stream's duplicate window, or lower retry.attempts or retry.ack_wait_ms",
            stream.name,
            stream.duplicate_window.as_secs(),
            horizon.as_secs()
        )
    })
}
