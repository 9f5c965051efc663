//! One instance, and one call into it.

use std::sync::Arc;
use std::time::Duration;

use rustc_demangle::demangle;
use wasmtime::component::{self, Linker};
use wasmtime::{Engine, PoolConcurrencyLimitError, Store, Trap};
use wasmtime_wasi::I32Exit;

use super::contract::{About, DESCRIPTION, Exception, GuestFailure};
use super::entry::wrong_type;
use super::host::{CallState, FIRST_LOOK_TICKS, Refusal, on_deadline};
use super::keyed::Lent;
use super::logs::{CallLog, LogSink};
use super::shares::Share;
use super::{LoadError, Prepared, command, drafts, messaging, script};
use crate::effects::Proposed;
use crate::event::Event;
use crate::limits::{HOSTCALL_SLACK_BYTES, Limits, MAX_BACKTRACE_FRAMES, MAX_FRAME_CHARS, MAX_REASON_BYTES};
use crate::outcome::{Failure, cut, one_line};
use crate::state::Timer;

/// A store with one instance of a plugin in it.
pub(super) struct Instance {
    store: Store<CallState>,
    instance: component::Instance,
    prepared: Arc<Prepared>,
}

/// A call that was cut short, or declined.
#[derive(Debug)]
pub struct Cut {
    /// Why.
    pub failure: Failure,
    /// Where in the guest, innermost function first, if it was cut short there.
    pub backtrace: Option<String>,
}

impl From<Failure> for Cut {
    fn from(failure: Failure) -> Self {
        Self { failure, backtrace: None }
    }
}

