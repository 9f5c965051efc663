//! Programs as plugins: any WASI preview 1 program that reads events from its standard input, a line each.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use wasmill::event::Event;
use wasmill::outcome::Failure;
use wasmill_tests::guests::Program;
use wasmill_tests::streams;

use crate::delivery::{balance, scene};
use crate::hostile::{Running, event};

const MANIFEST: &str = "kind = \"command\"\n[[subscribe]]\nsubjects = [\"in.>\"]\n[emit]\nsubjects = [\"out\"]\n[limits]\ninstances = 1\n";
const REUSED: &str = "isolation = \"reuse\"\n";

async fn load(program: &Program, top: &str) -> Running {
    Running::load(&program.bytes().unwrap(), &format!("{top}{MANIFEST}")).await.unwrap()
}

/// What becomes of one event, and where it ended.
async fn ended(running: &Running, id: &str) -> (Result<Vec<Value>, Failure>, Option<String>) {
    let handled = running.workers.handle(Arc::new(event(id))).await;
    let read =
        |data: &[u8]| serde_json::from_slice(data).unwrap_or_else(|_| String::from_utf8_lossy(data).into());
    let answer = handled.answer.map(|outputs| outputs.iter().map(|output| read(&output.data)).collect());
    (answer, handled.backtrace)
}

#[tokio::test]
async fn an_event_is_a_line_and_a_line_an_output() {
    let echo = Program { line: "(call $echo)", ..Program::default() };
    for top in ["", REUSED] {
        let running = load(&echo, top).await;
        for id in ["1", "2"] {
            let Ok(outputs) = ended(&running, id).await.0 else { panic!("{id} was not handled") };
            assert_eq!(
                outputs,
                [json!({
                    "id": id, "source": "nats:IN", "type": "nats.message", "subject": "in.a",
                    "time": "2023-11-14T22:13:20Z", "headers": [["x", "y"]], "attempt": 1, "text": "event"
                })]
            );
        }
        let large =
            Event { data: Bytes::from(vec![0xff; 8_192]), reply_to: Some("_INBOX.1".into()), ..event("3") };
        let outputs = running.workers.handle(Arc::new(large)).await.answer.unwrap();
        let line: Value = serde_json::from_slice(&outputs[0].data).unwrap();
        assert_eq!(line["data_base64"].as_str().unwrap().len(), 8_192_usize.div_ceil(3) * 4);
        assert_eq!(line["reply_to"], "_INBOX.1");
        let json = Event { data: Bytes::from_static(b"{\n  \"a\": 1\n}"), ..event("4") };
        let outputs = running.workers.handle(Arc::new(json)).await.answer.unwrap();
        let line: Value = serde_json::from_slice(&outputs[0].data).unwrap();
        assert_eq!(line["data"], json!({ "a": 1 }));
    }
}

#[tokio::test]
async fn a_program_runs_once_for_each_event_or_reads_on() {
    // The second line of a run is answered otherwise than the first.
    let program = Program {
        line: "(if (i32.gt_u (global.get $lines) (i32.const 1)) (then (call $answer)))",
        answer: "{\"subject\":\"out\",\"text\":\"not the first\"}\n",
        ..Program::default()
    };
    let fresh = load(&program, "").await;
    let reused = load(&program, REUSED).await;
    for call in 0..3 {
        assert_eq!(ended(&fresh, "1").await.0, Ok(Vec::new()));
        let expected: Vec<Value> = if call == 0 { Vec::new() } else { vec!["not the first".into()] };
        assert_eq!(ended(&reused, "1").await.0, Ok(expected));
    }
}

#[tokio::test]
async fn every_answer_has_its_meaning_and_every_end_its_name() {
    let retry = Failure::Retry { after: Some(Duration::from_millis(1_500)), reason: "not yet: ü".into() };
    let reject = Failure::Rejected("never".into());
    for (line, answer, wanted) in [
        (
            "(call $answer)",
            "{\"subject\":\"out\",\"text\":\"a\"}\n{\"subject\":\"out\",\"data\":2}\n",
            Ok(vec![json!("a"), json!(2)]),
        ),
        ("(call $answer)", "\n  \n", Ok(vec![])),
        ("", "", Ok(vec![])),
        ("(call $answer)", "{\"retry\":\"not yet: ü\",\"after_ms\":1500}\n", Err(&retry)),
        ("(call $answer)", "{\"reject\":\"never\"}\n", Err(&reject)),
        // What was written before does not leave.
        ("(call $answer)", "{\"subject\":\"out\",\"data\":1}\n{\"reject\":\"never\"}\n", Err(&reject)),
        ("(call $answer)", "{\"event\":\"1\",\"subject\":\"out\",\"data\":1}\n", Ok(vec![json!(1)])),
    ] {
        for top in ["", REUSED] {
            let running = load(&Program { line, answer, ..Program::default() }, top).await;
            for _ in 0..2 {
                assert_eq!(
                    ended(&running, "1").await.0,
                    wanted.clone().map_err(Clone::clone),
                    "{top}{answer}"
                );
            }
        }
    }
}

