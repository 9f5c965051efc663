//! What was seen of each event, and the promises that this must keep. Nothing here trusts an id: an output is known by what
//! the plugin wrote into it, a dead letter by the position it tells of.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use wasmill::bus::{Receipt, Settlement};
use wasmill::dead_letter;
use wasmill::effects;
use wasmill::event::HOPS_HEADER;
use wasmill::manifest::JITTER;
use wasmill::message::Message;

use super::super::plugin::{PLUGIN, digest};
use super::super::{Broken, check};
use super::plan::Plan;
use super::script::{Fate, Input, Kind};

/// What a message to a stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parcel {
    /// Of which event, which of its outputs, by which version, in which attempt.
    Output { input: u64, index: u32, version: u32, attempt: u32 },
    /// Of which event, and how many attempts it tells of.
    Letter { input: u64, attempt: u32 },
    /// Nothing that anybody can have meant to send.
    Unknown,
}

impl Parcel {
    pub fn of(message: &Message) -> Self {
        Self::letter(message).or_else(|| Self::output(message)).unwrap_or(Self::Unknown)
    }

    fn letter(message: &Message) -> Option<Self> {
        let position = message.headers.get(dead_letter::POSITION_HEADER)?;
        let input = position.split_once(':')?.1.parse().ok()?;
        let attempt = message.headers.get(dead_letter::ATTEMPTS_HEADER)?.parse().ok()?;
        message
            .subject
            .as_str()
            .starts_with(dead_letter::SUBJECT_PREFIX)
            .then_some(Self::Letter { input, attempt })
    }

    fn output(message: &Message) -> Option<Self> {
        let text = std::str::from_utf8(&message.payload).ok()?;
        let mut parts = text.split('/').map(|part| part.parse::<u32>().ok());
        let mut next = || parts.next().flatten();
        let (input, index, version, attempt) = (next()?, next()?, next()?, next()?);
        Some(Self::Output { input: u64::from(input), index, version, attempt })
    }

    pub fn input(self) -> u64 {
        match self {
            Self::Output { input, .. } | Self::Letter { input, .. } => input,
            Self::Unknown => 0,
        }
    }

    pub fn attempt(self) -> u32 {
        match self {
            Self::Output { attempt, .. } | Self::Letter { attempt, .. } => attempt,
            Self::Unknown => 0,
        }
    }
}

