//! Core modules in the place of components: the engine makes components of them, and says why where it cannot.

use std::sync::Arc;

use bytes::Bytes;
use wasmill::event::Event;
use wasmill::outcome::Failure;
use wasmill::sandbox::{LoadError, componentize};
use wasmill_tests::guests::whole;
use wasmill_tests::streams;

use crate::delivery::{balance, scene};
use crate::hostile::{Running, event};

const MANIFEST: &str =
    "[[subscribe]]\nsubjects = [\"in.>\"]\n[emit]\nsubjects = [\"out\"]\n[limits]\ninstances = 1\n";
const REUSED: &str = "isolation = \"reuse\"\n";
const TIME: u64 = 1_700_000_000_000_000_000;

async fn load(name: &str, top: &str) -> Running {
    Running::load(&whole(name).unwrap(), &format!("{top}{MANIFEST}")).await.unwrap()
}

async fn data(running: &Running, event: &Event) -> Bytes {
    let outputs = running.handle(event).await.unwrap();
    assert_eq!(outputs.len(), 1);
    outputs[0].message.payload.clone()
}

/// The words that `core-preview1` reports.
async fn report(running: &Running, event: &Event) -> Vec<u64> {
    data(running, event)
        .await
        .chunks_exact(8)
        .map(|word| u64::from_le_bytes(word.try_into().unwrap()))
        .collect()
}

#[tokio::test]
async fn a_module_with_the_contracts_exports_is_a_plugin() {
    for top in ["", REUSED] {
        let running = load("core-plugin", top).await;
        let shape = running.workers.prepared().shape();
        assert_eq!(shape.imports, ["wasmill:plugin/clock@0.1.0", "wasmill:plugin/types@0.1.0"]);
        assert_eq!(shape.exports, ["wasmill:plugin/handler@0.1.0"]);
        let large = Event { data: Bytes::from(vec![b'x'; 65_536]), ..event("large") };
        for event in [event("1"), large, event("2")] {
            assert_eq!(data(&running, &event).await, event.data);
        }
    }
}

#[tokio::test]
async fn what_a_module_asks_of_preview_1_is_answered_without_leaving_the_component() {
    let running = load("core-preview1", "").await;
    let words = report(&running, &event("1")).await;
    let [.., read, got, prestat, fdstat, kind, surroundings, open, write] = words[..] else {
        panic!("{words:?}")
    };
    let [_, _, in_realloc, before, after, now, drawn, more, at_start, ..] = words[..] else {
        panic!("{words:?}")
    };
    assert!(before < after, "the clock moves with each reading: {words:?}");
    assert_eq!(now, TIME, "it is the event's time");
    assert!(
        in_realloc != 0 && drawn != 0 && more != 0 && more < 1 << 24,
        "numbers are drawn, and no more: {words:?}"
    );
    assert_eq!(at_start, drawn, "a fresh instance draws from the event's seed, at its start and in its call");
    assert_eq!((read, got), (0, 0), "standard input has ended");
    assert_eq!((fdstat, kind), (0, 2), "standard output is written line by line");
    assert_eq!(surroundings, 0, "no arguments, no environment");
    assert_eq!((prestat, open, write), (8, 8, 8), "no files");
    assert_eq!(*running.said.lock().unwrap(), ["printed in two", "to the error stream"], "of the call only");

    assert_eq!(report(&running, &event("1")).await, words, "another delivery sees the same");
    let other = report(&running, &event("2")).await;
    assert_ne!(other[6], drawn, "another event draws otherwise");
    assert_eq!(other[2], in_realloc, "what is drawn where the seed cannot be asked for is fixed");

    let reused = load("core-preview1", REUSED).await;
    let first = report(&reused, &event("1")).await;
    let second = report(&reused, &Event { time_ns: TIME + 5, ..event("2") }).await;
    assert!(second[3] > first[4], "the clock of an instance never goes back");
    assert_eq!(second[5], TIME + 5);
    assert_eq!(second[1], TIME, "while nothing may be called out, the time is the one last read");
}

#[tokio::test]
async fn a_sleep_takes_no_time_and_an_exit_has_a_name() {
    let running = load("core-preview1", "").await;
    let slept = report(&running, &Event { attempt: 4, ..event("1") }).await;
    assert!(slept[4] - slept[3] > 3_600_000_000_000, "{slept:?}");
    let exit = Event { attempt: 2, ..event("1") };
    assert_eq!(running.handle(&exit).await, Err(Failure::Exit(3)));
    let late = running.workers.handle(Arc::new(Event { attempt: 3, ..event("1") })).await;
    assert_eq!(late.answer.unwrap_err().name(), "trap", "an exit after the answer cannot be told of");
    let trace = late.backtrace.unwrap();
    assert!(trace.starts_with("proc_exit_while_allocating\nproc_exit\n"), "{trace}");
    assert_eq!(report(&running, &event("1")).await.len(), 17, "and the next event is handled");
}