#[tokio::test]
async fn what_is_no_output_is_quoted() {
    for (answer, wanted) in [
        ("Hello, world!\n", "Hello, world!"),
        ("[1]\n", "[1]"),
        ("{\"subject\":\"out\"", "{\"subject\":\"out\""),
        ("{\"subject\":\"out\",\"subjekt\":1}\n", "subjekt"),
        ("{\"event\":\"7\",\"subject\":\"out\"}\n", "it answers event \"7\""),
        ("{\"subject\":\"out\",\"data_base64\":\"?\"}\n", "data_base64"),
        ("{\"subject\":\"out\",\"text\":\"a\",\"data\":1}\n", "text"),
    ] {
        for top in ["", REUSED] {
            let running = load(&Program { line: "(call $answer)", answer, ..Program::default() }, top).await;
            for _ in 0..2 {
                let failure = ended(&running, "1").await.0.unwrap_err();
                assert_eq!(failure.name(), "invalid-value", "{answer}: {failure}");
                assert!(failure.to_string().contains(wanted), "{answer}: {failure}");
            }
        }
    }
}

#[tokio::test]
async fn limits_hold_and_each_end_has_a_name() {
    for (program, limits, wanted) in [
        (Program { line: "(loop $ever (br $ever))", ..Program::default() }, "", "cpu-limit"),
        (Program { start: "(loop $ever (br $ever))", ..Program::default() }, "", "cpu-limit"),
        (
            Program {
                line: "(loop $ever (br_if $ever (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) (unreachable)",
                ..Program::default()
            },
            "",
            "memory-limit",
        ),
        (Program { line: "(unreachable)", ..Program::default() }, "", "trap"),
        (Program { line: "(call $exit (i32.const 7))", ..Program::default() }, "", "exit"),
        (
            Program {
                line: "(loop $ever (call $answer) (br $ever))",
                answer: "{\"subject\":\"out\"}\n",
                ..Program::default()
            },
            "event_bytes = 10000\n",
            "answer-limit",
        ),
        (
            Program {
                line: "(loop $ever (call $complain) (br $ever))",
                complaint: "again and again\n",
                ..Program::default()
            },
            "",
            "log-limit",
        ),
    ] {
        for top in ["", REUSED] {
            let running =
                Running::load(&program.bytes().unwrap(), &format!("{top}{MANIFEST}{limits}")).await.unwrap();
            for _ in 0..2 {
                let failure = ended(&running, "1").await.0.unwrap_err();
                assert_eq!(failure.name(), wanted, "{top}{}{}: {failure}", program.start, program.line);
            }
        }
    }
    let many = Program {
        line: "(call $answer)",
        answer: "{\"subject\":\"out\"}\n{\"subject\":\"elsewhere\"}\n",
        ..Program::default()
    };
    let failure = load(&many, "").await.handle(&event("1")).await.unwrap_err();
    assert_eq!(failure.name(), "not-granted", "its outputs are held against the grants: {failure}");
}

#[tokio::test]
async fn an_exit_tells_its_last_words() {
    let fails = Program {
        line: "(call $answer) (call $complain) (call $exit (i32.const 1))",
        answer: "{\"subject\":\"out\"}\n",
        complaint: "reading the amount\nno amount: ü\n",
        ..Program::default()
    };
    for top in ["", REUSED] {
        let running = load(&fails, top).await;
        for _ in 0..2 {
            let (answer, backtrace) = ended(&running, "1").await;
            assert_eq!(answer, Err(Failure::Exit(1)));
            assert_eq!(backtrace.as_deref(), Some("no amount: ü\nreading the amount"), "the latest first");
        }
        let said = running.said.lock().unwrap();
        assert_eq!(*said, ["reading the amount", "no amount: ü", "reading the amount", "no amount: ü"]);
    }
    // An exit with success is an end, and what was written before counts; a long-lived program is started anew.
    let leaves = Program {
        line: "(call $answer) (call $exit (i32.const 0))",
        answer: "{\"subject\":\"out\",\"data\":1}\n",
        ..Program::default()
    };
    for top in ["", REUSED] {
        let running = load(&leaves, top).await;
        for _ in 0..2 {
            assert_eq!(ended(&running, "1").await.0, Ok(vec![json!(1)]));
        }
    }
}

