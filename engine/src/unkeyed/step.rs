//! The way of an event, as far as everything goes well: decode → call → check → publish → all stored.

use std::sync::Arc;

use futures::future::try_join_all;

use super::input::Input;
use super::{Deliverer, Setback, Version};
use crate::bus::BusError;
use crate::effects::{self, Output, Proposed, Rules};
use crate::event::Event;
use crate::faults::{failpoint, mutant};
use crate::manifest::OutputDelivery;
use crate::outcome::{Failure, Handled, Trouble};
use crate::subject::Pattern;

impl Deliverer {
    /// Brings one event through. When it returns well, all that the event caused is stored.
    pub(super) async fn step(&self, version: &Version, input: &Input<'_>) -> Result<(), Setback> {
        let event = Event::decode(&input.message, &input.origin).map_err(Failure::Malformed)?;
        let event = Arc::new(event);
        failpoint!("before-call");
        let Handled { answer, took, backtrace } = tokio::select! {
            biased;
            handled = version.handler.handle(Arc::clone(&event)) => handled,
            // Nothing has come of it yet, so it may wait for better days; what a guest still answers is not looked at.
            () = self.guard.shut(), if input.delivery.receipt.is_some() => return Err(Setback::Quarantined),
        };
        failpoint!("called");
        #[cfg(feature = "mutants")]
        self.publish_before_check(version, &event, &input.name, &answer).await;
        self.metrics.called(took);
        let used = |failure| Trouble { failure, took: Some(took), backtrace };
        let outputs = match answer.and_then(|proposed| self.checked(version, &event, &input.name, proposed)) {
            Ok(outputs) => outputs,
            Err(failure) => return Err(used(failure).into()),
        };
        #[cfg(feature = "mutants")]
        let outputs = {
            let mut outputs = outputs;
            super::mutants::spoil_ids(&mut outputs, version, &event, &input.name);
            outputs
        };
        failpoint!("checked");
        self.pace.wait(outputs.len(), version.manifest.limits.outputs_per_second).await;
        self.publish_all(outputs).await?;
        failpoint!("all-stored");
        Ok(())
    }

    pub(super) fn checked(
        &self,
        version: &Version,
        event: &Event,
        input: &str,
        proposed: Vec<Proposed>,
    ) -> Result<Vec<Output>, Failure> {
        let rules = Rules {
            emit: &version.manifest.emit,
            limits: &version.manifest.limits,
            max_message_bytes: self.bus.max_message_bytes(),
        };
        let other = mutant!("swap-before-drain").then(|| self.version.load_full());
        let emitter = other.as_deref().map_or(&version.emitter, |version| &version.emitter);
        effects::check(emitter, event, input, proposed, rules)
    }

    pub(super) async fn publish_all(&self, outputs: Vec<Output>) -> Result<(), Failure> {
        let stored = outputs.into_iter().enumerate().map(|(index, output)| self.publish(index, output));
        match try_join_all(stored).await {
            Err(_) if mutant!("publish-error-swallowed") => Ok(()),
            ended => ended.map(|_| ()),
        }
    }

    async fn publish(&self, index: usize, output: Output) -> Result<(), Failure> {
        failpoint!("output-sent");
        let sent = match output.delivery {
            OutputDelivery::Stored => self.bus.publish(output.message).await.map(|stored| stored.duplicate),
            OutputDelivery::Core => self.bus.publish_core(output.message).await.map(|()| false),
        };
        match sent {
            Ok(repeat) => {
                failpoint!("output-stored");
                self.metrics.stored(repeat);
                Ok(())
            }
            Err(BusError::TooLarge { bytes, limit, .. }) => Err(Failure::OutputSize { index, bytes, limit }),
            Err(err) => {
                let reason = err.to_string();
                let for_good = match err {
                    // Between two leaders a stream does not answer; that is no event's fault.
                    BusError::NoStream { subject } => !self.has_stream(subject).await,
                    BusError::Unacceptable { .. } => true,
                    _ => false,
                };
                let failure = if for_good {
                    Failure::Unstorable { index, reason }
                } else {
                    Failure::Publish { index, reason }
                };
                Err(failure)
            }
        }
    }

    /// Whether some stream stores a subject, as far as anybody knows.
    async fn has_stream(&self, subject: String) -> bool {
        match Pattern::new(subject) {
            Ok(pattern) => self.bus.streams_for(&pattern).await.is_ok_and(|streams| !streams.is_empty()),
            Err(_) => false,
        }
    }
}
