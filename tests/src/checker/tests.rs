//! A checker that cannot fail proves nothing: each kind of fault is put into a history and must be found.

use serde_json::json;

use super::findings::{Findings, Lost, Verdict};
use super::history::{History, Published};
use super::judge::{Case, Found, judge};
use super::model::{Ask, Expected, Fails};
use super::read::Stored;

/// What a doctor does to one thing.
type Doctor<T> = fn(&mut T);

const DIGESTS: [&str; 2] = ["aa", "bb"];

/// Ten events: two outputs each, but for a rejected one, one that always traps, one that asks for nothing, and one that
/// succeeds at its third attempt.
fn scene() -> (Case, History, Found) {
    let case = Case {
        stream: "IN".into(),
        subject: "out.x".into(),
        versions: DIGESTS.iter().map(|digest| ((*digest).to_owned(), format!("version {digest}"))).collect(),
        ordered: false,
    };
    let (mut history, mut found) = (History::default(), Found::default());
    for id in 0..10_u64 {
        let fails = match id {
            3 => Fails::Rejects,
            5 => Fails::AlwaysTraps,
            6 => Fails::RetriesUntil(3),
            _ => Fails::Never,
        };
        let ask = Ask {
            id,
            key: 0,
            outputs: if id == 8 { 0 } else { 2 },
            fails,
            work_ms: 0,
            echo: format!("e{id}"),
        };
        // A stream may hold more than this run's events.
        let event = Published { sequence: 2 * id + 1, name: format!("in:{id}"), payload: ask.payload(), ask };
        match event.ask.expected() {
            Expected::Outputs(count) => (0..count).for_each(|index| push_output(&mut found, &event, index)),
            Expected::DeadLetter(reason) => push_letter(&mut found, &event, reason),
        }
        history.record(event);
    }
    (case, history, found)
}

fn push_output(found: &mut Found, event: &Published, index: u32) {
    let data = json!({
        "id": event.ask.id, "index": index, "of": event.ask.outputs, "echo": event.ask.echo, "version": "version aa",
    });
    found.outputs.push(Stored {
        sequence: found.outputs.len() as u64 + 1,
        stored_ns: 0,
        subject: "out.x".into(),
        headers: headers(&[("Wasmill-Digest", "aa"), ("Wasmill-Cause", &event.name)]),
        payload: data.to_string().into_bytes(),
    });
}

fn push_letter(found: &mut Found, event: &Published, reason: &str) {
    let position = format!("IN:{}", event.sequence);
    found.letters.push(Stored {
        sequence: found.letters.len() as u64 + 1,
        stored_ns: 0,
        subject: "wasmill.dead-letter.p".into(),
        headers: headers(&[
            ("Wasmill-Reason", reason),
            ("Wasmill-Position", &position),
            ("Wasmill-Digest", "aa"),
        ]),
        payload: event.payload.clone().into_bytes(),
    });
}

