//! The threads of one version of a plugin. Each runs one instance at a time.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::sync::oneshot;
use wasmtime::Engine;

use super::Prepared;
use super::contract::RawOutput;
use super::instance::Instance;
use super::logs::LogSink;
use crate::event::Event;
use crate::limits::WORKER_STACK_BYTES;
use crate::manifest::Isolation;
use crate::outcome::Failure;

/// Calls that wait for a thread. Whoever calls holds a permit of the plugin's concurrency, which is the real bound; this
/// one keeps a defect there from growing without end.
const MAX_WAITING_CALLS: usize = 16_384;

struct Call {
    event: Arc<Event>,
    reply: oneshot::Sender<Result<Vec<RawOutput>, Failure>>,
}

/// The threads that run one version of a plugin. Dropping it ends them after the calls that they have.
pub struct Workers {
    calls: async_channel::Sender<Call>,
    prepared: Arc<Prepared>,
}

impl Workers {
    pub(super) fn start(engine: Engine, prepared: Arc<Prepared>, sink: LogSink) -> std::io::Result<Self> {
        let (calls, waiting) = async_channel::bounded(MAX_WAITING_CALLS);
        for index in 0..prepared.shared.limits.instance_count() {
            let worker = Worker {
                engine: engine.clone(),
                prepared: Arc::clone(&prepared),
                sink: sink.clone(),
                kept: None,
            };
            let waiting: async_channel::Receiver<Call> = waiting.clone();
            std::thread::Builder::new()
                .name(format!("{}-{index}", prepared.shared.name))
                .stack_size(WORKER_STACK_BYTES)
                .spawn(move || worker.run(&waiting))?;
        }
        Ok(Self { calls, prepared })
    }

    /// The component they run.
    #[must_use]
    pub fn prepared(&self) -> &Prepared {
        &self.prepared
    }

    /// Hands an event to the guest.
    ///
    /// # Errors
    /// The named reason why the guest did not handle it.
    pub async fn handle(&self, event: Arc<Event>) -> Result<Vec<RawOutput>, Failure> {
        let (reply, answer) = oneshot::channel();
        let lost = || Failure::Engine("the plugin's threads have ended".to_owned());
        self.calls.send(Call { event, reply }).await.map_err(|_| lost())?;
        answer.await.map_err(|_| lost())?
    }
}

struct Worker {
    engine: Engine,
    prepared: Arc<Prepared>,
    sink: LogSink,
    /// The instance of `reuse` isolation.
    kept: Option<Instance>,
}

impl Worker {
    fn run(mut self, waiting: &async_channel::Receiver<Call>) {
        while let Ok(Call { event, reply }) = waiting.recv_blocking() {
            // A defect in the runtime must not take the thread with it: the next event may be a better one.
            let called = catch_unwind(AssertUnwindSafe(|| self.call(&event)));
            let (result, used) = called.unwrap_or_else(|_| {
                (Err(Failure::Engine("the sandbox panicked; the log has the details".to_owned())), None)
            });
            // The answer first: giving an instance's memory back takes longer than most calls.
            let _caller_gone = reply.send(result);
            drop(used);
        }
    }

    /// The result, and the instance if it is not to be used again.
    fn call(&mut self, event: &Event) -> (Result<Vec<RawOutput>, Failure>, Option<Instance>) {
        let mut instance = match self.kept.take() {
            Some(instance) => instance,
            None => match Instance::new(&self.engine, &self.prepared, &self.sink, event) {
                Ok(instance) => instance,
                Err(failure) => return (Err(failure), None),
            },
        };
        let (result, intact) = instance.handle(event);
        if intact && self.prepared.isolation == Isolation::Reuse {
            self.kept = Some(instance);
            (result, None)
        } else {
            (result, Some(instance))
        }
    }
}
