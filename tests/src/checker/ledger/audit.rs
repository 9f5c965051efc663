//! Compares what must be there with what is.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use super::Book;
use super::accounts::{Account, Accounts, settle};
use super::record::{Record, key_at};
use crate::checker::findings::Findings;
use crate::checker::read::Stored;

/// Everything that the streams hold after a run.
#[derive(Debug, Clone, Default)]
pub struct Held {
    /// The name of the stream of events.
    pub stream: String,
    /// The events.
    pub events: Vec<Stored>,
    /// The outputs.
    pub outputs: Vec<Stored>,
    /// The dead letters.
    pub letters: Vec<Stored>,
    /// The buckets of all partitions.
    pub buckets: Vec<Vec<Stored>>,
}

/// What an output tells.
#[derive(Debug, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Told {
    Counted { key: String, count: u64, event: u64, index: u32, of: u32, chain: u64, version: String },
    Fired { key: String, timer: String, set_by: u64, due: u64, fired: u64, count: u64, version: String },
}

/// How far the outputs of a key have been followed.
#[derive(Default)]
struct Walk {
    /// Events that count up to the last output.
    count: u64,
    /// Outputs of the last of those.
    index: u32,
    fired: u64,
    seen: BTreeSet<(u64, u32)>,
    timers: BTreeSet<(String, u64)>,
}

/// Who owns a partition, as its bucket says.
#[derive(Debug, Deserialize)]
struct Owner {
    released: bool,
    cursor: BTreeMap<String, Position>,
    settled: u64,
}

#[derive(Debug, Deserialize)]
struct Position {
    incarnation_ms: u64,
    sequence: u64,
}

/// Compares.
///
/// # Errors
/// If the stream of events is not what was published.
pub fn audit(book: &Book, held: &Held) -> Result<Findings> {
    let published: BTreeMap<_, _> =
        book.entries.iter().map(|(at, payload)| (*at, payload.as_bytes())).collect();
    let stored: BTreeMap<_, _> = held.events.iter().map(|event| (event.sequence, &*event.payload)).collect();
    ensure!(published == stored, "the stream does not hold what was published");
    let accounts = settle(&held.events)?;
    let mut findings = Findings {
        events: held.events.len() as u64,
        outputs: held.outputs.len() as u64,
        letters: held.letters.len() as u64,
        ordered: true,
        ..Findings::default()
    };
    let walks = follow(&accounts, &held.outputs, &mut findings);
    for (key, account) in &accounts {
        missing(key, account, walks.get(key).unwrap_or(&Walk::default()), &mut findings);
    }
    letters(held, &mut findings);
    for bucket in &held.buckets {
        if let Err(err) = bucket_is_right(held, &accounts, bucket, &mut findings) {
            findings.state_wrong += 1;
            findings.example(|| format!("a bucket: {err:#}"));
        }
    }
    let records: usize =
        held.buckets.iter().flatten().filter(|entry| key_at(&entry.subject).is_some()).count();
    let wanted = accounts.values().filter(|account| !account.counted.is_empty()).count();
    if records != wanted {
        findings.state_wrong += 1;
        findings.example(|| format!("{records} records instead of {wanted}"));
    }
    Ok(findings)
}

/// Follows the outputs in their order, key by key.
fn follow(accounts: &Accounts, outputs: &[Stored], findings: &mut Findings) -> BTreeMap<String, Walk> {
    let mut walks = BTreeMap::<String, Walk>::new();
    let mut versions = BTreeSet::new();
    for output in outputs {
        let at = output.sequence;
        let Ok(told) = serde_json::from_slice::<Told>(&output.payload) else {
            unexplained(findings, format!("output {at}: {}", String::from_utf8_lossy(&output.payload)));
            continue;
        };
        let (Told::Counted { key, version, .. } | Told::Fired { key, version, .. }) = &told;
        versions.insert(version.clone());
        let Some(account) = accounts.get(key) else {
            unexplained(findings, format!("output {at}: no event has the key {key}"));
            continue;
        };
        let walk = walks.entry(key.clone()).or_default();
        match &told {
            Told::Counted { .. } => walk.event(account, at, &told, findings),
            Told::Fired { .. } => walk.timer(account, at, &told, findings),
        }
    }
    findings.versions = versions.len() as u64;
    walks
}

