//! The plugin: its script, and what a version of it says of itself.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use wasmill::effects::Proposed;
use wasmill::event::Event;
use wasmill::key::KeySource;
use wasmill::keyed::{Handler, Version};
use wasmill::manifest::{Manifest, StateSettings};
use wasmill::outcome::{Failure, Trouble};
use wasmill::sandbox::{Batch, BatchHandled, Cause, FailedStep, Step};
use wasmill::state::{Change, Draft, KeyState, StateLimits, Timer};
use wasmill::subject::SubjectError;

use super::super::plugin::{emitter, manifest};
use super::World;
use super::life::Life;
use super::plan::{Fault, Plan};
use super::script::{self, Effects, Kind, Label, TimerChange, effects, traps};

/// The header that holds an event's key.
pub(super) const KEY_HEADER: &str = "Customer";
/// More than any key here comes to: bytes, and timers.
const MOST_BYTES: usize = 1_024 * 1_024;
const MOST_TIMERS: u32 = 1_000;
/// The field that holds a key's history.
pub(super) const FIELD: &str = "history";

/// A version of the plugin for one engine.
pub(super) fn version(world: &Arc<World>, life: &Arc<Life>, number: u32) -> Result<Version, SubjectError> {
    let plan = &world.plan;
    let manifest = Manifest {
        key: Some(KeySource::Header(KEY_HEADER.to_owned())),
        state: StateSettings {
            partitions: plan.partitions,
            lease_ms: u64::try_from(plan.lease.as_millis()).unwrap_or(u64::MAX),
            clock: plan.clock,
            // What ends a run that goes by the clock of its events is later than any of them.
            max_ahead_s: u64::MAX,
            batch: plan.batch,
            cache_mib: plan.cache_mib,
            ..StateSettings::default()
        },
        ..manifest(plan.concurrency, &plan.retry, plan.pace)?
    };
    let handler = Scripted { world: Arc::clone(world), life: Arc::clone(life) };
    Ok(Version { handler: Box::new(handler), manifest: Arc::new(manifest), emitter: emitter(number) })
}

struct Scripted {
    world: Arc<World>,
    life: Arc<Life>,
}

impl Handler for Scripted {
    fn handle(&self, batch: Batch) -> BoxFuture<'_, Result<BatchHandled, Failure>> {
        async move {
            self.life.breathe(&self.world).await;
            let handled = self.run(batch).await;
            self.life.breathe(&self.world).await;
            if self.world.strikes(Fault::CallLost) {
                return Err(Failure::Engine("scripted".into()));
            }
            Ok(handled)
        }
        .boxed()
    }
}

/// A batch under way, as the engine's workers run it.
struct Running {
    state: KeyState,
    steps: Vec<Step>,
    next: usize,
    fired: usize,
}

impl Scripted {
    async fn run(&self, batch: Batch) -> BatchHandled {
        let mut run = Running { state: batch.state.clone(), steps: Vec::new(), next: 0, fired: 0 };
        let mut failed = None;
        while let Some(cause) = run.cause(&batch) {
            match self.step(&mut run, &batch, &cause).await {
                Ok((changes, answer)) => {
                    changes.iter().for_each(|change| run.state.apply(change));
                    let (state_bytes, took) = (run.state.bytes(), Duration::ZERO);
                    run.steps.push(Step { cause, changes, state_bytes, answer, took, cpu: None });
                }
                Err(failure) => {
                    if let Cause::Timer { name, timer } = &cause {
                        run.state.put_back(name, timer.clone());
                    }
                    failed = Some(FailedStep { cause, trouble: Trouble::from(failure), cpu: None });
                    break;
                }
            }
        }
        BatchHandled { steps: run.steps, failed, state: run.state }
    }

    async fn step(
        &self,
        run: &mut Running,
        batch: &Batch,
        cause: &Cause,
    ) -> Result<(Vec<Change>, Vec<Proposed>), Failure> {
        match cause {
            Cause::Event(at) => {
                run.next = at + 1;
                let event = batch.inputs.get(*at).map(|input| Arc::clone(&input.event));
                let event = event.ok_or_else(|| Failure::Engine("no event".into()))?;
                self.event(&run.state, &event).await
            }
            Cause::Timer { name, timer } => {
                run.fired += 1;
                run.state.fire(name);
                self.timer(&run.state, timer)
            }
            Cause::Migration => Ok((Vec::new(), Vec::new())),
        }
    }

