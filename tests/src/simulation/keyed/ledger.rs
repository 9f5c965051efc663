//! What was seen of each key, and the promises that this must keep. Nothing here trusts an id: an output is known by what
//! the plugin wrote into it, a dead letter by the event in it, a record by the history in it.

use std::collections::{BTreeMap, BTreeSet};

use wasmill::bus::Stored;
use wasmill::dead_letter;
use wasmill::key;
use wasmill::keyed::bucket::Owner;
use wasmill::message::Message;
use wasmill::record::Record;

use super::super::plugin::{PLUGIN, STREAM};
use super::super::{Broken, broken, check};
use super::engine;
use super::plan::{Fault, Plan};
use super::plugin::FIELD;
use super::script::{self, Fate, Fold, Kind, Label, effects, traps};

/// What a message is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Parcel {
    Owner { partition: u32, owner: Option<Owner> },
    Record { partition: u32, key: String, record: Option<Box<Record>> },
    Output { key: String, position: usize, label: Label, index: u32, place: String, text: String },
    Letter { label: Label, reason: String },
    Unknown,
}

/// Who writes to a bucket: an engine, and how often it had come to own the partition by then.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Writer {
    pub engine: u32,
    pub term: u64,
}

impl Parcel {
    pub fn of(message: &Message) -> Self {
        let subject = message.subject.as_str();
        Self::kept(subject, message)
            .or_else(|| Self::letter(subject, message))
            .or_else(|| Self::output(subject, message))
            .unwrap_or(Self::Unknown)
    }

    fn kept(subject: &str, message: &Message) -> Option<Self> {
        let place = subject.strip_prefix("$KV.wasmill-state-")?.strip_prefix(PLUGIN)?.strip_prefix('-')?;
        let (partition, place) = place.split_once('.')?;
        let partition = partition.parse().ok()?;
        if place == "owner" {
            return Some(Self::Owner { partition, owner: Owner::read(&message.payload) });
        }
        let key = key::unescape(place.strip_prefix("k.")?)?;
        let record = Record::decode(&message.payload).ok().map(Box::new);
        Some(Self::Record { partition, key, record })
    }

    fn letter(subject: &str, message: &Message) -> Option<Self> {
        subject.strip_prefix(dead_letter::SUBJECT_PREFIX)?;
        let label = Label::parse(std::str::from_utf8(&message.payload).ok()?)?;
        let reason = message.headers.get(dead_letter::REASON_HEADER).unwrap_or_default().to_owned();
        Some(Self::Letter { label, reason })
    }

    fn output(subject: &str, message: &Message) -> Option<Self> {
        let text = std::str::from_utf8(&message.payload).ok()?;
        let mut parts = text.split('|');
        let key = parts.next()?.to_owned();
        let position = parts.next()?.parse().ok()?;
        let label = Label::parse(parts.next()?)?;
        let index = parts.next()?.parse().ok()?;
        Some(Self::Output { key, position, label, index, place: subject.to_owned(), text: text.to_owned() })
    }

    /// The event that it is about; 0 if it is about none.
    pub fn input(&self) -> u64 {
        match self {
            Self::Output { label, .. } | Self::Letter { label, .. } => label.event(),
            Self::Record { record: Some(record), .. } => {
                record.applied.get(STREAM).map_or(0, |reached| reached.sequence)
            }
            Self::Owner { .. } | Self::Record { .. } | Self::Unknown => 0,
        }
    }

    /// The partition whose bucket it goes to.
    pub fn partition(&self) -> Option<u32> {
        match self {
            Self::Owner { partition, .. } | Self::Record { partition, .. } => Some(*partition),
            _ => None,
        }
    }

    pub fn number(&self) -> u64 {
        match self {
            Self::Owner { owner: Some(owner), .. } => owner.epoch,
            Self::Record { partition, .. } => u64::from(*partition),
            Self::Output { index, .. } => u64::from(*index),
            _ => 0,
        }
    }