fn unexplained(findings: &mut Findings, what: String) {
    findings.unexplained += 1;
    findings.example(|| what);
}

impl Walk {
    fn event(&mut self, account: &Account, at: u64, told: &Told, findings: &mut Findings) {
        let Told::Counted { key, count, event, index, of, chain, .. } = told else { return };
        let wanted = count.checked_sub(1).and_then(|at| account.counted.get(usize::try_from(at).ok()?));
        let what = || format!("output {at}: event {event} of key {key} as number {count}, index {index}");
        if !self.seen.insert((*event, *index)) {
            findings.repeated += 1;
            findings.example(|| format!("{} is there again", what()));
            return;
        }
        let Some(wanted) = wanted.filter(|wanted| wanted.n == *event && wanted.outputs == *of && index < of)
        else {
            let place = account.counted.iter().position(|counted| counted.n == *event);
            unexplained(
                findings,
                format!("{}: it should be number {:?}", what(), place.map(|place| place + 1)),
            );
            return;
        };
        if wanted.chain != *chain {
            findings.state_wrong += 1;
            findings.example(|| format!("{}: the events before it are not those of the stream", what()));
        }
        let is_next = if *index == 0 {
            self.is_through(account) && self.silent(account, *count - 1)
        } else {
            self.count == *count && self.index == *index
        };
        if !is_next {
            findings.out_of_order += 1;
            findings.example(|| {
                format!("{} stands behind number {}, {} outputs", what(), self.count, self.index)
            });
        }
        (self.count, self.index) = (*count, index + 1);
    }

    fn timer(&mut self, account: &Account, at: u64, told: &Told, findings: &mut Findings) {
        let Told::Fired { key, timer, set_by, due, fired, count, .. } = told else { return };
        let what = || {
            format!("output {at}: timer {timer} of key {key}, set by event {set_by}, after {count} events")
        };
        if !self.timers.insert((timer.clone(), *set_by)) {
            findings.repeated += 1;
            findings.example(|| format!("{} fired again", what()));
            return;
        }
        let Some(wanted) =
            account.fires.get(&(timer.clone(), *set_by)).filter(|wanted| wanted.due_ns == *due)
        else {
            unexplained(findings, format!("{} must not fire, at {due} that is", what()));
            return;
        };
        self.fired += 1;
        if self.fired != *fired {
            findings.state_wrong += 1;
            findings.example(|| format!("{} counts {fired} timers instead of {}", what(), self.fired));
        }
        let seen = account.counted.iter().take(usize::try_from(*count).unwrap_or(usize::MAX));
        let in_time = *count >= wanted.since && seen.clone().all(|event| event.stored_ns < wanted.due_ns);
        if !in_time || !self.is_through(account) || !self.silent(account, *count) {
            findings.out_of_order += 1;
            findings.example(|| {
                format!("{} stands behind number {}, {} outputs", what(), self.count, self.index)
            });
        }
        if *count > self.count {
            (self.count, self.index) = (*count, 0);
        }
    }

    /// All outputs of the last event are there.
    fn is_through(&self, account: &Account) -> bool {
        let last = self.count.checked_sub(1).and_then(|at| account.counted.get(usize::try_from(at).ok()?));
        last.is_none_or(|last| last.outputs == self.index)
    }

    /// The events after the last one, up to the one of this number, have no outputs.
    fn silent(&self, account: &Account, up_to: u64) -> bool {
        let number = |number| usize::try_from(number).unwrap_or(usize::MAX);
        let between = account.counted.get(number(self.count)..number(up_to));
        between.is_some_and(|between| between.iter().all(|event| event.outputs == 0))
    }
}

/// Counts what is not there.
fn missing(key: &str, account: &Account, walk: &Walk, findings: &mut Findings) {
    for event in &account.counted {
        let found = (0..event.outputs).filter(|index| walk.seen.contains(&(event.n, *index))).count();
        if found == event.outputs as usize {
            continue;
        }
        *if found == 0 { &mut findings.lost.middle } else { &mut findings.torn } += 1;
        findings.example(|| format!("event {} of key {key}: {found} of {} outputs", event.n, event.outputs));
    }
    for (name, set_by) in account.fires.keys().filter(|timer| !walk.timers.contains(timer)) {
        findings.lost.middle += 1;
        findings.example(|| format!("timer {name} of key {key}, set by event {set_by}, did not fire"));
    }
}