    async fn event(&self, state: &KeyState, event: &Event) -> Result<(Vec<Change>, Vec<Proposed>), Failure> {
        let label = std::str::from_utf8(&event.data).ok().and_then(Label::parse);
        let Some(label @ Label::Event(number)) = label else { return Ok((Vec::new(), Vec::new())) };
        self.world.note(self.life.number, number, "called, in attempt", u64::from(event.attempt));
        self.world.enter(|ledger, _| {
            ledger.called(number);
            Ok(())
        });
        let Some(input) = self.world.plan.input(number) else {
            return Err(Failure::Rejected("an event that nobody sent".into()));
        };
        if !input.takes.is_zero() {
            tokio::time::sleep(input.takes).await;
        }
        match input.kind {
            Kind::Rejected => return Err(Failure::Rejected("scripted".into())),
            Kind::RetryUntil(until) if event.attempt < until => {
                return Err(Failure::Retry { after: None, reason: "scripted".into() });
            }
            Kind::TrapUntil(until) if event.attempt < until => return Err(Failure::Trap("scripted".into())),
            Kind::Silent => return Ok((Vec::new(), Vec::new())),
            _ => {}
        }
        noted(&self.world.plan, state, label, event.time_ns)
    }

    fn timer(&self, state: &KeyState, timer: &Timer) -> Result<(Vec<Change>, Vec<Proposed>), Failure> {
        let label = std::str::from_utf8(&timer.data).ok().and_then(Label::parse);
        let label = label.ok_or_else(|| Failure::Rejected("a timer that nobody set".into()))?;
        self.world.note(self.life.number, label.event(), "a timer of it fires", timer.setting);
        if traps(&self.world.plan, label) {
            return Err(Failure::Trap("scripted".into()));
        }
        noted(&self.world.plan, state, label, timer.due_ns)
    }
}

/// What handling something comes to.
fn noted(
    plan: &Plan,
    state: &KeyState,
    label: Label,
    now_ns: u64,
) -> Result<(Vec<Change>, Vec<Proposed>), Failure> {
    let unreadable = || Failure::Rejected("a history that nobody wrote".into());
    let mut history = script::read(state.field(FIELD).map(AsRef::as_ref)).ok_or_else(unreadable)?;
    let Effects { outputs, timers } = effects(plan, label, history.len()).ok_or_else(unreadable)?;
    history.push(label);
    let refused = |why: String| Failure::Rejected(why);
    let limits = StateLimits { record_bytes: MOST_BYTES, timers: MOST_TIMERS };
    let mut draft = Draft::new(state.clone(), limits);
    draft.set(FIELD, script::write(&history).into()).map_err(|err| refused(err.to_string()))?;
    for TimerChange { name, set } in timers {
        match set {
            Some((label, after)) => {
                let due_ns = now_ns + u64::try_from(after.as_nanos()).unwrap_or_default();
                let data = Bytes::from(label.to_string());
                draft.set_timer(&name, due_ns, data).map_err(|err| refused(err.to_string()))?;
            }
            None => draft.cancel_timer(&name).map_err(|err| refused(err.to_string()))?,
        }
    }
    let proposed = outputs.into_iter().map(|(subject, text)| Proposed {
        subject: subject.to_owned(),
        kind: None,
        headers: Vec::new(),
        data: text.into_bytes(),
    });
    Ok((draft.into_changes(), proposed.collect()))
}

impl Running {
    fn cause(&self, batch: &Batch) -> Option<Cause> {
        let input = batch.inputs.get(self.next);
        let due_by = input.map(|input| input.clock_ns).or(batch.then_due_by);
        let due = self.state.earliest().filter(|(_, timer)| due_by.is_some_and(|by| timer.due_ns <= by));
        match due {
            Some(_) if self.fired >= batch.max_timers => None,
            Some((name, timer)) => Some(Cause::Timer { name: Arc::clone(name), timer: timer.clone() }),
            None => input.map(|_| Cause::Event(self.next)),
        }
    }
}