/// What a guest is called for.
pub(super) enum Task<'a> {
    /// To handle an event.
    Event(&'a Event),
    /// To handle a timer that has come due.
    Timer { key: &'a str, name: &'a str, timer: &'a Timer },
    /// To bring a field into its present shape.
    Migration { key: &'a str, name: &'a str, value: &'a [u8], from: &'a str, now_ns: u64 },
}

/// What came of it.
pub(super) enum Done {
    /// The outputs of an event or a timer.
    Outputs(Vec<Proposed>),
    /// The field as it is to be; none if it is to be no more.
    Field(Option<Vec<u8>>),
}

/// What a store starts with.
pub(super) fn new_store(
    engine: &Engine,
    prepared: &Prepared,
    sink: &LogSink,
    share: Option<Arc<Share>>,
) -> Store<CallState> {
    let limits = &prepared.shared.limits;
    let state = CallState::new(prepared.shared.clone(), CallLog::new(sink.clone(), limits), share);
    let mut store = Store::new(engine, state);
    store.limiter(|state| state);
    store.set_hostcall_fuel(answer_limit(limits));
    store.epoch_deadline_callback(on_deadline);
    store
}

/// The most that one crossing of the border may copy.
fn answer_limit(limits: &Limits) -> usize {
    limits.event_bytes as usize + HOSTCALL_SLACK_BYTES
}

impl Instance {
    /// Makes an instance. A component's start functions run here, under the same limits as a call.
    pub fn new(
        engine: &Engine,
        prepared: &Arc<Prepared>,
        sink: &LogSink,
        share: Option<Arc<Share>>,
        task: &Task<'_>,
    ) -> Result<Self, Cut> {
        let mut store = new_store(engine, prepared, sink, share);
        begin(&mut store, Some(task));
        match prepared.fitted.pre.instantiate(&mut store) {
            Ok(instance) => Ok(Self { store, instance, prepared: Arc::clone(prepared) }),
            Err(err) => Err(cut_short(&err, &store)),
        }
    }

    /// The CPU time of the last call, if it was looked at.
    pub fn cpu_used(&self) -> Option<Duration> {
        self.store.data().cpu_used()
    }

    /// Gives it one task, and with it what is lent of the key. After a failure the instance must not be used again: the second
    /// value says so.
    pub fn handle(&mut self, task: &Task<'_>, lent: &mut Option<Lent>) -> (Result<Done, Cut>, bool) {
        begin(&mut self.store, Some(task));
        self.store.data_mut().lent = lent.take();
        let ended = self.prepared.fitted.call(&mut self.store, &self.instance, task);
        *lent = self.store.data_mut().lent.take();
        self.store.data().log.finish();
        match ended {
            Ok(answer) => (answer, true),
            Err(err) => (Err(cut_short(&err, &self.store)), false),
        }
    }
}

/// Makes a first instance, checks its handler's type and asks it what it is, if it can say.
pub(super) fn try_out(
    engine: &Engine,
    prepared: &Prepared,
    sink: &LogSink,
) -> Result<Option<About>, LoadError> {
    if prepared.fitted.run().is_some() {
        return command::try_out(engine, prepared, sink).map(|()| None);
    }
    let mut store = new_store(engine, prepared, sink, None);
    begin(&mut store, None);
    let started = prepared.fitted.pre.instantiate(&mut store);
    let instance = started.map_err(|err| LoadError::Start(explain(&err, &store)))?;
    prepared.fitted.check(&mut store, &instance)?;
    if prepared.shared.script.is_some() {
        let told = script::load(&mut store, &instance);
        store.data().log.finish();
        return told.map_err(|err| LoadError::Start(explain(&err, &store)))?;
    }
    let Some(interface) = instance.get_export_index(&mut store, None, DESCRIPTION) else {
        return Ok(None);
    };
    let function = instance
        .get_export_index(&mut store, Some(&interface), "describe")
        .ok_or_else(|| LoadError::World(format!("export {DESCRIPTION} has no function `describe`")))?;
    let describe = instance
        .get_typed_func::<(), (About,)>(&mut store, function)
        .map_err(|err| LoadError::World(wrong_type("describe", &format!("{err:#}"))))?;
    let told = describe.call(&mut store, ());
    store.data().log.finish();
    told.map(|(about,)| Some(about)).map_err(|err| LoadError::Start(explain(&err, &store)))
}

pub(super) fn begin(store: &mut Store<CallState>, task: Option<&Task<'_>>) {
    let state = store.data_mut();
    match task {
        Some(Task::Event(event)) => state.begin(&event.id, &event.source, event.time_ns),
        Some(Task::Timer { key, name, timer }) => {
            state.begin_for_key(key, name, Some(timer.setting), timer.due_ns);
        }
        Some(Task::Migration { key, name, now_ns, .. }) => state.begin_for_key(key, name, None, *now_ns),
        None => state.begin("", "", 0),
    }
    store.set_epoch_deadline(FIRST_LOOK_TICKS);
}

pub(super) fn cut_short(err: &wasmtime::Error, store: &Store<CallState>) -> Cut {
    Cut { failure: explain(err, store), backtrace: backtrace(err) }
}

/// Finds the name of what ended a call.
fn explain(err: &wasmtime::Error, store: &Store<CallState>) -> Failure {
    let state = store.data();
    if let Some(Refusal(failure)) = err.downcast_ref::<Refusal>() {
        return failure.clone();
    }
    // A guest that gets no memory usually runs into `unreachable`: the refusal before it is the cause.
    if let Some(failure) = &state.refused {
        return failure.clone();
    }
    if let Some(I32Exit(status)) = err.downcast_ref::<I32Exit>() {
        return Failure::Exit(*status);
    }
    if err.downcast_ref::<PoolConcurrencyLimitError>().is_some() {
        return Failure::Instance("all instances of the engine are in use".to_owned());
    }
    let text = format!("{err:#}");
    match err.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow) => Failure::Stack,
        Some(
            Trap::StringOutOfBounds | Trap::ListOutOfBounds | Trap::InvalidChar | Trap::InvalidDiscriminant,
        ) => Failure::InvalidValue(text),
        Some(trap) => Failure::Trap(trap.to_string()),
        None if text.contains("fuel allocated for hostcalls") => {
            Failure::Answer { limit_bytes: answer_limit(&state.shared.limits) }
        }
        None if is_bad_value(&text) => Failure::InvalidValue(text),
        None => Failure::Trap(text),
    }
}