fn letters(held: &Held, findings: &mut Findings) {
    let mut wanted = BTreeMap::new();
    for event in &held.events {
        if serde_json::from_slice::<super::Entry>(&event.payload).is_ok_and(|entry| entry.is_rejected()) {
            wanted.insert(format!("{}:{}", held.stream, event.sequence), &event.payload);
        }
    }
    for letter in &held.letters {
        let at = letter.header("Wasmill-Position");
        let payload = wanted.remove(at);
        if payload != Some(&letter.payload) || letter.header("Wasmill-Reason") != "rejected" {
            findings.letters_wrong += 1;
            findings.example(|| format!("dead letter {} of {at:?} should not be there", letter.sequence));
        }
    }
    findings.letters_wrong += wanted.len() as u64;
    if let Some(at) = wanted.keys().next() {
        findings.example(|| format!("the event at {at} has no dead letter"));
    }
}

/// Compares the records of a partition with the accounts, and its owner with the stream.
fn bucket_is_right(
    held: &Held,
    accounts: &Accounts,
    bucket: &[Stored],
    findings: &mut Findings,
) -> Result<()> {
    let owner = bucket.iter().find(|entry| entry.subject.ends_with(".owner")).context("it has no owner")?;
    let owner: Owner = serde_json::from_slice(&owner.payload).context("its owner")?;
    let end = held.events.last().map_or(0, |event| event.sequence);
    let cursor = owner.cursor.get(&held.stream).context("its owner has no cursor")?;
    ensure!(owner.released, "it was not released");
    ensure!(cursor.sequence == end, "its cursor is {} instead of {end}", cursor.sequence);
    let ids: BTreeSet<_> = held.outputs.iter().map(|output| output.header("Nats-Msg-Id")).collect();
    for entry in bucket {
        let Some(key) = key_at(&entry.subject) else { continue };
        let checked = Record::read(&entry.payload).and_then(|record| {
            ensure!(record.key == key, "it says that it is of key {}", record.key);
            ensure!(
                entry.sequence <= owner.settled,
                "it is not settled: {} > {}",
                entry.sequence,
                owner.settled
            );
            let account = accounts.get(&key).context("no event has this key")?;
            record_is_right(&record, account, (&held.stream, cursor.incarnation_ms))?;
            let left = record.outbox.iter().find(|id| !ids.contains(id.as_str()));
            ensure!(left.is_none(), "its output {left:?} is not in the stream");
            Ok(())
        });
        if let Err(err) = checked {
            findings.state_wrong += 1;
            findings.example(|| format!("the record of key {key}: {err:#}"));
        }
    }
    Ok(())
}

fn record_is_right(record: &Record, account: &Account, (stream, incarnation_ms): (&str, u64)) -> Result<()> {
    let last = account.counted.last().context("none of its events counts")?;
    let (count, fired, chain) = (record.number("count")?, record.number("fired")?, record.number("chain")?);
    ensure!(count == account.counted.len() as u64, "count {count} instead of {}", account.counted.len());
    ensure!(fired == account.fires.len() as u64, "{fired} timers fired instead of {}", account.fires.len());
    ensure!(chain == last.chain, "the chain of its events is another");
    let shape: String = serde_json::from_slice(record.fields.get("shape").context("no shape")?)?;
    ensure!(shape == record.version, "version {} wrote the shape of {shape}", record.version);
    ensure!(record.timers.is_empty(), "timers are left: {:?}", record.timers.keys());
    let applied = record.applied.get(stream).context("it does not say what is in it")?;
    ensure!(
        record.applied.len() == 1 && applied.0 == incarnation_ms,
        "other streams are in it: {:?}",
        record.applied
    );
    ensure!(
        (last.sequence..=account.last).contains(&applied.1),
        "applied up to {}, not between {} and {}",
        applied.1,
        last.sequence,
        account.last
    );
    Ok(())
}