    pub fn sent(&self) -> &'static str {
        match self {
            Self::Owner { .. } => "writes the owner, epoch",
            Self::Record { .. } => "commits, in partition",
            Self::Output { .. } => "publishes output",
            Self::Letter { .. } => "publishes its dead letter",
            Self::Unknown => "publishes something",
        }
    }
}

/// A record that was stored: its sequence in its bucket, and what it emits.
type Emits = (u64, Vec<String>);

/// What was seen.
#[derive(Default)]
pub(super) struct Ledger {
    /// The history of each key, as it was committed last.
    committed: BTreeMap<String, Vec<Label>>,
    /// The outputs that are stored.
    outputs: BTreeSet<String>,
    /// The last of each key in each place.
    latest: BTreeMap<(String, String), (usize, u32)>,
    letters: BTreeSet<Label>,
    /// Events that reached the plugin.
    called: BTreeSet<u64>,
    /// Who was told that it owns a partition.
    owners: BTreeMap<u32, Writer>,
    /// The epoch in which that was.
    epochs: BTreeMap<u32, u64>,
    /// What the owner's value says.
    values: BTreeMap<u32, Owner>,
    /// The records in each bucket whose outputs may not be stored yet.
    emits: BTreeMap<u32, Vec<Emits>>,
}

impl Ledger {
    /// An engine is told that it owns a partition. It may have lost it since it took it, and not know it yet: then nothing that
    /// it writes is stored.
    pub fn owns(&mut self, partition: u32, writer: Writer) -> Result<(), Broken> {
        let value = self.values.get(&partition).cloned().unwrap_or_default();
        if value.engine != engine::name(writer.engine) {
            return Ok(());
        }
        self.owners.insert(partition, writer);
        // Of two who take it at once the values may alternate until one of them has all of its own stored.
        let before = self.epochs.insert(partition, value.epoch).unwrap_or_default();
        check(before < value.epoch, "epochs-rise", 0, || format!("{before}, then {value:?}"))
    }

    /// An event reaches the plugin.
    pub fn called(&mut self, event: u64) {
        self.called.insert(event);
    }

    /// An engine hands a message to the bus.
    pub fn posted(&self, parcel: &Parcel) -> Result<(), Broken> {
        match parcel {
            Parcel::Output { key, position, label, text, .. } => {
                let committed = self.committed.get(key).and_then(|history| history.get(*position));
                check(committed == Some(label), "nothing-leaves-before-its-commit", label.event(), || {
                    format!("{text}; committed there: {committed:?}")
                })
            }
            Parcel::Unknown => check(false, "no-output-is-unexplained", 0, || "nobody knows it".into()),
            _ => Ok(()),
        }
    }

    /// A stream has stored a message, or has it already.
    pub fn stored(
        &mut self,
        plan: &Plan,
        parcel: &Parcel,
        writer: Writer,
        stored: &Stored,
    ) -> Result<(), Broken> {
        if stored.duplicate {
            return Ok(());
        }
        match parcel {
            Parcel::Owner { partition, owner } => self.owner(plan, *partition, owner.as_ref()),
            Parcel::Record { partition, key, record: Some(record) } => {
                self.record(plan, (*partition, key, writer), record, stored.sequence)
            }
            Parcel::Output { key, position, label, index, place, text } => {
                let event = label.event();
                check(self.outputs.insert(text.clone()), "no-output-is-stored-twice", event, || {
                    text.clone()
                })?;
                let latest = self.latest.entry((key.clone(), place.clone())).or_default();
                let before = std::mem::replace(latest, (*position, *index));
                // A stream that does not take one message and takes the next has them in another order.
                let takes_any = plan.storm.has(Fault::PostLost) || plan.storm.has(Fault::Full);
                check(
                    takes_any || before <= (*position, *index),
                    "outputs-keep-the-order-of-their-key",
                    event,
                    || format!("{text} after {before:?}"),
                )
            }
            Parcel::Letter { label, reason } => {
                let wanted = letter_for(plan, *label);
                check(wanted == Some(reason), "no-dead-letter-is-unexplained", label.event(), || {
                    format!("{label} for {reason}, to be for {wanted:?}")
                })?;
                check(self.letters.insert(*label), "no-dead-letter-is-stored-twice", label.event(), || {
                    label.to_string()
                })
            }
            Parcel::Record { .. } | Parcel::Unknown => {
                check(false, "a-record-is-whole", 0, || format!("{parcel:?}"))
            }
        }
    }

