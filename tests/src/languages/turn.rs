//! Events of one key, handed over in one go: what goes in, and what must come of it.

use std::sync::Arc;

use bytes::Bytes;
use wasmill::event::Event;
use wasmill::sandbox::{Batch, BatchHandled, Caller, Input};
use wasmill::state::{KeyState, StateLimits, Timer};

use super::checks::Wanted;
use super::play::Told;

/// The key of every turn.
pub const KEY: &str = "kunde-ü";

/// What a manifest allows a key that does not say.
pub const LIMITS: StateLimits = StateLimits { record_bytes: 256 * 1_024, timers: 1_000 };

/// The most timers that fire in one turn.
const MAX_TIMERS: usize = 100;

/// One field, and what it holds.
pub type Field = (&'static str, Vec<u8>);

/// Events of one key. The state that they find is what the turn before left.
#[derive(Default)]
pub struct Turn {
    inputs: Vec<Event>,
    due_by: Option<u64>,
    migrate_from: Option<&'static str>,
    before: Option<Vec<Field>>,
    /// What must hold of each step, in order. The last may be one that fails.
    pub wanted: Vec<Vec<Wanted>>,
    fields: Option<Vec<Field>>,
    timers: Option<Vec<(&'static str, u64)>>,
}

impl Turn {
    /// A turn without events.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// An event, which happened now on the plugin clock, and what must come of it.
    pub(crate) fn event(mut self, event: Event, wanted: Wanted) -> Self {
        self.inputs.push(Event { key: Some(KEY.to_owned()), ..event });
        self.step(wanted)
    }

    /// What must come of a timer, or of a migration.
    pub(crate) fn step(mut self, wanted: Wanted) -> Self {
        self.wanted.push(vec![wanted]);
        self
    }

    /// After the events, timers due by then fire.
    pub(crate) fn due_by(mut self, ns: u64) -> Self {
        self.due_by = Some(ns);
        self
    }

    /// The state is that of another version of the plugin, and this.
    pub(crate) fn written_by(mut self, version: &'static str, fields: Vec<Field>) -> Self {
        self.migrate_from = Some(version);
        self.before = Some(fields);
        self
    }

    /// These fields are there afterwards, and no others; sorted by name.
    pub(crate) fn leaves(mut self, fields: Vec<Field>) -> Self {
        self.fields = Some(fields);
        self
    }

    /// These timers are set afterwards, and no others; sorted by name.
    pub(crate) fn leaves_set(mut self, timers: Vec<(&'static str, u64)>) -> Self {
        self.timers = Some(timers);
        self
    }

    fn batch(&self, state: KeyState) -> Batch {
        let inputs = self.inputs.iter();
        let inputs = inputs.map(|event| Input { event: Arc::new(event.clone()), clock_ns: event.time_ns });
        let written = self.before.as_ref().map(|fields| {
            let fields = fields.iter();
            let fields = fields.map(|(name, value)| (Arc::from(*name), Bytes::from(value.clone())));
            KeyState::new(fields, std::iter::empty::<(Arc<str>, Timer)>(), 0)
        });
        Batch {
            key: KEY.into(),
            state: written.unwrap_or(state),
            limits: LIMITS,
            inputs: inputs.collect(),
            then_due_by: self.due_by,
            max_timers: MAX_TIMERS,
            migrate_from: self.migrate_from.map(str::to_owned),
        }
    }

    /// Hands it over twice, for it must have the same effects again, and answers the state that it leaves and what is told of
    /// each step.
    ///
    /// # Errors
    /// If the second time differs from the first, or what it leaves is not what it must.
    pub fn play(&self, caller: &mut Caller, state: &KeyState) -> Result<(KeyState, Vec<Told>), String> {
        let first = caller.handle_batch(self.batch(state.clone()));
        let again = caller.handle_batch(self.batch(state.clone()));
        same(&first, &again)?;
        self.left(&first.state)?;
        let state = first.state.clone();
        Ok((state, told(first)))
    }

    fn left(&self, state: &KeyState) -> Result<(), String> {
        let fields: Vec<(&str, &[u8])> =
            state.fields().map(|(name, value)| (name.as_ref(), value.as_ref())).collect();
        if let Some(wanted) = &self.fields {
            let wanted: Vec<(&str, &[u8])> =
                wanted.iter().map(|(name, value)| (*name, value.as_slice())).collect();
            if wanted != fields {
                return Err(format!("the fields {} were to be left, not {}", shown(&wanted), shown(&fields)));
            }
        }
        let timers: Vec<_> = state.timers().map(|(name, timer)| (name.as_ref(), timer.due_ns)).collect();
        match &self.timers {
            Some(wanted) if *wanted != timers => {
                Err(format!("the timers {wanted:?} were to be left set, these are: {timers:?}"))
            }
            _ => Ok(()),
        }
    }
}

/// Fields in a few words.
fn shown(fields: &[(&str, &[u8])]) -> String {
    let text = |value: &[u8]| String::from_utf8_lossy(value).chars().take(60).collect::<String>();
    format!("{:?}", fields.iter().map(|(name, value)| (name, text(value))).collect::<Vec<_>>())
}

/// Whether the same batch had the same effects, bit for bit.
fn same(first: &BatchHandled, again: &BatchHandled) -> Result<(), String> {
    let steps = |handled: &BatchHandled| {
        let steps = handled.steps.iter();
        steps.map(|step| (step.cause.clone(), step.changes.clone(), step.answer.clone())).collect::<Vec<_>>()
    };
    let failed = |handled: &BatchHandled| handled.failed.as_ref().map(|failed| failed.cause.clone());
    if steps(first) == steps(again) && failed(first) == failed(again) && first.state == again.state {
        return Ok(());
    }
    Err(format!("handed over again, it was another: {:?}, then {:?}", steps(first), steps(again)))
}

fn told(handled: BatchHandled) -> Vec<Told> {
    let answers = handled.steps.into_iter().map(|step| Ok(step.answer));
    let failed =
        handled.failed.into_iter().map(|failed| Err((failed.trouble.failure, failed.trouble.backtrace)));
    answers.chain(failed).map(|answer| Told { answer, lines: Vec::new() }).collect()
}