/// Why a delivery may be given back, and so after which delay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// The handler asked for it.
    Asked(Duration),
    /// The event failed, under this name.
    Failed(&'static str),
    /// What surrounds it failed, under this name.
    Outside(&'static str),
    /// Its dead letter was not stored.
    Letter,
}

/// What was seen of one event.
#[derive(Debug, Clone, Default)]
struct Seen {
    deliveries: u32,
    /// Whether the plugin has answered it, and well.
    answered: bool,
    stored: BTreeMap<u32, u32>,
    letter: bool,
    settled: bool,
}

/// One delivery in one engine.
pub(super) type Handling = (u32, u64, u32);

/// What was seen of all events.
pub(super) struct Ledger {
    seen: BTreeMap<u64, Seen>,
    /// Which event and attempt a receipt is for. Only looked up, so its order does not matter.
    receipts: HashMap<Receipt, (u64, u32)>,
    causes: BTreeMap<Handling, Vec<Cause>>,
    /// Told whenever a settlement has reached the bus.
    pub changed: Arc<Notify>,
}

impl Ledger {
    pub fn new(inputs: u64) -> Self {
        let seen = (1..=inputs).map(|input| (input, Seen::default())).collect();
        Self { seen, receipts: HashMap::new(), causes: BTreeMap::new(), changed: Arc::default() }
    }

    /// The bus hands a delivery out.
    pub fn delivered(
        &mut self,
        plan: &Plan,
        receipt: &Receipt,
        (input, attempt): (u64, u32),
    ) -> Result<(), Broken> {
        self.receipts.insert(receipt.clone(), (input, attempt));
        let (seen, script) = self.find(plan, input)?;
        seen.deliveries += 1;
        let most = script.deliveries(&plan.retry);
        check(
            !plan.is_strict(input) || seen.deliveries <= most,
            "delivered-again-in-calm-weather",
            input,
            || format!("delivery {attempt} of an event that needs {most}"),
        )
    }

    /// Which event and attempt a receipt is for.
    pub fn delivery(&self, receipt: &Receipt) -> (u64, u32) {
        self.receipts.get(receipt).copied().unwrap_or_default()
    }

    /// The plugin has answered.
    pub fn answered(&mut self, engine: u32, input: u64, attempt: u32, answer: Result<(), Cause>) {
        match answer {
            Ok(()) => drop(self.seen.get_mut(&input).map(|seen| seen.answered = true)),
            Err(cause) => self.caused((engine, input, attempt), cause),
        }
    }

    /// Something stands in the way of a delivery.
    pub fn caused(&mut self, handling: Handling, cause: Cause) {
        self.causes.entry(handling).or_default().push(cause);
    }

    /// The engine hands a message to the bus. `quarantined` if the plugin is in that engine, and has been before.
    pub fn sent(
        &mut self,
        plan: &Plan,
        parcel: Parcel,
        message: &Message,
        quarantined: bool,
    ) -> Result<(), Broken> {
        let input = parcel.input();
        let (seen, script) = self.find(plan, input)?;
        match parcel {
            Parcel::Output { index, version, .. } => {
                check(script.may_publish(), "nothing-of-a-refused-event-is-published", input, || {
                    format!("output {index} of an event with the end {:?}", script.fate(&plan.retry))
                })?;
                check(seen.answered && index < script.outputs, "no-output-is-unexplained", input, || {
                    format!("output {index}, answered: {}", seen.answered)
                })?;
                check_stamp(script, version, message, input)
            }
            Parcel::Letter { attempt, .. } => {
                let more = script.failure().map(|reason| plan.retry.attempts_in_quarantine(reason));
                let kept = quarantined && more.is_some_and(|most| attempt < most);
                check(!kept, "nothing-is-set-aside-in-quarantine", input, || {
                    format!("in attempt {attempt}")
                })?;
                check_letter(plan, script, attempt, message, input)
            }
            Parcel::Unknown => check(false, "no-output-is-unexplained", 0, || format!("{message:?}")),
        }
    }

    /// A stream has stored a message.
    pub fn stored(&mut self, plan: &Plan, parcel: Parcel, repeat: bool) -> Result<(), Broken> {
        let input = parcel.input();
        check(!(repeat && plan.is_calm(input)), "nothing-is-repeated-in-calm-weather", input, || {
            format!("{parcel:?}")
        })?;
        if repeat {
            return Ok(());
        }
        let (seen, _) = self.find(plan, input)?;
        let first = match parcel {
            Parcel::Output { index, version, .. } => seen.stored.insert(index, version).is_none(),
            Parcel::Letter { .. } => !std::mem::replace(&mut seen.letter, true),
            Parcel::Unknown => true,
        };
        check(first, "nothing-is-emitted-twice", input, || format!("{parcel:?}"))
    }

    /// The engine settles a delivery: what that takes must have come before, whether or not the settlement arrives.
    pub fn settles(
        &mut self,
        plan: &Plan,
        engine: u32,
        (input, attempt): (u64, u32),
        settlement: Settlement,
        excused: bool,
    ) -> Result<(), Broken> {
        let causes = self.causes.get(&(engine, input, attempt)).cloned().unwrap_or_default();
        let (seen, script) = self.find(plan, input)?;
        match settlement {
            Settlement::InProgress => Ok(()),
            Settlement::Nak(wait) if excused && waits_out(plan, script, attempt, wait) => Ok(()),
            Settlement::Nak(wait) => check_wait(plan, input, attempt, &causes, wait),
            Settlement::Ack | Settlement::Term => seen.check_end(plan, script, input, settlement),
        }
    }

    /// A settlement has reached the bus.
    pub fn applied(&mut self, input: u64, settlement: Settlement) {
        if let (Settlement::Ack | Settlement::Term, Some(seen)) = (settlement, self.seen.get_mut(&input)) {
            seen.settled = true;
        }
        self.changed.notify_one();
    }

    /// The events that the bus still owes somebody.
    pub fn unsettled(&self) -> Vec<u64> {
        self.seen.iter().filter(|(_, seen)| !seen.settled).map(|(input, _)| *input).collect()
    }

    /// What must be so when all is over.
    pub fn check_all(&mut self, plan: &Plan) -> Result<(), Broken> {
        for input in 1..=plan.inputs() {
            let (seen, script) = self.find(plan, input)?;
            check(seen.settled, "nothing-is-lost", input, || "it was never settled".into())?;
            let end = match script.fate(&plan.retry) {
                Fate::Done => Settlement::Ack,
                Fate::Letter(_) => Settlement::Term,
            };
            seen.check_end(plan, script, input, end)?;
            check(
                !plan.is_strict(input) || seen.deliveries == script.deliveries(&plan.retry),
                "calm",
                input,
                || format!("{} deliveries", seen.deliveries),
            )?;
        }
        Ok(())
    }

    fn find<'a>(&mut self, plan: &'a Plan, input: u64) -> Result<(&mut Seen, &'a Input), Broken> {
        match (self.seen.get_mut(&input), plan.input(input)) {
            (Some(seen), Some(script)) => Ok((seen, script)),
            _ => Err(Broken { promise: "no-output-is-unexplained", detail: "of no event".into(), input }),
        }
    }
}

