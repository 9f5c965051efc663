//! An audit that cannot fail proves nothing: each kind of fault is put into a run and must be found.

use serde_json::{Value, json};

use super::audit::{Held, audit};
use super::{Book, Entry, Fails, accounts};
use crate::checker::findings::Findings;
use crate::checker::read::Stored;

/// What a doctor does to a run.
type Doctor = fn(&mut Held);

fn entry(n: u64, outputs: u32) -> Entry {
    Entry { n, key: "k".into(), outputs, ..Entry::default() }
}

/// Five events of one key: two outputs and two timers, none, rejected, one that cancels the second timer, and one after the
/// first timer was due.
fn scene() -> (Book, Held) {
    let entries = [
        Entry { set: vec![("a".into(), 10), ("b".into(), 10)], ..entry(0, 2) },
        entry(1, 0),
        Entry { fails: Some(Fails::Reject), ..entry(2, 1) },
        Entry { cancel: vec!["b".into()], ..entry(3, 1) },
        entry(4, 1),
    ];
    let chain = |to: usize| [0, 1, 3, 4].iter().take(to).fold(0, |chain, n| accounts::fold(chain, *n));
    let event = |(at, entry): (usize, &Entry)| Stored {
        sequence: at as u64 + 1,
        stored_ns: [1, 2, 3, 4, 20_000_000][at],
        payload: serde_json::to_vec(entry).unwrap(),
        ..Stored::default()
    };
    let counted = |n: u64, index: u32, of: u32, count: usize| json!({"key": "k", "count": count, "event": n, "index": index, "of": of, "chain": chain(count), "version": "1"});
    let outputs = [
        counted(0, 0, 2, 1),
        counted(0, 1, 2, 1),
        counted(3, 0, 1, 3),
        json!({"key": "k", "timer": "a", "set_by": 0, "due": 10_000_001, "fired": 1, "count": 3, "version": "1"}),
        counted(4, 0, 1, 4),
    ];
    let owner =
        json!({"released": true, "settled": 9, "cursor": {"IN": {"incarnation_ms": 7, "sequence": 5}}});
    let letter = Stored {
        headers: vec![
            ("Wasmill-Position".into(), "IN:3".into()),
            ("Wasmill-Reason".into(), "rejected".into()),
        ],
        payload: serde_json::to_vec(&entries[2]).unwrap(),
        ..Stored::default()
    };
    let held = Held {
        stream: "IN".into(),
        events: entries.iter().enumerate().map(event).collect(),
        outputs: outputs.iter().enumerate().map(output).collect(),
        letters: vec![letter],
        buckets: vec![vec![
            Stored {
                subject: "$KV.b.owner".into(),
                payload: owner.to_string().into_bytes(),
                ..Stored::default()
            },
            record("4", 5, false),
        ]],
    };
    let payloads = held.events.iter().map(|event| String::from_utf8(event.payload.clone()).unwrap());
    (Book { entries: (1..).zip(payloads).collect() }, held)
}

fn output((at, data): (usize, &Value)) -> Stored {
    Stored {
        sequence: at as u64 + 1,
        headers: vec![("Nats-Msg-Id".into(), format!("id{at}"))],
        payload: data.to_string().into_bytes(),
        ..Stored::default()
    }
}

/// The key's record in CBOR, with this count, applied up to there, with or without a timer.
fn record(count: &str, applied: u8, timer: bool) -> Stored {
    let text = |text: &str| [&[0x60 | text.len() as u8], text.as_bytes()].concat();
    let bytes = |bytes: &str| {
        let length = bytes.len() as u8;
        let head = if length < 24 { vec![0x40 | length] } else { vec![0x58, length] };
        [&head, bytes.as_bytes()].concat()
    };
    let chain = [0, 1, 3, 4].iter().fold(0, |chain, n| accounts::fold(chain, *n)).to_string();
    let mut record =
        [&[0x89, 1], &*text("k"), &text("1"), &[0, 0xa1], &text("IN"), &[0x82, 7, applied, 0xa4]].concat();
    for (name, value) in [("chain", &*chain), ("count", count), ("fired", "1"), ("shape", "\"1\"")] {
        record.extend([text(name), bytes(value)].concat());
    }
    let timers = if timer { [&[0xa1], &*text("t"), &[0x83, 1, 1, 0x40]].concat() } else { vec![0xa0] };
    record.extend(timers);
    record.extend(
        [&[0, 0x81, 0x84], &*text("out"), &[0, 0x82], &text("Nats-Msg-Id"), &text("id4"), &[0x40]].concat(),
    );
    Stored { sequence: 9, subject: "$KV.b.k.k".into(), payload: record, ..Stored::default() }
}

