//! Defects that can be switched on, where they take more than a word. See [`crate::faults`].

use super::{Deliverer, Version};
use crate::effects::{Output, Proposed};
use crate::event::{Event, HOPS_HEADER, MSG_ID_HEADER};
use crate::faults::is_mutant;

/// Gives outputs another id than they should have, or fewer hops.
pub(super) fn spoil(outputs: &mut [Output], version: &Version, event: &Event, input: &str) {
    let plugin = &version.emitter.plugin;
    for (index, output) in outputs.iter_mut().enumerate() {
        if is_mutant("hops-not-counted") {
            output.message.headers.replace(HOPS_HEADER, event.hops.to_string());
        }
        let id = if is_mutant("no-message-id") {
            String::new()
        } else if is_mutant("id-without-index") {
            format!("{plugin}:{input}")
        } else if is_mutant("id-with-attempt") {
            format!("{plugin}:{input}:{index}:{}", event.attempt)
        } else if is_mutant("id-with-version") {
            format!("{plugin}:{input}:{index}:{}", version.emitter.digest)
        } else {
            return;
        };
        output.message.headers.replace(MSG_ID_HEADER, id);
    }
}

impl Deliverer {
    /// Publishes what stands before the first output that is refused.
    pub(super) async fn publish_before_check(
        &self,
        version: &Version,
        event: &Event,
        input: &str,
        answer: &Result<Vec<Proposed>, crate::outcome::Failure>,
    ) {
        let (Ok(proposed), true) = (answer, is_mutant("publish-before-check")) else { return };
        let good = (0..proposed.len())
            .rev()
            .filter_map(|count| self.checked(version, event, input, proposed.get(..count)?.to_vec()).ok());
        if let Some(outputs) = good.max_by_key(Vec::len) {
            let _stored = self.publish_all(&version.manifest.emit, input, outputs).await;
        }
    }
}