fn headers(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn set(message: &mut Stored, name: &str, value: &str) {
    message.headers.retain(|(have, _)| have != name);
    message.headers.push((name.to_owned(), value.to_owned()));
}

fn edit(message: &mut Stored, name: &str, value: serde_json::Value) {
    let mut data: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
    data[name] = value;
    message.payload = data.to_string().into_bytes();
}

/// The findings after a doctor had his hands on the streams; without examples.
fn doctored(doctor: impl FnOnce(&mut Found)) -> Findings {
    let (case, history, mut found) = scene();
    doctor(&mut found);
    let findings = judge(&case, &history, &found);
    if findings.faults() > 0 {
        assert!(!findings.examples.is_empty(), "a fault that nobody can look up: {findings}");
        assert_eq!(findings.verdict(1, Ok(())), Verdict::Invalid);
        assert_eq!(findings.verdict(1, Err("nothing fired".into())), Verdict::Invalid, "a fault outweighs");
    }
    Findings { examples: Vec::new(), versions: 0, ..findings }
}

fn sound() -> Findings {
    Findings { events: 10, outputs: 14, letters: 2, ..Findings::default() }
}

fn of_event(found: &Found, id: u64) -> Vec<usize> {
    let is_its = |output: &Stored| {
        serde_json::from_slice::<serde_json::Value>(&output.payload).is_ok_and(|data| data["id"] == id)
    };
    (0..found.outputs.len()).filter(|at| is_its(&found.outputs[*at])).collect()
}

fn lose(found: &mut Found, ids: &[u64]) {
    for id in ids {
        for at in of_event(found, *id).into_iter().rev() {
            found.outputs.remove(at);
        }
    }
}

#[test]
fn what_is_as_it_should_be_is_valid() {
    let findings = doctored(|_| {});
    assert_eq!(findings, sound());
    assert_eq!(findings.verdict(10, Ok(())), Verdict::Valid);
}

#[test]
fn a_run_without_its_fault_or_without_events_is_void() {
    let void = |verdict| matches!(verdict, Verdict::Void(_));
    assert!(void(sound().verdict(10, Err("it never fired".into()))));
    assert!(void(sound().verdict(11, Ok(()))));
    assert!(void(Findings { outputs: 0, ..sound() }.verdict(0, Ok(()))));
}

#[test]
fn lost_events_are_found_where_they_stood() {
    for (ids, lost) in [
        (&[0][..], Lost { prefix: 1, ..Lost::default() }),
        (&[0, 1], Lost { prefix: 2, ..Lost::default() }),
        (&[4], Lost { middle: 1, ..Lost::default() }),
        (&[6], Lost { middle: 1, ..Lost::default() }),
        (&[7, 9], Lost { tail: 2, ..Lost::default() }),
        (&[1, 4, 9], Lost { middle: 2, tail: 1, prefix: 0 }),
        (&[0, 1, 2, 4, 6, 7, 9], Lost { tail: 7, ..Lost::default() }),
    ] {
        let findings = doctored(|found| lose(found, ids));
        assert_eq!(findings.lost, lost, "{ids:?}");
        assert_eq!(findings.faults(), lost.all());
    }
}

#[test]
fn repeats_and_torn_events_are_found() {
    let repeated = doctored(|found| {
        let mut again = found.outputs[3].clone();
        again.sequence = 99;
        found.outputs.push(again);
    });
    assert_eq!(repeated, Findings { outputs: 15, repeated: 1, ..sound() });
    let torn = doctored(|found| drop(found.outputs.remove(3)));
    assert_eq!(torn, Findings { outputs: 13, torn: 1, ..sound() });
}

#[test]
fn what_no_event_asked_for_is_found() {
    let doctors: [(&str, Doctor<Stored>); 8] = [
        ("an unknown event", |output| edit(output, "id", json!(77))),
        ("an event that is rejected", |output| edit(output, "id", json!(3))),
        ("an index beyond the last", |output| edit(output, "index", json!(2))),
        ("another count", |output| edit(output, "of", json!(3))),
        ("another echo", |output| edit(output, "echo", json!("x"))),
        ("no data", |output| output.payload.clear()),
        ("another subject", |output| output.subject = "out.y".into()),
        ("another cause", |output| set(output, "Wasmill-Cause", "in:1")),
    ];
    for (what, doctor) in doctors {
        let findings = doctored(|found| {
            let mut stray = found.outputs[0].clone();
            doctor(&mut stray);
            found.outputs.push(stray);
        });
        assert_eq!(findings, Findings { outputs: 15, unexplained: 1, ..sound() }, "{what}");
    }
}

#[test]
fn a_false_stamp_is_found_and_a_swap_between_two_outputs_is_none() {
    for digest in ["bb", "cc", ""] {
        let findings =
            doctored(|found| found.outputs.iter_mut().take(2).for_each(|o| set(o, "Wasmill-Digest", digest)));
        assert_eq!(findings, Findings { wrong_version: 2, ..sound() }, "{digest:?}");
    }
    let swapped = doctored(|found| {
        set(&mut found.outputs[1], "Wasmill-Digest", "bb");
        edit(&mut found.outputs[1], "version", json!("version bb"));
    });
    assert_eq!((swapped.mixed_versions, swapped.faults()), (1, 0));
}

#[test]
fn every_fault_of_a_dead_letter_is_found() {
    let doctors: [(&str, Doctor<Found>, u64); 6] = [
        ("missing", |found| drop(found.letters.remove(0)), 1),
        ("repeated", |found| found.letters.push(found.letters[0].clone()), 1),
        ("not asked for", |found| set(&mut found.letters[0], "Wasmill-Position", "IN:1"), 2),
        ("of another reason", |found| set(&mut found.letters[0], "Wasmill-Reason", "wall-limit"), 1),
        ("of another payload", |found| found.letters[0].payload.push(b' '), 1),
        ("of no version", |found| set(&mut found.letters[0], "Wasmill-Digest", "cc"), 1),
    ];
    for (what, doctor, wrong) in doctors {
        let findings = doctored(doctor);
        assert_eq!((findings.letters_wrong, findings.faults()), (wrong, wrong), "{what}");
    }
}

#[test]
fn what_is_left_undone_is_a_fault() {
    assert_eq!(doctored(|found| found.unsettled = 3), Findings { unsettled: 3, ..sound() });
}

#[test]
fn disorder_is_a_fault_only_where_order_is_promised() {
    let (mut case, history, mut found) = scene();
    found.outputs.swap(0, 4);
    for (at, output) in found.outputs.iter_mut().enumerate() {
        output.sequence = at as u64 + 1;
    }
    let findings = judge(&case, &history, &found);
    assert_eq!((findings.out_of_order, findings.faults()), (2, 0));
    case.ordered = true;
    assert_eq!(judge(&case, &history, &found).faults(), 2);
    let mut of_many_keys = History::default();
    for event in history.events() {
        let ask = Ask { key: event.ask.id as u32, ..event.ask.clone() };
        of_many_keys.record(Published { ask, ..event.clone() });
    }
    assert_eq!(judge(&case, &of_many_keys, &found).faults(), 0, "between keys there is no order");
}
