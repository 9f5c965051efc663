//! What the plugin does with each event and timer, and what must come of a key's history.
//!
//! All that a plugin of this kind does is a function of what it was handed so far, in order. So its state is just that: the
//! labels of the events (`e7`) and timers (`t7.1`, set by event 7) that it has handled. Whoever knows them knows its outputs
//! and the timers that must be set.

use std::collections::BTreeMap;
use std::time::Duration;

use wasmill::manifest::Retry;

use super::plan::Plan;

/// How an event is answered. Until when is told in attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It becomes part of its key's state.
    Applies,
    /// It is handled, and leaves no trace.
    Silent,
    /// It can never be handled.
    Rejected,
    /// It is to come again, until this attempt.
    RetryUntil(u32),
    /// The guest traps, until this attempt.
    TrapUntil(u32),
    /// It has no key.
    Keyless,
}

/// What an event does to its key's timers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Set {
        name: u8,
        /// How long after the event's time it is due.
        after: Duration,
        outputs: u32,
        /// When it fires it sets itself once more, due so much later.
        again: Option<Duration>,
        /// It traps whenever it fires. It has a name of its own then.
        traps: bool,
    },
    Cancel {
        name: u8,
    },
}

/// One event that goes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Input {
    /// When, since the run began.
    pub at: Duration,
    /// Which of the keys.
    pub key: usize,
    pub kind: Kind,
    pub outputs: u32,
    pub actions: Vec<Action>,
    /// How long the plugin takes over it.
    pub takes: Duration,
}

/// What must come of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is part of its key's state.
    Applied,
    /// It leaves no trace.
    Traceless,
    /// It is a dead letter with this reason.
    Letter(&'static str),
}

impl Input {
    pub fn fate(&self, retry: &Retry) -> Fate {
        match self.kind {
            Kind::Applies => Fate::Applied,
            Kind::Silent => Fate::Traceless,
            Kind::Rejected => Fate::Letter("rejected"),
            Kind::RetryUntil(attempt) if attempt > retry.attempts_for("retry") => Fate::Letter("retry"),
            Kind::TrapUntil(attempt) if attempt > retry.attempts_for("trap") => Fate::Letter("trap"),
            Kind::RetryUntil(_) | Kind::TrapUntil(_) => Fate::Applied,
            Kind::Keyless => Fate::Letter("bad-key"),
        }
    }
}

/// What was handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Label {
    /// The event of a sequence.
    Event(u64),
    /// The timer that was set by an event's action; and whether by its own firing.
    Timer { event: u64, action: usize, again: bool },
}

impl std::fmt::Display for Label {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Event(event) => write!(f, "e{event}"),
            Self::Timer { event, action, again } => {
                write!(f, "t{event}.{action}{}", if *again { "+" } else { "" })
            }
        }
    }
}

impl Label {
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(event) = text.strip_prefix('e') {
            return Some(Self::Event(event.parse().ok()?));
        }
        let text = text.strip_prefix('t')?;
        let (text, again) = text.strip_suffix('+').map_or((text, false), |text| (text, true));
        let (event, action) = text.split_once('.')?;
        Some(Self::Timer { event: event.parse().ok()?, action: action.parse().ok()?, again })
    }

    /// The event that it goes back to.
    pub fn event(self) -> u64 {
        match self {
            Self::Event(event) | Self::Timer { event, .. } => event,
        }
    }
}

/// A state: what was handled, in order.
pub(super) fn read(field: Option<&[u8]>) -> Option<Vec<Label>> {
    let text = std::str::from_utf8(field.unwrap_or_default()).ok()?;
    text.split(';').filter(|label| !label.is_empty()).map(Label::parse).collect()
}

/// The same as it is kept.
pub(super) fn write(labels: &[Label]) -> String {
    labels.iter().map(ToString::to_string).collect::<Vec<_>>().join(";")
}

/// A change of a timer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TimerChange {
    pub name: String,
    /// What it is set to: its label and the time until it is due; none if it is cancelled.
    pub set: Option<(Label, Duration)>,
}

