//! Compares what must be there with what is.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::findings::{Findings, Lost};
use super::history::{History, Published};
use super::model::Expected;
use super::read::Stored;

/// What the judge has to know of a run beside its events.
#[derive(Debug, Clone, Default)]
pub struct Case {
    /// The stream of the events.
    pub stream: String,
    /// The subject of the outputs.
    pub subject: String,
    /// The name that each version gives itself, by the SHA-256 of its component in hexadecimal.
    pub versions: BTreeMap<String, String>,
    /// Whether outputs must stand in the order of their events, key by key.
    pub ordered: bool,
}

/// What the streams hold after a run.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// All outputs.
    pub outputs: Vec<Stored>,
    /// All dead letters.
    pub letters: Vec<Stored>,
    /// What the engine's consumer has still before it.
    pub unsettled: u64,
}

/// An output's payload.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Made {
    id: u64,
    index: u32,
    of: u32,
    echo: String,
    version: String,
}

/// What is known of an event's outputs so far.
#[derive(Default)]
struct Trace {
    indices: BTreeSet<u32>,
    digests: BTreeSet<String>,
    /// The places of the first and the last of them in their stream.
    stored: Option<(u64, u64)>,
}

/// Compares.
#[must_use]
pub fn judge(case: &Case, history: &History, found: &Found) -> Findings {
    let mut findings = Findings {
        events: history.events().len() as u64,
        outputs: found.outputs.len() as u64,
        letters: found.letters.len() as u64,
        unsettled: found.unsettled,
        ordered: case.ordered,
        ..Findings::default()
    };
    if found.unsettled > 0 {
        findings.example(|| format!("{} events were left undone", found.unsettled));
    }
    let digests: BTreeSet<_> = found.outputs.iter().map(|output| output.header("Wasmill-Digest")).collect();
    findings.versions = digests.len() as u64;
    let traces = explain(case, history, &found.outputs, &mut findings);
    judge_events(history, &traces, &mut findings);
    judge_letters(case, history, &found.letters, &mut findings);
    findings
}

/// Assigns outputs to the events that asked for them; counts those that nobody did, and repeats.
fn explain(
    case: &Case,
    history: &History,
    outputs: &[Stored],
    findings: &mut Findings,
) -> BTreeMap<u64, Trace> {
    let events: BTreeMap<u64, &Published> =
        history.events().iter().map(|event| (event.ask.id, event)).collect();
    let mut traces = BTreeMap::<u64, Trace>::new();
    for output in outputs {
        let made = match explanation(case, &events, output) {
            Ok(made) => made,
            Err(why) => {
                findings.unexplained += 1;
                findings.example(|| format!("output {} is unexplained: {why}", output.sequence));
                continue;
            }
        };
        let digest = output.header("Wasmill-Digest");
        if case.versions.get(digest) != Some(&made.version) {
            findings.wrong_version += 1;
            findings.example(|| {
                format!("output {} was made by {:?} and is stamped {digest}", output.sequence, made.version)
            });
        }
        let trace = traces.entry(made.id).or_default();
        trace.digests.insert(digest.to_owned());
        if trace.indices.insert(made.index) {
            let first = trace.stored.map_or(output.sequence, |(first, _)| first);
            trace.stored = Some((first, output.sequence));
        } else {
            findings.repeated += 1;
            findings.example(|| {
                format!("output {} of event {} is there again at {}", made.index, made.id, output.sequence)
            });
        }
    }
    traces
}

