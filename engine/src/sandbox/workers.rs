//! The threads of one version of a plugin. Each runs one instance at a time.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use wasmtime::Engine;

use super::Prepared;
use super::command::Process;
use super::instance::{Cut, Instance};
use super::logs::LogSink;
use super::priority::{self, Spawner};
use super::shares::{Share, Shares, Turn};
use crate::effects::Proposed;
use crate::event::Event;
use crate::manifest::Isolation;
use crate::outcome::{Failure, Handled};

/// Calls that wait for a thread. Whoever calls holds a permit of the plugin's concurrency, which is the real bound; this
/// one keeps a defect there from growing without end.
const MAX_WAITING_CALLS: usize = 16_384;

/// Answers are handed back a few at a time while more calls wait: what follows, publishing above all, is cheaper in bulk.
const ANSWERS_AT_ONCE: usize = 16;
/// And no answer is held back for longer than this, but for the call that comes after it.
const HOLD_ANSWERS: Duration = Duration::from_micros(150);

struct Call {
    event: Arc<Event>,
    reply: oneshot::Sender<Handled>,
}

/// The threads that run one version of a plugin. Dropping it ends them after the calls that they have.
pub struct Workers {
    calls: async_channel::Sender<Call>,
    prepared: Arc<Prepared>,
}

impl Workers {
    pub(super) fn start(
        engine: Engine,
        scheduling: &Scheduling,
        prepared: Arc<Prepared>,
        sink: LogSink,
    ) -> std::io::Result<Self> {
        let (calls, waiting) = async_channel::bounded(MAX_WAITING_CALLS);
        let shared = &prepared.shared;
        for index in 0..shared.limits.instance_count() {
            let share = scheduling.shares.share(&shared.name, prepared.weight, shared.limits.cpu_ms);
            let worker = Worker {
                name: format!("{}-{index}", shared.name),
                caller: Caller::new(
                    engine.clone(),
                    Arc::clone(&prepared),
                    sink.clone(),
                    Some(Arc::clone(&share)),
                ),
                share,
                waiting: waiting.clone(),
                spawner: scheduling.spawner.clone(),
            };
            let thread = scheduling.spawner.thread(worker.name.clone())?;
            // The thread waits for just this.
            let _started = thread.send(Box::new(move || worker.serve(None)));
        }
        Ok(Self { calls, prepared })
    }

    /// The component they run.
    #[must_use]
    pub fn prepared(&self) -> &Prepared {
        &self.prepared
    }

    /// Hands an event to the guest. A call that nobody waits for any more when its turn comes is not made.
    pub async fn handle(&self, event: Arc<Event>) -> Handled {
        let (reply, answer) = oneshot::channel();
        // A channel whose threads have ended drops the call, and with it the sender.
        let _threads_gone = self.calls.send(Call { event, reply }).await;
        answer.await.unwrap_or_else(|_| Handled {
            answer: Err(Failure::Engine("the plugin's threads have ended".to_owned())),
            took: Duration::ZERO,
            cpu: None,
            backtrace: None,
        })
    }
}

/// What decides when and where calls run.
pub(super) struct Scheduling {
    pub shares: Arc<Shares>,
    pub spawner: Spawner,
}

/// One thread's work.
struct Worker {
    name: String,
    caller: Caller,
    share: Arc<Share>,
    waiting: async_channel::Receiver<Call>,
    spawner: Spawner,
}

impl Worker {
    /// Makes calls until there are no more to come. `turn` is that of the thread which this one takes over from.
    fn serve(mut self, mut turn: Option<Turn>) {
        self.share.arrive();
        let mut answers = Vec::with_capacity(ANSWERS_AT_ONCE);
        loop {
            let first = match self.waiting.try_recv() {
                Ok(call) => call,
                Err(_) => {
                    turn = None;
                    let Ok(call) = self.waiting.recv_blocking() else { return };
                    call
                }
            };
            // With more to do the plugin goes on wanting its core, however long this thread is kept from asking for it.
            let turn_now = match turn.take() {
                Some(turn) => turn.again(),
                None => Share::turn(&self.share, Instant::now()),
            };
            let started = turn_now.began();
            let mut next = Some(first);
            while let Some(Call { event, reply }) = next {
                if !reply.is_closed() {
                    answers.push((reply, self.caller.call_unwinding(&event)));
                }
                let go_on = answers.len() < ANSWERS_AT_ONCE && started.elapsed() < HOLD_ANSWERS;
                next = if go_on { self.waiting.try_recv().ok() } else { None };
            }
            for (reply, result) in answers.drain(..) {
                let _caller_gone = reply.send(result);
            }
            // Without a thread to take over, a slow one is better than none.
            if priority::is_low()
                && let Ok(thread) = self.spawner.thread(self.name.clone())
            {
                turn_now.leave_thread();
                let _taken_over = thread.send(Box::new(move || self.serve(Some(turn_now))));
                return;
            }
            turn = Some(turn_now);
        }
    }
}

/// Calls a plugin's handler on the thread that asks, one event after the other.
pub struct Caller {
    engine: Engine,
    prepared: Arc<Prepared>,
    sink: LogSink,
    share: Option<Arc<Share>>,
    /// The guest of `reuse` isolation.
    kept: Option<Guest>,
    /// The CPU time of the last call, if it was looked at.
    cpu: Option<Duration>,
}

impl Caller {
    pub(super) fn new(
        engine: Engine,
        prepared: Arc<Prepared>,
        sink: LogSink,
        share: Option<Arc<Share>>,
    ) -> Self {
        Self { engine, prepared, sink, share, kept: None, cpu: None }
    }

    /// A defect in the runtime must not take the thread with it: the next event may be a better one.
    fn call_unwinding(&mut self, event: &Event) -> Handled {
        let started = Instant::now();
        let called = catch_unwind(AssertUnwindSafe(|| self.call(event)));
        let (answer, backtrace) = match called {
            Ok(Ok(outputs)) => (Ok(outputs), None),
            Ok(Err(Cut { failure, backtrace })) => (Err(failure), backtrace),
            Err(_) => {
                (Err(Failure::Engine("the sandbox panicked; the log has the details".to_owned())), None)
            }
        };
        Handled { answer, took: started.elapsed(), cpu: self.cpu.take(), backtrace }
    }

    /// Hands an event to the guest.
    ///
    /// # Errors
    /// The named reason why the guest did not handle it, and where in the guest that was.
    pub fn call(&mut self, event: &Event) -> Result<Vec<Proposed>, Cut> {
        let mut guest = match self.kept.take() {
            Some(guest) => guest,
            None => self.new_guest(event)?,
        };
        let (result, intact) = match &mut guest {
            Guest::Instance(instance) => instance.handle(event),
            Guest::Process(process) => process.handle(event),
        };
        self.cpu = match &guest {
            Guest::Instance(instance) => instance.cpu_used(),
            Guest::Process(process) => process.cpu_used(),
        };
        if intact && self.prepared.isolation == Isolation::Reuse {
            self.kept = Some(guest);
        }
        result
    }

    fn new_guest(&self, event: &Event) -> Result<Guest, Cut> {
        let Self { engine, prepared, sink, share, .. } = self;
        if prepared.fitted.run().is_some() {
            return Ok(Guest::Process(Process::new(engine, prepared, sink, share.clone())));
        }
        Instance::new(engine, prepared, sink, share.clone(), event).map(Guest::Instance)
    }
}

/// What handles events: an instance that is called, or a program that is fed.
enum Guest {
    Instance(Instance),
    Process(Process),
}