/// What handling something does, beside being noted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Effects {
    /// Outputs: where they go and what is in them.
    pub outputs: Vec<(&'static str, String)>,
    pub timers: Vec<TimerChange>,
}

/// What handling something does that is the `position`th to be noted of its key.
pub(super) fn effects(plan: &Plan, label: Label, position: usize) -> Option<Effects> {
    let input = plan.input(label.event())?;
    let (count, timers) = match label {
        Label::Event(event) => {
            let changes = input.actions.iter().enumerate().map(|(at, action)| change(event, at, *action));
            (input.outputs, changes.collect())
        }
        Label::Timer { event, action, again: again_already } => {
            let Action::Set { name, outputs, again, .. } = *input.actions.get(action)? else { return None };
            let next = again.filter(|_| !again_already).map(|after| {
                let set = Some((Label::Timer { event, action, again: true }, after));
                TimerChange { name: timer_name(name), set }
            });
            (outputs, next.into_iter().collect())
        }
    };
    let key = plan.key(input);
    let output = |index| {
        let place = if (label.event() + u64::from(index)).is_multiple_of(2) { "out.a.x" } else { "out.b.x" };
        (place, format!("{key}|{position}|{label}|{index}"))
    };
    Some(Effects { outputs: (0..count).map(output).collect(), timers })
}

fn timer_name(name: u8) -> String {
    format!("timer-{name}")
}

fn change(event: u64, at: usize, action: Action) -> TimerChange {
    match action {
        Action::Cancel { name } => TimerChange { name: timer_name(name), set: None },
        Action::Set { name, after, traps, .. } => {
            let name = if traps { format!("trap-{event}-{at}") } else { timer_name(name) };
            TimerChange { name, set: Some((Label::Timer { event, action: at, again: false }, after)) }
        }
    }
}

/// Whether a timer traps whenever it fires.
pub(super) fn traps(plan: &Plan, label: Label) -> bool {
    let Label::Timer { event, action, .. } = label else { return false };
    let action = plan.input(event).and_then(|input| input.actions.get(action));
    matches!(action, Some(Action::Set { traps: true, .. }))
}

/// What must be so of a key after what was handled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Fold {
    /// The outputs of each step.
    pub outputs: Vec<Vec<(&'static str, String)>>,
    /// The timers that are set.
    pub timers: BTreeMap<String, Label>,
    /// The last event.
    pub last: u64,
}

impl Fold {
    /// Goes through a history, and says what cannot be in it.
    pub fn of(plan: &Plan, key: &str, history: &[Label]) -> Result<Self, String> {
        let mut fold = Self::default();
        for (position, label) in history.iter().enumerate() {
            let input = plan.input(label.event()).ok_or_else(|| format!("{label} never was"))?;
            if plan.key(input) != key {
                return Err(format!("{label} is of key {:?}", plan.key(input)));
            }
            match label {
                Label::Event(event) => {
                    if input.fate(&plan.retry) != Fate::Applied {
                        return Err(format!("{label} is to be {:?}", input.fate(&plan.retry)));
                    }
                    if *event <= fold.last {
                        return Err(format!("{label} comes after e{}", fold.last));
                    }
                    fold.last = *event;
                }
                Label::Timer { .. } => {
                    let name =
                        fold.timers.iter().find(|(_, set)| *set == label).map(|(name, _)| name.clone());
                    let name = name.ok_or_else(|| format!("{label} fires and is not set"))?;
                    fold.timers.remove(&name);
                }
            }
            let effects = effects(plan, *label, position).ok_or_else(|| format!("{label} never was"))?;
            for TimerChange { name, set } in effects.timers {
                match set {
                    Some((label, _)) => drop(fold.timers.insert(name, label)),
                    None => drop(fold.timers.remove(&name)),
                }
            }
            fold.outputs.push(effects.outputs);
        }
        Ok(fold)
    }
}