/// What an output says of itself, if there is an event that asked for it.
fn explanation(case: &Case, events: &BTreeMap<u64, &Published>, output: &Stored) -> Result<Made, String> {
    let made: Made = serde_json::from_slice(&output.payload).map_err(|err| format!("its data: {err}"))?;
    let event = events.get(&made.id).ok_or_else(|| format!("there is no event {}", made.id))?;
    let Expected::Outputs(count) = event.ask.expected() else {
        return Err(format!("event {} must become a dead letter", made.id));
    };
    if made.index >= count || made.of != count {
        return Err(format!("it is {} of {}, and event {} asked for {count}", made.index, made.of, made.id));
    }
    if made.echo != event.ask.echo {
        return Err(format!("its echo is {:?}, and event {} said {:?}", made.echo, made.id, event.ask.echo));
    }
    if output.subject != case.subject {
        return Err(format!("it is on {}", output.subject));
    }
    let cause = output.header("Wasmill-Cause");
    if cause != event.name {
        return Err(format!("it names {cause:?} as its cause, and event {} is {:?}", made.id, event.name));
    }
    Ok(made)
}

fn judge_events(history: &History, traces: &BTreeMap<u64, Trace>, findings: &mut Findings) {
    let mut lost = Lost::default();
    // Not known yet to be followed by an event that left a trace.
    let mut tail = 0;
    let mut anything = false;
    let mut latest = BTreeMap::new();
    let mut events: Vec<_> = history.events().iter().collect();
    events.sort_by_key(|event| event.sequence);
    for event in events {
        let Expected::Outputs(count @ 1..) = event.ask.expected() else { continue };
        let Some(trace) = traces.get(&event.ask.id) else {
            tail += 1;
            findings.example(|| format!("event {} at {} is lost", event.ask.id, event.sequence));
            continue;
        };
        let missed = std::mem::take(&mut tail);
        *(if anything { &mut lost.middle } else { &mut lost.prefix }) += missed;
        anything = true;
        if trace.indices.len() < count as usize {
            findings.torn += 1;
            findings.example(|| {
                format!("of event {} only outputs {:?} of {count} are there", event.ask.id, trace.indices)
            });
        }
        if trace.digests.len() > 1 {
            findings.mixed_versions += 1;
        }
        let (first, last) = trace.stored.unwrap_or_default();
        let latest = latest.entry(event.ask.key).or_insert(0);
        if first < *latest {
            findings.out_of_order += 1;
        }
        *latest = last.max(*latest);
    }
    // If nothing is there at all, there is no first and no last: it counts as the end.
    lost.tail = tail;
    findings.lost = lost;
}

fn judge_letters(case: &Case, history: &History, letters: &[Stored], findings: &mut Findings) {
    let position = |event: &Published| format!("{}:{}", case.stream, event.sequence);
    let mut expected = BTreeMap::new();
    for event in history.events() {
        if let Expected::DeadLetter(reason) = event.ask.expected() {
            expected.insert(position(event), (event, reason));
        }
    }
    let mut seen = BTreeSet::new();
    for letter in letters {
        let at = letter.header("Wasmill-Position");
        let fault = match expected.get(at) {
            None => Some("no event asked for it".to_owned()),
            Some(_) if !seen.insert(at) => Some("it is there again".to_owned()),
            Some((event, reason)) => letter_fault(case, letter, event, reason),
        };
        if let Some(fault) = fault {
            findings.letters_wrong += 1;
            let reason = letter.header("Wasmill-Reason");
            findings.example(|| format!("dead letter {} of {at} ({reason}): {fault}", letter.sequence));
        }
    }
    for (at, (event, reason)) in expected.iter().filter(|(at, _)| !seen.contains(at.as_str())) {
        findings.letters_wrong += 1;
        findings.example(|| format!("event {} at {at} has no dead letter ({reason})", event.ask.id));
    }
}

fn letter_fault(case: &Case, letter: &Stored, event: &Published, reason: &str) -> Option<String> {
    if letter.header("Wasmill-Reason") != reason {
        return Some(format!("its reason should be {reason}"));
    }
    if letter.payload != event.payload.as_bytes() {
        return Some("its payload is not the event's".to_owned());
    }
    let digest = letter.header("Wasmill-Digest");
    (!case.versions.contains_key(digest)).then(|| format!("no version has the digest {digest:?}"))
}