/// The runtime has no type for values that break the canonical ABI, only texts.
fn is_bad_value(text: &str) -> bool {
    ["utf-8", "utf8", "out of bounds", "discriminant", "pointer not aligned"]
        .iter()
        .any(|part| text.contains(part))
}

/// Where in the guest it happened, bounded.
fn backtrace(err: &wasmtime::Error) -> Option<String> {
    let trace = err.downcast_ref::<wasmtime::WasmBacktrace>()?;
    let mut text = String::new();
    for frame in trace.frames().iter().take(MAX_BACKTRACE_FRAMES) {
        if !text.is_empty() {
            text.push('\n');
        }
        match frame.func_name() {
            Some(name) => text.extend(format!("{:#}", demangle(name)).chars().take(MAX_FRAME_CHARS)),
            // A component without its names; whoever built it can look these up.
            None => {
                let offset = frame.module_offset().unwrap_or_default();
                text.push_str(&format!("function {} at {offset:#x}", frame.func_index()));
            }
        }
    }
    (!text.is_empty()).then_some(text)
}

/// A failure in the guest's own words. An exception after a refused growth is its language's way to say that memory ran
/// out: the limit is the cause.
pub(super) fn declined(failure: GuestFailure, state: &CallState) -> Cut {
    match failure {
        GuestFailure::Retry(retry) => {
            let after = retry.after_ms.map(Duration::from_millis);
            Failure::Retry { after, reason: bounded(retry.reason) }.into()
        }
        GuestFailure::Reject(reason) => Failure::Rejected(bounded(reason)).into(),
        GuestFailure::Exception(Exception { message, trace }) => {
            let failure = state.refused.clone().unwrap_or_else(|| Failure::Exception(bounded(message)));
            Cut { failure, backtrace: bounded_trace(&trace) }
        }
    }
}

/// An error of a handler that cannot say what kind of error it is. It may pass; if it does not, the attempts run out and the
/// event becomes a dead letter. It is no fault of the plugin either, as far as anybody can tell.
pub(super) fn retried(reason: String) -> Cut {
    Failure::Retry { after: None, reason: bounded(reason) }.into()
}

/// A guest's own account of where it was: as many lines, and as long, as a backtrace of the engine has.
fn bounded_trace(trace: &str) -> Option<String> {
    let lines = trace.lines().map(str::trim).filter(|line| !line.is_empty()).take(MAX_BACKTRACE_FRAMES);
    let lines: Vec<_> = lines.map(|line| one_line(line.chars().take(MAX_FRAME_CHARS).collect())).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

pub(super) fn bounded(mut reason: String) -> String {
    cut(&mut reason, MAX_REASON_BYTES);
    reason
}

/// The linker of all plugins.
pub(super) fn linker(engine: &Engine) -> wasmtime::Result<Linker<CallState>> {
    let mut linker = Linker::new(engine);
    super::wasi::add_to_linker(&mut linker)?;
    add_contract_to_linker(&mut linker)?;
    script::add_to_linker(&mut linker)?;
    messaging::add_to_linker(&mut linker)?;
    drafts::add_to_linker(&mut linker)?;
    Ok(linker)
}

/// Links the contract's imports.
pub(super) fn add_contract_to_linker(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    use super::contract::{clock, config, log, lookup, random, state, timer_control};
    log::add_to_linker::<CallState, OurState>(linker, |state| state)?;
    clock::add_to_linker::<CallState, OurState>(linker, |state| state)?;
    config::add_to_linker::<CallState, OurState>(linker, |state| state)?;
    random::add_to_linker::<CallState, OurState>(linker, |state| state)?;
    state::add_to_linker::<CallState, OurState>(linker, |state| state)?;
    timer_control::add_to_linker::<CallState, OurState>(linker, |state| state)?;
    lookup::add_to_linker::<CallState, OurState>(linker, |state| state)
}

struct OurState;

impl wasmtime::component::HasData for OurState {
    type Data<'a> = &'a mut CallState;
}
