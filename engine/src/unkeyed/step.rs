//! The way of an event, as far as everything goes well: decode → call → check → publish → all stored.

use std::sync::Arc;

use futures::future::join_all;

use super::input::Input;
use super::sinks::{Way, lacks_stream};
use super::{Deliverer, Errand, Setback, Version};
use crate::bus::BusError;
use crate::effects::{self, Output, Proposed, Rules};
use crate::event::Event;
use crate::faults::{failpoint, mutant};
use crate::manifest::{Emit, OutputDelivery};
use crate::outcome::{Failure, Handled, Trouble};

impl Deliverer {
    /// Brings one event through. When it returns well, all that the event caused is stored.
    /// Told to stop, it gives up what has not begun to be published.
    pub(super) async fn step(
        &self,
        version: &Version,
        input: &Input<'_>,
        errand: &mut Errand<'_>,
    ) -> Result<(), Setback> {
        let event = Event::decode(&input.message, &input.origin).map_err(Failure::Malformed)?;
        let event = Arc::new(event);
        failpoint!("before-call");
        let Handled { answer, took, backtrace, .. } = tokio::select! {
            biased;
            handled = version.handler.handle(Arc::clone(&event)) => handled,
            // Nothing has come of it yet, so it may wait for better days; what a guest still answers is not looked at.
            () = self.plugin.guard.shut(), if input.delivery.receipt.is_some() => return Err(Setback::Returned("quarantined")),
        };
        failpoint!("called");
        #[cfg(feature = "mutants")]
        self.publish_before_check(version, &event, &input.name, &answer).await;
        self.plugin.metrics.called(took);
        let used = |failure| Trouble { failure, took: Some(took), backtrace };
        let outputs = match answer.and_then(|proposed| self.checked(version, &event, &input.name, proposed)) {
            Ok(outputs) => outputs,
            Err(failure) => return Err(used(failure).into()),
        };
        #[cfg(feature = "mutants")]
        let outputs = {
            let mut outputs = outputs;
            super::mutants::spoil(&mut outputs, version, &event, &input.name);
            outputs
        };
        failpoint!("checked");
        errand.taken.grow(outputs.iter().map(|output| output.message.wire_bytes() as u64).sum());
        let rate = || self.plugin.version.load().manifest.limits.outputs_per_second;
        tokio::select! {
            biased;
            () = self.plugin.pace.wait(outputs.len(), rate) => {}
            () = errand.stop.cancelled(), if input.delivery.receipt.is_some() => return Err(Setback::Returned("stopping")),
        }
        self.publish_all(&version.manifest.emit, &input.name, outputs).await?;
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
            max_message_bytes: self.plugin.bus.max_message_bytes(),
        };
        let other = mutant!("swap-before-drain").then(|| self.plugin.version.load_full());
        let emitter = other.as_deref().map_or(&version.emitter, |version| &version.emitter);
        effects::check(emitter, event, input, proposed, rules)
    }

    pub(super) async fn publish_all(
        &self,
        emit: &Emit,
        input: &str,
        outputs: Vec<Output>,
    ) -> Result<(), Failure> {
        let ended = match self.plugin.sinks.way(&*self.plugin.bus, emit, &outputs).await {
            Ok(Way::Singly) => self.publish_singly(input, outputs).await,
            Ok(Way::Together(stream)) => self.publish_together(&stream, input, outputs).await,
            Err(failure) => Err(failure),
        };
        match ended {
            Err(_) if mutant!("publish-error-swallowed") => Ok(()),
            ended => ended,
        }
    }

    /// Publishes each by itself, but for those that were stored in an earlier try: their stream may have forgotten them.
    async fn publish_singly(&self, input: &str, outputs: Vec<Output>) -> Result<(), Failure> {
        let mut stored = self.past.stored(input);
        let missing = outputs.into_iter().enumerate().filter(|(index, _)| !stored.contains(index));
        let published =
            missing.map(|(index, output)| async move { (index, self.publish(index, output).await) });
        let mut first_failure = None;
        // Each to its end: what is stored counts, whatever becomes of the others.
        for (index, ended) in join_all(published).await {
            match ended {
                Ok(()) => _ = stored.insert(index),
                Err(failure) => _ = first_failure.get_or_insert(failure),
            }
        }
        match first_failure {
            None => Ok(()),
            Some(failure) => {
                self.past.partly_stored(input, stored);
                Err(failure)
            }
        }
    }

    /// Has all outputs stored or none, where that is possible.
    async fn publish_together(&self, stream: &str, input: &str, outputs: Vec<Output>) -> Result<(), Failure> {
        outputs.iter().for_each(|_| {
            failpoint!("output-sent");
        });
        let messages = outputs.iter().map(|output| output.message.clone()).collect();
        match self.plugin.bus.publish_batch(messages).await {
            Ok(_) => {
                for _ in &outputs {
                    failpoint!("output-stored");
                    self.plugin.metrics.stored(false);
                }
                self.plugin.guard.output(Ok(()));
                Ok(())
            }
            Err(BusError::Repeated) if mutant!("repeated-batch-taken-for-stored") => Ok(()),
            // Each is there already, and then dropped, or was missing and gets stored: right in both cases.
            Err(BusError::Repeated) => self.publish_singly(input, outputs).await,
            Err(BusError::NoBatch { .. }) => {
                self.plugin.sinks.no_batches(stream);
                self.publish_singly(input, outputs).await
            }
            Err(err) => {
                if !err.is_transient() {
                    self.plugin.sinks.look_again();
                    self.plugin.guard.output(Err(err.to_string()));
                }
                Err(Failure::Publish { index: 0, reason: err.to_string() })
            }
        }
    }

    async fn publish(&self, index: usize, output: Output) -> Result<(), Failure> {
        failpoint!("output-sent");
        let sent = match output.delivery {
            OutputDelivery::Stored => {
                self.plugin.bus.publish(output.message).await.map(|stored| stored.duplicate)
            }
            OutputDelivery::Core => self.plugin.bus.publish_core(output.message).await.map(|()| false),
        };
        match sent {
            Ok(repeat) => {
                failpoint!("output-stored");
                self.plugin.metrics.stored(repeat);
                self.plugin.guard.output(Ok(()));
                Ok(())
            }
            Err(BusError::TooLarge { bytes, limit, .. }) => Err(Failure::OutputSize { index, bytes, limit }),
            Err(err) => {
                let reason = err.to_string();
                let refused = matches!(err, BusError::Refused { .. });
                let for_good = match err {
                    // Between two leaders a stream does not answer; that is no event's fault.
                    BusError::NoStream { subject } => match lacks_stream(&*self.plugin.bus, &subject).await {
                        Ok(lacks) => lacks,
                        // Who may not ask has no other answer than this one.
                        Err(err) => !err.is_transient(),
                    },
                    BusError::Unacceptable { .. } => true,
                    _ => false,
                };
                if refused {
                    self.plugin.guard.output(Err(reason.clone()));
                }
                let failure = if for_good {
                    Failure::Unstorable { index, reason }
                } else {
                    Failure::Publish { index, reason }
                };
                Err(failure)
            }
        }
    }
}