#[tokio::test]
async fn a_program_sees_its_config_the_events_time_and_the_events_chance() {
    // The one variable of the environment, as the program finds it.
    let config = Program {
        line: "(drop (call $environ_get (i32.const 131072) (i32.const 132096)))
               (call $say (i32.const 2) (i32.const 132096) (i32.const 26))",
        ..Program::default()
    };
    let manifest = format!("{MANIFEST}[config]\nlimit = 3\n");
    let running = Running::load(&config.bytes().unwrap(), &manifest).await.unwrap();
    assert_eq!(ended(&running, "1").await.0, Ok(Vec::new()));
    assert_eq!(*running.said.lock().unwrap(), ["WASMILL_CONFIG={\"limit\":3}"]);

    let draws = Program {
        line: "(drop (call $clock (i32.const 0) (i64.const 0) (i32.const 32)))
               (if (i64.ne (i64.load (i32.const 32)) (i64.const 1700000000000000000)) (then (unreachable)))
               (drop (call $random (i32.const 40) (i32.const 1)))
               (i32.store8 (i32.const 40) (i32.add (i32.const 97) (i32.and (i32.load8_u (i32.const 40)) (i32.const 15))))
               (call $say (i32.const 2) (i32.const 40) (i32.const 1))",
        ..Program::default()
    };
    for top in ["", REUSED] {
        let running = load(&draws, top).await;
        for id in ["1", "1", "2", "3", "4", "5", "6"] {
            assert_eq!(ended(&running, id).await.0, Ok(Vec::new()));
        }
        let said = running.said.lock().unwrap();
        assert_eq!(said.len(), 7);
        assert_eq!(said[0], said[1], "another delivery draws the same");
        assert!(said[2..].iter().any(|drawn| *drawn != said[0]), "another event draws otherwise: {said:?}");
    }
}

#[tokio::test]
async fn what_lies_behind_a_programs_memory_is_its_own() {
    // As Go's runtime does: it takes what lies behind its memory for its own, whoever else asked for some.
    let greedy = Program {
        line: "(drop (memory.grow (i32.const 1)))
               (memory.fill
                 (i32.const 262144) (i32.const 0xaa)
                 (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 262144)))
               (call $echo)",
        ..Program::default()
    };
    for top in ["", REUSED] {
        let running = load(&greedy, top).await;
        for _ in 0..3 {
            assert_eq!(ended(&running, "1").await.0.map(|outputs| outputs.len()), Ok(1));
        }
    }
}

#[tokio::test]
async fn a_programs_config_has_a_bound() {
    // `{"a":"…"}`: eight bytes beside the text.
    let config = |bytes: usize| format!("{MANIFEST}[config]\na = \"{}\"\n", "x".repeat(bytes - 8));
    let reads = Program {
        line: "(drop (call $environ_get (i32.const 131072) (i32.const 132096)))
               (if (i32.load8_u (i32.const 197631)) (then (unreachable)))
               (if (i32.ne (i32.load8_u (i32.const 197630)) (i32.const 125)) (then (unreachable)))",
        ..Program::default()
    };
    let running = Running::load(&reads.bytes().unwrap(), &config(65_520)).await.unwrap();
    assert_eq!(ended(&running, "1").await.0, Ok(Vec::new()));
    let refusal = Running::load(&reads.bytes().unwrap(), &config(65_521)).await.err().unwrap().to_string();
    assert!(refusal.contains("65520"), "{refusal}");
}

#[tokio::test]
async fn the_manifest_says_which_kind_it_is() {
    let program = Program::default().bytes().unwrap();
    let plain = MANIFEST.replace("kind = \"command\"\n", "");
    let refusal = Running::load(&program, &plain).await.err().unwrap().to_string();
    assert!(refusal.contains("kind = \"command\""), "{refusal}");
    let plugin = wasmill_tests::guests::whole("core-plugin").unwrap();
    let refusal = Running::load(&plugin, MANIFEST).await.err().unwrap().to_string();
    assert!(refusal.contains("no program"), "{refusal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn from_stream_to_stream_line_by_line() {
    let echo = Program { line: "(call $echo)", ..Program::default() };
    let scene = scene().await;
    for (name, top) in [("once-each", ""), ("reads-on", REUSED)] {
        let manifest = format!(
            "{top}kind = \"command\"\n[[subscribe]]\nstream = \"PAYMENTS\"\nsubjects = [\"payments.>\"]\n[emit]\nsubjects = [\"out\"]\n"
        );
        scene.place.put(name, &echo.bytes().unwrap(), &manifest).unwrap();
    }
    streams::create(&scene.jetstream, "OUT", "out").await.unwrap();
    let running = scene.start().await;
    for name in ["once-each", "reads-on"] {
        running.running(name, None).await.unwrap();
    }
    let payments = (0..500).map(|number| Bytes::from(json!({ "number": number }).to_string()));
    streams::publish(&scene.jetstream, "payments.card", payments).await.unwrap();
    for name in ["once-each", "reads-on"] {
        running.ended(name, 500).await.unwrap();
        balance(&running, name);
    }
    let stored = streams::read(&scene.jetstream, "OUT").await.unwrap();
    assert_eq!(stored.len(), 1_000);
    for name in ["once-each", "reads-on"] {
        let of_it = stored
            .iter()
            .filter(|message| message.header("Wasmill-Plugin").is_ok_and(|plugin| plugin == name));
        let numbers: std::collections::BTreeSet<u64> = of_it
            .map(|message| {
                serde_json::from_slice::<Value>(&message.payload).unwrap()["data"]["number"].as_u64().unwrap()
            })
            .collect();
        assert_eq!(numbers.len(), 500, "{name}");
    }
}