    fn owner(&mut self, plan: &Plan, partition: u32, owner: Option<&Owner>) -> Result<(), Broken> {
        let owner = owner.ok_or_else(|| broken("a-record-is-whole", 0, "an owner's value".into()))?;
        self.values.insert(partition, owner.clone());
        let cursor = owner.cursor.get(STREAM).map_or(0, |reached| reached.sequence);
        for (event, input) in (1..=cursor).filter_map(|event| Some((event, plan.input(event)?))) {
            if plan.partition(input) == partition {
                self.done(plan, event).map_err(|why| {
                    broken("the-cursor-passes-nothing-that-is-not-done", event, format!("at {cursor}: {why}"))
                })?;
            }
        }
        let emits = self.emits.entry(partition).or_default();
        for (sequence, outputs) in emits.iter().filter(|(sequence, _)| *sequence <= owner.settled) {
            let missing = outputs.iter().find(|text| !self.outputs.contains(*text));
            check(missing.is_none(), "settled-means-stored", 0, || {
                format!("record {sequence} emits {missing:?}, settled up to {}", owner.settled)
            })?;
        }
        emits.retain(|(sequence, _)| *sequence > owner.settled);
        Ok(())
    }

    fn record(
        &mut self,
        plan: &Plan,
        (partition, key, writer): (u32, &str, Writer),
        record: &Record,
        sequence: u64,
    ) -> Result<(), Broken> {
        let reached = record.applied.get(STREAM).map_or(0, |reached| reached.sequence);
        let owner = self.owners.get(&partition).copied().unwrap_or_default();
        check(owner == writer, "only-the-owner-commits", reached, || format!("{writer:?} is not {owner:?}"))?;
        let history = script::read(record.state.field(FIELD).map(AsRef::as_ref))
            .ok_or_else(|| broken("a-record-is-whole", reached, format!("{record:?}")))?;
        let before = self.committed.get(key).cloned().unwrap_or_default();
        check(history.starts_with(&before), "a-commit-builds-on-the-one-before", reached, || {
            format!("{} after {}", script::write(&history), script::write(&before))
        })?;
        let fold = Fold::of(plan, key, &history);
        let fold = fold.map_err(|why| broken("a-history-is-in-order", reached, why))?;
        let outbox =
            record.outbox.iter().map(|output| String::from_utf8_lossy(&output.message.payload).into());
        let outbox: Vec<String> = outbox.collect();
        let new = fold.outputs.iter().skip(before.len()).flatten().map(|(_, text)| text.clone());
        check(outbox == new.collect::<Vec<_>>(), "a-record-emits-what-came-of-it", reached, || {
            format!("{outbox:?}")
        })?;
        self.check_timers(plan, &fold, record, reached)?;
        check(fold.last <= reached, "a-record-is-whole", reached, || {
            format!("applied up to {reached}: {}", script::write(&history))
        })?;
        self.committed.insert(key.to_owned(), history);
        let theirs = (1..=reached).filter(|event| {
            plan.input(*event).is_some_and(|input| input.kind != Kind::Keyless && plan.key(input) == key)
        });
        for event in theirs {
            self.handled(plan, event)
                .map_err(|why| broken("nothing-passes-for-handled-that-is-not", event, why))?;
        }
        self.emits.entry(partition).or_default().push((sequence, outbox));
        Ok(())
    }