impl Seen {
    /// Whether an event may end like this, by what is stored.
    fn check_end(&self, plan: &Plan, script: &Input, input: u64, end: Settlement) -> Result<(), Broken> {
        let fate = script.fate(&plan.retry);
        let right =
            matches!((fate, end), (Fate::Done, Settlement::Ack) | (Fate::Letter(_), Settlement::Term));
        check(right, "each-event-has-its-end", input, || format!("{end:?}, to be {fate:?}"))?;
        let stored = match fate {
            Fate::Done => {
                self.answered
                    && !self.letter
                    && (0..script.outputs).all(|index| self.stored.contains_key(&index))
            }
            Fate::Letter(_) => self.letter && self.stored.is_empty(),
        };
        check(stored, "no-event-ends-before-what-it-caused-is-stored", input, || {
            let have: Vec<_> = self.stored.keys().collect();
            format!("{end:?}; of {} outputs: {have:?}; letter: {}", script.outputs, self.letter)
        })
    }
}

fn check_stamp(script: &Input, version: u32, message: &Message, input: u64) -> Result<(), Broken> {
    for (name, wanted) in [
        (effects::DIGEST_HEADER, digest(version)),
        (effects::VERSION_HEADER, version.to_string()),
        (effects::PLUGIN_HEADER, PLUGIN.to_owned()),
        (effects::CAUSE_HEADER, format!("in-{input}")),
        (HOPS_HEADER, (script.hops + 1).to_string()),
    ] {
        let told = message.headers.get(name);
        check(told == Some(&*wanted), "an-output-says-where-it-comes-from", input, || {
            format!("{name} is {told:?}, not {wanted:?}")
        })?;
    }
    Ok(())
}

fn check_letter(
    plan: &Plan,
    script: &Input,
    attempt: u32,
    message: &Message,
    input: u64,
) -> Result<(), Broken> {
    let reason = message.headers.get(dead_letter::REASON_HEADER).unwrap_or_default();
    let wanted = script.fate(&plan.retry);
    check(wanted == Fate::Letter(known(reason)), "no-dead-letter-is-unexplained", input, || {
        format!("for {reason:?} in attempt {attempt}, to be {wanted:?}")
    })?;
    let least = script.least_attempts(&plan.retry);
    check(attempt >= least, "no-event-is-given-up-early", input, || format!("attempt {attempt} of {least}"))?;
    let kept = super::plugin::payload(script.kind, input);
    check(message.payload == kept, "a-dead-letter-keeps-its-event", input, || {
        format!("{:?}", message.payload)
    })
}

/// The same text as it lives in the program.
fn known(reason: &str) -> &'static str {
    const REASONS: [&str; 7] =
        ["retry", "trap", "rejected", "not-granted", "bad-header", "malformed", "unstorable"];
    REASONS.into_iter().find(|known| *known == reason).unwrap_or("another reason")
}

/// Whether a delivery may be given back with this delay, for any of the causes there were.
fn check_wait(plan: &Plan, input: u64, attempt: u32, causes: &[Cause], wait: Duration) -> Result<(), Broken> {
    let retry = &plan.retry;
    let most = Duration::from_millis(retry.max_delay_ms);
    let fits = |cause: &Cause| match cause {
        Cause::Asked(after) => wait == (*after).min(most),
        Cause::Failed(reason) => is_jittered(wait, retry.delay_after(reason, attempt)),
        Cause::Outside(reason) => is_jittered(wait, retry.delay_after(reason, attempt).max(LEAST_WAIT)),
        Cause::Letter => is_jittered(wait, most),
    };
    check(causes.iter().any(fits), "a-retry-waits-as-configured", input, || {
        format!("{wait:?} after attempt {attempt} for {causes:?}; {retry:?}")
    })
}

/// The least wait after what is not the event's fault.
const LEAST_WAIT: Duration = Duration::from_millis(100);

fn is_jittered(wait: Duration, least: Duration) -> bool {
    wait >= least && wait <= least.mul_f64(1.0 + JITTER)
}

/// Whether a delivery may be given back with this delay because the plugin is quarantined or leaves: nothing has come of it yet, or it
/// would have been set aside.
fn waits_out(plan: &Plan, script: &Input, attempt: u32, wait: Duration) -> bool {
    let kept = script.failure().map(|reason| plan.retry.delay_after(reason, attempt).max(LEAST_WAIT));
    is_jittered(wait, LEAST_WAIT) || kept.is_some_and(|least| is_jittered(wait, least))
}

/// Why a delivery of an event that failed by itself comes again.
pub(super) fn cause_of(kind: Kind) -> Cause {
    match kind {
        Kind::RetryUntil(_, Some(after)) => Cause::Asked(after),
        Kind::LostUntil(_) => Cause::Outside("engine"),
        Kind::TrapUntil(_) => Cause::Failed("trap"),
        _ => Cause::Failed("retry"),
    }
}