fn after(doctor: Doctor) -> Findings {
    let (book, mut held) = scene();
    doctor(&mut held);
    audit(&book, &held).unwrap()
}

#[test]
fn a_run_as_it_should_be_has_no_faults() {
    let findings = after(|_| {});
    assert_eq!((findings.faults(), findings.examples), (0, Vec::new()));
}

#[test]
fn every_fault_is_found() {
    let cases: [(&str, Doctor, fn(&Findings) -> u64); 16] = [
        ("an output is not there", |run| _ = run.outputs.remove(2), |found| found.lost.all()),
        ("one of two outputs is not there", |run| _ = run.outputs.remove(1), |found| found.torn),
        ("an output is there twice", |run| run.outputs.push(run.outputs[0].clone()), |found| found.repeated),
        ("outputs of one event change places", |run| run.outputs.swap(0, 1), |found| found.out_of_order),
        ("outputs of two events change places", |run| run.outputs.swap(1, 2), |found| found.out_of_order),
        (
            "an event is counted twice",
            |run| change(&mut run.outputs[4], "count", 5),
            |found| found.unexplained,
        ),
        ("a chain is another", |run| change(&mut run.outputs[4], "chain", 5), |found| found.state_wrong),
        ("a timer does not fire", |run| _ = run.outputs.remove(3), |found| found.lost.all()),
        ("a timer fires twice", |run| run.outputs.push(run.outputs[3].clone()), |found| found.repeated),
        ("a cancelled timer fires", |run| rename(&mut run.outputs[3]), |found| found.unexplained),
        ("a timer fires after an event past it", |run| run.outputs.swap(3, 4), |found| found.out_of_order),
        ("a dead letter is not there", |run| run.letters.clear(), |found| found.letters_wrong),
        (
            "a dead letter is there twice",
            |run| run.letters.push(run.letters[0].clone()),
            |found| found.letters_wrong,
        ),
        ("a count is another", |run| run.buckets[0][1] = record("5", 5, false), |found| found.state_wrong),
        (
            "an event is not applied",
            |run| run.buckets[0][1] = record("4", 4, false),
            |found| found.state_wrong,
        ),
        ("a timer is left", |run| run.buckets[0][1] = record("4", 5, true), |found| found.state_wrong),
    ];
    for (what, doctor, counts) in cases {
        let findings = after(doctor);
        assert!(counts(&findings) > 0, "{what}: {findings}");
    }
}

#[test]
fn faults_of_the_bucket_are_found() {
    let cases: [(&str, Doctor); 4] = [
        ("no record", |run| _ = run.buckets[0].pop()),
        ("not settled", |run| run.buckets[0][1].sequence = 10),
        ("an output of the outbox is not in the stream", |run| run.outputs[4].headers.clear()),
        ("not released", |run| {
            run.buckets[0][0].payload = br#"{"released": false, "settled": 9, "cursor": {}}"#.to_vec();
        }),
    ];
    for (what, doctor) in cases {
        assert!(after(doctor).state_wrong > 0, "{what}");
    }
    let (mut book, held) = scene();
    book.entries.pop();
    assert!(audit(&book, &held).is_err(), "the stream holds more than was published");
}

fn change(output: &mut Stored, name: &str, value: u64) {
    let mut data: Value = serde_json::from_slice(&output.payload).unwrap();
    data[name] = json!(value);
    output.payload = data.to_string().into_bytes();
}

fn rename(output: &mut Stored) {
    let mut data: Value = serde_json::from_slice(&output.payload).unwrap();
    data["timer"] = json!("b");
    output.payload = data.to_string().into_bytes();
}