    fn check_timers(&self, plan: &Plan, fold: &Fold, record: &Record, reached: u64) -> Result<(), Broken> {
        let set = record.state.timers().map(|(name, timer)| {
            let label = std::str::from_utf8(&timer.data).ok().and_then(Label::parse);
            (name.to_string(), label)
        });
        let set: BTreeMap<String, Option<Label>> = set.collect();
        let wanted = fold.timers.iter().filter(|(name, label)| {
            set.contains_key(*name) || !(traps(plan, **label) && self.letters.contains(label))
        });
        let wanted: BTreeMap<String, Option<Label>> =
            wanted.map(|(name, label)| (name.clone(), Some(*label))).collect();
        check(set == wanted, "the-timers-are-those-that-were-set", reached, || {
            format!("{set:?}, to be {wanted:?}")
        })
    }

    /// Whether an event is in its key's record, or a dead letter, or has had its turn without a trace.
    fn handled(&self, plan: &Plan, event: u64) -> Result<(), String> {
        let Some(input) = plan.input(event) else { return Ok(()) };
        let label = Label::Event(event);
        let holds = match input.fate(&plan.retry) {
            Fate::Applied => self.committed.get(plan.key(input)).is_some_and(|known| known.contains(&label)),
            Fate::Traceless => self.called.contains(&event),
            Fate::Letter(_) => self.letters.contains(&label),
        };
        if holds { Ok(()) } else { Err(format!("{label} is not yet {:?}", input.fate(&plan.retry))) }
    }

    /// Whether an event is over: handled, and all that came of it is stored.
    fn done(&self, plan: &Plan, event: u64) -> Result<(), String> {
        self.handled(plan, event)?;
        let Some(input) = plan.input(event) else { return Ok(()) };
        let history = self.committed.get(plan.key(input)).map(Vec::as_slice).unwrap_or_default();
        let Some(position) = history.iter().position(|label| *label == Label::Event(event)) else {
            return Ok(());
        };
        let outputs = effects(plan, Label::Event(event), position).unwrap_or_default().outputs;
        match outputs.iter().find(|(_, text)| !self.outputs.contains(text)) {
            Some((_, text)) => Err(format!("{text} is not stored")),
            None => Ok(()),
        }
    }

    /// What is still to come, if anything is.
    pub fn owed(&self, plan: &Plan) -> Result<(), Broken> {
        let lost = |event, why| broken("nothing-is-lost", event, why);
        for event in 1..=plan.inputs.len() as u64 {
            self.done(plan, event).map_err(|why| lost(event, why))?;
        }
        for key in &plan.keys {
            let history = self.committed.get(key).map(Vec::as_slice).unwrap_or_default();
            let fold = Fold::of(plan, key, history).map_err(|why| lost(0, why))?;
            for (name, label) in &fold.timers {
                let given_up = traps(plan, *label) && self.letters.contains(label);
                check(given_up, "every-timer-fires", label.event(), || format!("{name} as {label}"))?;
            }
            let mut outputs = fold.outputs.iter().flatten();
            if let Some((_, text)) = outputs.find(|(_, text)| !self.outputs.contains(text)) {
                return Err(lost(0, format!("{text} is not stored")));
            }
        }
        for partition in 0..plan.partitions {
            let cursor = self.values.get(&partition).and_then(|owner| owner.cursor.get(STREAM));
            let cursor = cursor.map_or(0, |reached| reached.sequence);
            check(cursor >= plan.inputs.len() as u64, "the-cursor-comes-to-the-end", cursor + 1, || {
                format!("that of partition {partition} is at {cursor}")
            })?;
        }
        Ok(())
    }

    /// The history of each key.
    pub fn histories(&self) -> &BTreeMap<String, Vec<Label>> {
        &self.committed
    }
}

/// For which reason something is to be a dead letter, if it is.
fn letter_for(plan: &Plan, label: Label) -> Option<&'static str> {
    match label {
        Label::Event(event) => match plan.input(event)?.fate(&plan.retry) {
            Fate::Letter(reason) => Some(reason),
            Fate::Applied | Fate::Traceless => None,
        },
        Label::Timer { .. } => traps(plan, label).then_some("trap"),
    }
}
