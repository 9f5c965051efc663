//! Calling a plugin on the thread that asks.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::Engine;

use super::Prepared;
use super::batch::{Batch, BatchHandled, Run};
use super::command::Process;
use super::entry::no_timers;
use super::instance::{Cut, Done, Instance, Task};
use super::keyed::Lent;
use super::logs::LogSink;
use super::shares::Share;
use crate::effects::Proposed;
use crate::event::Event;
use crate::manifest::Isolation;
use crate::outcome::{Failure, Handled};

/// A call that is over.
pub(super) struct Made<T> {
    pub ended: Result<T, Cut>,
    pub took: Duration,
    /// The CPU time of it, if it was looked at.
    pub cpu: Option<Duration>,
}

impl<T> Made<T> {
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Made<U> {
        Made { ended: self.ended.map(f), took: self.took, cpu: self.cpu }
    }
}

/// Calls a plugin on the thread that asks, one task after the other.
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

    /// Hands an event to the guest.
    ///
    /// # Errors
    /// The named reason why the guest did not handle it, and where in the guest that was.
    pub fn call(&mut self, event: &Event) -> Result<Vec<Proposed>, Cut> {
        self.make(&Task::Event(event), &mut None).map(outputs)
    }

    /// Handles events of one key, and timers of it that come due.
    pub fn handle_batch(&mut self, batch: Batch) -> BatchHandled {
        let mut run = Run::new(batch);
        while run.step(self, &|| false) {}
        run.finish()
    }

    /// Whether the plugin upgrades what its older versions stored.
    pub(super) fn migrates(&self) -> bool {
        self.prepared.migrates()
    }

    pub(super) fn handle(&mut self, event: &Event) -> Handled {
        let Made { ended, took, cpu } = self.timed(|caller| caller.call(event));
        let (answer, backtrace) = match ended {
            Ok(outputs) => (Ok(outputs), None),
            Err(Cut { failure, backtrace }) => (Err(failure), backtrace),
        };
        Handled { answer, took, cpu, backtrace }
    }

    /// A defect in the runtime must not take the thread with it: the next event may be a better one.
    pub(super) fn timed<T>(&mut self, call: impl FnOnce(&mut Self) -> Result<T, Cut>) -> Made<T> {
        let started = Instant::now();
        let ended = catch_unwind(AssertUnwindSafe(|| call(self))).unwrap_or_else(|_| {
            Err(Failure::Engine("the sandbox panicked; the log has the details".to_owned()).into())
        });
        Made { ended, took: started.elapsed(), cpu: self.cpu.take() }
    }

    /// Has the guest do something, with what is lent to it of a key.
    pub(super) fn make(&mut self, task: &Task<'_>, lent: &mut Option<Lent>) -> Result<Done, Cut> {
        let mut guest = match self.kept.take() {
            Some(guest) => guest,
            None => self.new_guest(task)?,
        };
        let (result, intact) = match &mut guest {
            Guest::Instance(instance) => instance.handle(task, lent),
            Guest::Process(process) => feed(process, task),
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

    fn new_guest(&self, task: &Task<'_>) -> Result<Guest, Cut> {
        let Self { engine, prepared, sink, share, .. } = self;
        if prepared.fitted.run().is_some() {
            return Ok(Guest::Process(Process::new(engine, prepared, sink, share.clone())));
        }
        Instance::new(engine, prepared, sink, share.clone(), task).map(Guest::Instance)
    }
}

fn outputs(done: Done) -> Vec<Proposed> {
    match done {
        Done::Outputs(outputs) => outputs,
        Done::Field(_) => Vec::new(),
    }
}

/// A program reads events and nothing else.
fn feed(process: &mut Process, task: &Task<'_>) -> (Result<Done, Cut>, bool) {
    match task {
        Task::Event(event) => {
            let (answer, intact) = process.handle(event);
            (answer.map(Done::Outputs), intact)
        }
        Task::Timer { name, .. } => (Err(no_timers(name).into()), true),
        Task::Migration { value, .. } => (Ok(Done::Field(Some(value.to_vec()))), true),
    }
}

/// What handles events: an instance that is called, or a program that is fed.
enum Guest {
    Instance(Instance),
    Process(Process),
}