/// A module of these parts beside what a plugin needs.
fn module(parts: &str) -> Vec<u8> {
    wat::parse_str(format!(
        "(module {parts}
           (memory (export \"memory\") 1)
           (func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32) (i32.const 0))
           (func (export \"wasmill:plugin/handler@0.1.0#handle\") (param i32) (result i32) (i32.const 0)))"
    ))
    .unwrap()
}

#[test]
fn what_cannot_become_a_component_says_why() {
    assert!(componentize(&module("")).is_ok());
    for (bytes, wanted) in [
        (
            module("(import \"env\" \"abort\" (func (param i32 i32 i32 i32)))"),
            "it imports env.abort, which no engine serves",
        ),
        (module("(import \"wasi:http/types@0.2.0\" \"x\" (func))"), "it imports wasi:http/types@0.2.0.x"),
        (module("(import \"wasi_unstable\" \"fd_write\" (func))"), "wasi_unstable.fd_write"),
        (module("(import \"wasi_snapshot_preview1\" \"fd_telepathy\" (func))"), "fd_telepathy"),
        (module("(import \"wasi_snapshot_preview1\" \"fd_close\" (func))"), "fd_close"),
        (module("(import \"wasmill:plugin/clock@0.1.0\" \"later\" (func))"), "later"),
        (module("(import \"wasmill:plugin/clock@0.9.0\" \"now\" (func (result i64)))"), "clock@0.9.0"),
        (module("(import \"wasmill:plugin/clock@0.1.0\" \"now\" (func (result i32)))"), "now"),
        (wat::parse_str("(module)").unwrap(), "it has none"),
        (whole("core-module").unwrap(), "it has handle"),
        (
            wat::parse_str("(module (func (export \"_start\")))").unwrap(),
            "a program needs memory; it has _start",
        ),
    ] {
        let refusal = componentize(&bytes).unwrap_err();
        assert!(matches!(refusal, LoadError::CoreModule(_)), "{wanted}: {refusal:?}");
        assert!(refusal.to_string().contains(wanted), "{wanted}: {refusal}");
    }
    let wrong_type = wat::parse_str(
        "(module (memory (export \"memory\") 1)
           (func (export \"cabi_realloc\") (param i32) (result i32) (i32.const 0))
           (func (export \"wasmill:plugin/handler@0.1.0#handle\") (result i64) (i64.const 0)))",
    );
    let refusal = componentize(&wrong_type.unwrap()).unwrap_err().to_string();
    assert!(refusal.contains("handle") || refusal.contains("cabi_realloc"), "{refusal}");
    let component = componentize(&whole("core-plugin").unwrap()).unwrap();
    assert_eq!(componentize(&component).unwrap(), component, "a component stays as it is");
}

#[test]
fn no_odd_module_is_more_than_an_error() {
    let good = whole("core-preview1").unwrap();
    assert!(componentize(&good).is_ok());
    for length in 0..good.len() {
        // What is cut behind its code is a module still.
        if let Err(refusal) = componentize(&good[..length]) {
            let known = matches!(refusal, LoadError::Empty | LoadError::Truncated | LoadError::CoreModule(_));
            assert!(known, "cut at {length}: {refusal:?}");
        }
    }
    for at in 0..good.len() {
        for flip in [0x01, 0xff] {
            let mut bytes = good.clone();
            bytes[at] ^= flip;
            // Whichever it is: it comes back.
            let _made = componentize(&bytes);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_core_module_in_the_directory_serves_and_a_bad_one_replaces_nothing() {
    let manifest =
        "[[subscribe]]\nstream = \"PAYMENTS\"\nsubjects = [\"payments.>\"]\n[emit]\nsubjects = [\"out\"]\n";
    let good = whole("core-plugin").unwrap();
    let scene = scene().await;
    streams::create(&scene.jetstream, "OUT", "out").await.unwrap();
    scene.place.put("adapted", &good, manifest).unwrap();
    let running = scene.start().await;
    running.running("adapted", Some(&good)).await.unwrap();
    let payloads = (0..50).map(|number| Bytes::from(number.to_string()));
    streams::publish(&scene.jetstream, "payments.card", payloads).await.unwrap();
    running.ended("adapted", 50).await.unwrap();

    scene.place.put_component("adapted", &whole("core-module").unwrap()).unwrap();
    let told = |status: &wasmill::status::PluginStatus| {
        status
            .problem
            .as_ref()
            .is_some_and(|problem| problem.contains("the file is a core module, and no component"))
    };
    running.until("adapted", "refused", told).await.unwrap();
    streams::publish(&scene.jetstream, "payments.card", [Bytes::from("last")]).await.unwrap();
    running.ended("adapted", 51).await.unwrap();
    let stored = streams::read(&scene.jetstream, "OUT").await.unwrap();
    assert_eq!(stored.len(), 51);
    balance(&running, "adapted");
}
