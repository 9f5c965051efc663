//! The threads of one version of a plugin. Each runs one instance at a time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use wasmtime::Engine;

use super::Prepared;
use super::batch::{Batch, BatchHandled, Run};
use super::caller::Caller;
use super::logs::LogSink;
use super::priority::{self, Spawner};
use super::shares::{Share, Shares, Turn};
use crate::event::Event;
use crate::outcome::{Failure, Handled};

/// Calls that wait for a thread. Whoever calls holds a permit of the plugin's concurrency, which is the real bound; this
/// one keeps a defect there from growing without end.
const MAX_WAITING_CALLS: usize = 16_384;

/// Answers are handed back a few at a time while more calls wait: what follows, publishing above all, is cheaper in bulk.
const ANSWERS_AT_ONCE: usize = 16;
/// And no answer is held back for longer than this, but for the call that comes after it.
const HOLD_ANSWERS: Duration = Duration::from_micros(150);

/// Work for a thread, and who waits for what comes of it.
enum Call {
    Event { event: Arc<Event>, reply: oneshot::Sender<Handled> },
    Batch { run: Box<Run>, reply: oneshot::Sender<BatchHandled> },
}

/// What came of it, on its way back.
enum Answer {
    Event(oneshot::Sender<Handled>, Handled),
    Batch(oneshot::Sender<BatchHandled>, BatchHandled),
}

impl Call {
    /// Makes the call, or a batch's next step. What is left of a batch comes back.
    fn step(self, caller: &mut Caller, answers: &mut Vec<Answer>) -> Option<Self> {
        match self {
            Self::Event { event, reply } => {
                if !reply.is_closed() {
                    answers.push(Answer::Event(reply, caller.handle(&event)));
                }
                None
            }
            Self::Batch { mut run, reply } => {
                if reply.is_closed() {
                    return None;
                }
                if run.step(caller, &|| reply.is_closed()) {
                    return Some(Self::Batch { run, reply });
                }
                answers.push(Answer::Batch(reply, run.finish()));
                None
            }
        }
    }
}

impl Answer {
    /// Hands it back, unless nobody waits any more.
    fn send(self) {
        match self {
            Self::Event(reply, handled) => _ = reply.send(handled),
            Self::Batch(reply, handled) => _ = reply.send(handled),
        }
    }
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
                unfinished: None,
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
        let _threads_gone = self.calls.send(Call::Event { event, reply }).await;
        answer.await.unwrap_or_else(|_| Handled {
            answer: Err(threads_ended()),
            took: Duration::ZERO,
            cpu: None,
            backtrace: None,
        })
    }

    /// Hands over events of one key. One thread makes all its steps, each within the limits of a call, and turns to other
    /// plugins' calls between them as it would between events. If nobody waits for the answer any more, no further step is made.
    ///
    /// # Errors
    /// [`Failure::Engine`] if the engine lost it: nothing is known of its steps.
    pub async fn handle_batch(&self, batch: Batch) -> Result<BatchHandled, Failure> {
        let (reply, answer) = oneshot::channel();
        let run = Box::new(Run::new(batch));
        let _threads_gone = self.calls.send(Call::Batch { run, reply }).await;
        answer.await.map_err(|_| threads_ended())
    }
}

fn threads_ended() -> Failure {
    Failure::Engine("the plugin's threads have ended".to_owned())
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
    /// What is left of a batch that has had its time for now.
    unfinished: Option<Call>,
    spawner: Spawner,
}

impl Worker {
    /// Makes calls until there are no more to come. `turn` is that of the thread which this one takes over from.
    fn serve(mut self, mut turn: Option<Turn>) {
        self.share.arrive();
        let mut answers = Vec::with_capacity(ANSWERS_AT_ONCE);
        loop {
            let first = match self.unfinished.take().or_else(|| self.waiting.try_recv().ok()) {
                Some(call) => call,
                None => {
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
            while let Some(call) = next {
                let left = call.step(&mut self.caller, &mut answers);
                let go_on = answers.len() < ANSWERS_AT_ONCE && started.elapsed() < HOLD_ANSWERS;
                next = match left {
                    None if go_on => self.waiting.try_recv().ok(),
                    left if go_on => left,
                    left => {
                        self.unfinished = left;
                        None
                    }
                };
            }
            answers.drain(..).for_each(Answer::send);
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
