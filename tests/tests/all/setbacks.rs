//! Events that fail, and outputs that cannot be stored: each ends under a name, and none in silence.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use async_nats::HeaderMap;
use bytes::Bytes;
use serde_json::json;
use wasmill::bus::{Bus as _, StreamSpec};
use wasmill::dead_letter;
use wasmill::status::{PluginState, PluginStatus};
use wasmill_tests::nats::{NatsServer, Options};
use wasmill_tests::place::Place;
use wasmill_tests::streams;

use crate::delivery::{LARGE_AMOUNT, amount_threshold, balance, bus, misbehaving, payment, scene};

/// What is wrong with an event, its headers and its payload, and the name under which it must end.
type BadInput = (&'static str, Vec<(&'static str, &'static str)>, Bytes, &'static str);

fn bad_inputs() -> Vec<BadInput> {
    let structured = vec![("content-type", "application/cloudevents+json")];
    vec![
        ("malformed JSON", vec![], Bytes::from_static(b"{\"amount\": "), "rejected"),
        ("a missing field", vec![], Bytes::from_static(b"{}"), "rejected"),
        ("a field of another type", vec![], Bytes::from_static(b"{\"amount\": [1]}"), "rejected"),
        ("an empty payload", vec![], Bytes::new(), "rejected"),
        ("invalid UTF-8", vec![], Bytes::from_static(b"{\"amount\": \"\xff\xfe\"}"), "rejected"),
        ("deep nesting", vec![], Bytes::from("[".repeat(200_000)), "rejected"),
        ("zeros", vec![], Bytes::from(vec![0; 1_000]), "rejected"),
        ("an alert too large for its limit", vec![], large(900_000), "output-size-limit"),
        ("a false envelope", structured.clone(), Bytes::from_static(b"{\"id\": 1}"), "malformed"),
        ("an unknown specversion", vec![("ce-specversion", "7")], payment(1, 1.0), "malformed"),
        (
            "a batch",
            vec![("content-type", "application/cloudevents-batch+json")],
            Bytes::from_static(b"[]"),
            "malformed",
        ),
        ("a loop", vec![("Wasmill-Hops", "16")], payment(1, 1.0), "hop-limit"),
    ]
}

fn large(bytes: usize) -> Bytes {
    Bytes::from(json!({ "amount": 500, "note": "x".repeat(bytes) }).to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_ends_in_the_dead_letters_by_name() {
    let scene = scene().await;
    let manifest = format!("{LARGE_AMOUNT}[limits]\noutput_bytes = 500000\n");
    scene.place.put("large-amount", &amount_threshold(), &manifest).unwrap();
    let bad = bad_inputs();
    for (_, headers, payload, _) in &bad {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, *value);
        }
        scene
            .jetstream
            .publish_with_headers("payments.card", map, payload.clone())
            .await
            .unwrap()
            .await
            .unwrap();
    }
    streams::publish(&scene.jetstream, "payments.card", [payment(1, 500.0)]).await.unwrap();
    let running = scene.start().await;
    running.ended("large-amount", bad.len() as u64 + 1).await.unwrap();
    streams::drained(&scene.jetstream, "PAYMENTS", "wasmill-large-amount").await.unwrap();

    let letters = streams::read(&scene.jetstream, "WASMILL_DEAD_LETTERS").await.unwrap();
    let by_position: BTreeMap<_, _> = letters
        .iter()
        .map(|letter| (letter.header("Wasmill-Position").unwrap().to_owned(), letter))
        .collect();
    assert_eq!(letters.len(), bad.len());
    for (index, (what, _, payload, reason)) in bad.iter().enumerate() {
        let letter = by_position[&format!("PAYMENTS:{}", index + 1)];
        assert_eq!(letter.header("Wasmill-Reason").unwrap(), *reason, "{what}: {:?}", letter.headers);
        assert_eq!(letter.payload, *payload, "{what}");
        assert_eq!(letter.subject, "wasmill.dead-letter.large-amount");
        assert_eq!(letter.header("Wasmill-Subject").unwrap(), "payments.card");
        assert_eq!(
            letter.header("Wasmill-Attempts").unwrap(),
            "1",
            "{what}: another try would end the same way"
        );
    }
    assert_eq!(
        streams::count(&scene.jetstream, "ALERTS").await.unwrap(),
        1,
        "the good one behind them went through"
    );
    balance(&running, "large-amount");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_event_is_tried_again_and_then_set_aside() {
    let scene = scene().await;
    let manifest = r#"
[[subscribe]]
stream = "PAYMENTS"
subjects = ["payments.card"]
[retry]
attempts = 3
first_delay_ms = 10
[config]
mode = "panic"
"#;
    scene.place.put("broken", &misbehaving(), manifest).unwrap();
    streams::publish(&scene.jetstream, "payments.card", [payment(1, 1.0)]).await.unwrap();
    let running = scene.start().await;
    let status =
        running.until("broken", "dead-lettered", |status| status.counters.dead_lettered == 1).await.unwrap();
    assert_eq!((status.counters.received, status.counters.retried), (3, 2));
    let letters = streams::read(&scene.jetstream, "WASMILL_DEAD_LETTERS").await.unwrap();
    assert_eq!(letters[0].header("Wasmill-Reason").unwrap(), "trap");
    assert_eq!(letters[0].header("Wasmill-Attempts").unwrap(), "3");
    assert_eq!(letters[0].header("Wasmill-Plugin").unwrap(), "broken");
    balance(&running, "broken");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_output_that_no_stream_keeps_is_not_lost_in_silence() {
    let scene = scene().await;
    scene.jetstream.delete_stream("ALERTS").await.unwrap();
    scene.place.put("large-amount", &amount_threshold(), LARGE_AMOUNT).unwrap();
    streams::publish(&scene.jetstream, "payments.card", [payment(1, 500.0)]).await.unwrap();
    let running = scene.start().await;
    let status = running
        .until("large-amount", "dead-lettered", |status| status.counters.dead_lettered == 1)
        .await
        .unwrap();
    let letters = streams::read(&scene.jetstream, "WASMILL_DEAD_LETTERS").await.unwrap();
    assert_eq!(letters[0].header("Wasmill-Reason").unwrap(), "unstorable");
    assert!(
        status.warnings.iter().any(|warning| warning.contains("no stream stores alerts.>")),
        "{status:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_dead_letter_stream_keeps_the_event_unacked() {
    let scene = scene().await;
    let refuse_all = async_nats::jetstream::stream::Config {
        name: "WASMILL_DEAD_LETTERS".into(),
        subjects: vec!["wasmill.dead-letter.>".into()],
        max_messages: 1,
        discard: async_nats::jetstream::stream::DiscardPolicy::New,
        ..Default::default()
    };
    scene.jetstream.create_stream(refuse_all.clone()).await.unwrap();
    streams::publish(&scene.jetstream, "wasmill.dead-letter.other", [Bytes::new()]).await.unwrap();
    let manifest = LARGE_AMOUNT.replace("ack_wait_ms", "max_delay_ms = 200\nack_wait_ms");
    scene.place.put("large-amount", &amount_threshold(), &manifest).unwrap();
    streams::publish(&scene.jetstream, "payments.card", [Bytes::new()]).await.unwrap();
    let running = scene.start().await;
    let blocked = |status: &PluginStatus| status.state == PluginState::Blocked;
    let status = running.until("large-amount", "blocked", blocked).await.unwrap();
    assert!(status.problem.unwrap().contains("its dead letters are not stored"));
    assert!(running.engine.unready()[0].contains("plugin large-amount is blocked"));
    let counters = status.counters;
    assert_eq!((counters.done, counters.dead_lettered, counters.dropped), (0, 0, 0));
    let mut consumer: async_nats::jetstream::consumer::PullConsumer =
        scene.jetstream.get_consumer_from_stream("wasmill-large-amount", "PAYMENTS").await.unwrap();
    assert_eq!(consumer.info().await.unwrap().num_ack_pending, 1, "it is still the stream's to deliver");
    let roomy = async_nats::jetstream::stream::Config { max_messages: 10, ..refuse_all };
    scene.jetstream.update_stream(roomy).await.unwrap();
    let status = running.ended("large-amount", 2).await.unwrap();
    assert_eq!(status.counters.dead_lettered, 1);
    assert_eq!(running.running("large-amount", None).await.unwrap().problem, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn payloads_up_to_the_servers_limit_go_in_and_what_is_over_it_does_not_come_out() {
    let server = NatsServer::start_with(Options { config: "max_payload: 65536\n".into() }).unwrap();
    let jetstream = streams::connect(&server.url()).await.unwrap();
    streams::create(&jetstream, "PAYMENTS", "payments.>").await.unwrap();
    streams::create(&jetstream, "ALERTS", "alerts.>").await.unwrap();
    let place = Place::new().unwrap();
    place.put("large-amount", &amount_threshold(), LARGE_AMOUNT).unwrap();
    streams::publish(&jetstream, "payments.card", [large(40_000), large(65_400)]).await.unwrap();
    let running = place.start(bus(&server).await).await.unwrap();
    let status = running.ended("large-amount", 2).await.unwrap();
    assert_eq!((status.counters.done, status.counters.dead_lettered), (1, 1));
    assert_eq!(streams::count(&jetstream, "ALERTS").await.unwrap(), 1);
    let letters = streams::read(&jetstream, "WASMILL_DEAD_LETTERS").await.unwrap();
    let parts: Vec<_> = letters.iter().map(|letter| letter.header("Wasmill-Part").unwrap()).collect();
    assert_eq!(parts, ["1/2", "2/2"], "the reason does not fit beside it, so it comes in two parts");
    assert_eq!([&letters[0].payload[..], &letters[1].payload[..]].concat(), large(65_400));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_takes_no_such_message_does_not_hold_the_event_for_ever() {
    let scene = scene().await;
    scene.jetstream.delete_stream("ALERTS").await.unwrap();
    let small = async_nats::jetstream::stream::Config {
        name: "ALERTS".into(),
        subjects: vec!["alerts.>".into()],
        max_message_size: 100,
        ..Default::default()
    };
    scene.jetstream.create_stream(small).await.unwrap();
    scene.place.put("large-amount", &amount_threshold(), LARGE_AMOUNT).unwrap();
    streams::publish(&scene.jetstream, "payments.card", [payment(1, 500.0)]).await.unwrap();
    let running = scene.start().await;
    let set_aside = |status: &PluginStatus| status.counters.dead_lettered == 1;
    let status = running.until("large-amount", "setting it aside", set_aside).await.unwrap();
    assert_eq!(status.last_failure.unwrap().reason, "unstorable");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_stream_that_was_deleted_is_made_again() {
    let scene = scene().await;
    scene.place.put("large-amount", &amount_threshold(), LARGE_AMOUNT).unwrap();
    let running = scene.start().await;
    running.running("large-amount", None).await.unwrap();
    scene.jetstream.delete_stream("WASMILL_DEAD_LETTERS").await.unwrap();
    streams::publish(&scene.jetstream, "payments.card", [Bytes::new()]).await.unwrap();
    running.ended("large-amount", 1).await.unwrap();
    assert_eq!(streams::count(&scene.jetstream, "WASMILL_DEAD_LETTERS").await.unwrap(), 1);
}

/// Publishes bytes that no client library would send.
pub fn publish_raw(server: &NatsServer, subject: &str, header_block: &[u8], payload: &[u8]) {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    let (headers, total) = (header_block.len(), header_block.len() + payload.len());
    let mut bytes = b"CONNECT {\"headers\":true,\"verbose\":false}\r\n".to_vec();
    bytes.extend_from_slice(format!("HPUB {subject} {headers} {total}\r\n").as_bytes());
    bytes.extend_from_slice(header_block);
    bytes.extend_from_slice(payload);
    bytes.extend_from_slice(b"\r\nPING\r\n");
    stream.write_all(&bytes).unwrap();
    let mut answer = String::new();
    let mut lines = BufReader::new(stream);
    while !answer.starts_with("PONG") {
        answer.clear();
        assert!(lines.read_line(&mut answer).unwrap() > 0, "the server closed the connection");
        assert!(!answer.starts_with("-ERR"), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_no_client_can_read_are_set_aside() {
    let scene = scene().await;
    let unreadable: [&[u8]; 3] = [
        b"NATS/1.0\r\nx: \xff\xfe\r\n\r\n",
        b"NATS/1.0\r\nbad name: v\r\n\r\n",
        b"NATS/1.0\r\nno colon\r\n\r\n",
    ];
    for header_block in unreadable {
        publish_raw(&scene.server, "payments.card", header_block, b"{\"amount\": 500}");
        streams::publish(&scene.jetstream, "payments.card", (0..100).map(|id| payment(id, 500.0)))
            .await
            .unwrap();
    }
    scene.place.put("large-amount", &amount_threshold(), LARGE_AMOUNT).unwrap();
    let running = scene.start().await;
    let through = |status: &PluginStatus| status.counters.done >= 300 && status.counters.dead_lettered >= 3;
    running.until("large-amount", "through with all", through).await.unwrap();
    streams::drained(&scene.jetstream, "PAYMENTS", "wasmill-large-amount").await.unwrap();
    assert_eq!(streams::count(&scene.jetstream, "ALERTS").await.unwrap(), 300);
    let letters = streams::read(&scene.jetstream, "WASMILL_DEAD_LETTERS").await.unwrap();
    assert_eq!(letters.len(), 3);
    for letter in letters {
        assert_eq!(letter.header("Wasmill-Reason").unwrap(), "malformed");
        assert_eq!(&letter.payload[..], b"{\"amount\": 500}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_whose_consumer_cannot_serve_leaves_the_old_version_running() {
    let scene = scene().await;
    scene.place.put("large-amount", &amount_threshold(), LARGE_AMOUNT).unwrap();
    let running = scene.start().await;
    running.running("large-amount", None).await.unwrap();
    let push = async_nats::jetstream::consumer::push::Config {
        durable_name: Some("taken".into()),
        deliver_subject: "somewhere".into(),
        ..Default::default()
    };
    scene.jetstream.get_stream("PAYMENTS").await.unwrap().create_consumer(push).await.unwrap();
    let manifest =
        LARGE_AMOUNT.replace("stream = \"PAYMENTS\"", "stream = \"PAYMENTS\"\ndurable = \"taken\"");
    scene.place.put_manifest("large-amount", &manifest).unwrap();
    let refused = |status: &PluginStatus| {
        status.problem.as_ref().is_some_and(|problem| problem.contains("push consumer"))
    };
    let status = running.until("large-amount", "refusing the manifest", refused).await.unwrap();
    assert_eq!(status.state, PluginState::Running);
    streams::publish(&scene.jetstream, "payments.card", [payment(1, 500.0)]).await.unwrap();
    running.ended("large-amount", 1).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_goes_is_told_and_one_that_comes_back_is_read() {
    let scene = scene().await;
    scene.place.put("large-amount", &amount_threshold(), LARGE_AMOUNT).unwrap();
    let running = scene.start().await;
    running.running("large-amount", None).await.unwrap();
    scene.jetstream.delete_stream("PAYMENTS").await.unwrap();
    let waiting = |status: &PluginStatus| {
        status.problem.as_ref().is_some_and(|problem| problem.contains("\"PAYMENTS\" does not exist"))
    };
    running.until("large-amount", "missing its stream", waiting).await.unwrap();
    assert!(running.engine.unready()[0].contains("large-amount is waiting"));
    streams::create(&scene.jetstream, "PAYMENTS", "payments.>").await.unwrap();
    streams::publish(&scene.jetstream, "payments.card", [payment(1, 500.0)]).await.unwrap();
    let status = running.ended("large-amount", 1).await.unwrap();
    assert_eq!(status.counters.done, 1);
    running.running("large-amount", None).await.unwrap();
    assert_eq!(streams::count(&scene.jetstream, "ALERTS").await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_output_stays_single_however_long_its_sibling_is_refused() {
    let scene = scene().await;
    let config = |name: &str, subjects: &str, most: i64| async_nats::jetstream::stream::Config {
        name: name.into(),
        subjects: vec![subjects.into()],
        max_messages: most,
        discard: async_nats::jetstream::stream::DiscardPolicy::New,
        duplicate_window: Duration::from_secs(1),
        ..Default::default()
    };
    scene.jetstream.create_stream(config("OPEN", "open.>", -1)).await.unwrap();
    scene.jetstream.create_stream(config("FULL", "full.>", 1)).await.unwrap();
    streams::publish(&scene.jetstream, "full.x", [Bytes::new()]).await.unwrap();
    let router = std::fs::read(wasmill_tests::parts::plugin("order-router").unwrap()).unwrap();
    let manifest = "[[subscribe]]\nstream = \"PAYMENTS\"\nsubjects = [\"payments.card\"]\n\
                    [emit]\nsubjects = [\"open.>\", \"full.>\"]\n\
                    [retry]\nattempts = 1\nfirst_delay_ms = 400\nmax_delay_ms = 400\n\
                    [config]\nmatch = \"all\"\n\
                    [[config.rules]]\nfield = \"amount\"\nexists = true\noutput = \"open.a\"\n\
                    [[config.rules]]\nfield = \"amount\"\nexists = true\noutput = \"full.a\"\n";
    scene.place.put("router", &router, manifest).unwrap();
    streams::publish(&scene.jetstream, "payments.card", [payment(1, 1.0)]).await.unwrap();
    let running = scene.start().await;
    // Six waits of 400 ms are twice the time for which the stream remembers the first one.
    let refused =
        |status: &PluginStatus| status.counters.retried >= 6 && status.state == PluginState::Blocked;
    let status = running.until("router", "refused six times", refused).await.unwrap();
    assert!(status.problem.unwrap().contains("its outputs are not stored"));
    scene.jetstream.update_stream(config("FULL", "full.>", 10)).await.unwrap();
    let status = running.until("router", "done", |status| status.counters.done == 1).await.unwrap();
    assert_eq!(status.counters.outputs, 2);
    assert_eq!(streams::count(&scene.jetstream, "OPEN").await.unwrap(), 1);
    assert_eq!(streams::count(&scene.jetstream, "FULL").await.unwrap(), 2);
    running.running("router", None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn declared_dead_letters_with_a_bound_drop_none() {
    let scene = scene().await;
    let bounded = StreamSpec { max_bytes: Some(6_000), ..dead_letter::stream_spec().unwrap() };
    bus(&scene.server).await.ensure_stream(&bounded).await.unwrap();
    scene.place.put("large-amount", &amount_threshold(), LARGE_AMOUNT).unwrap();
    streams::publish(&scene.jetstream, "payments.card", vec![Bytes::new(); 50]).await.unwrap();
    let running = scene.start().await;
    let blocked =
        |status: &PluginStatus| status.state == PluginState::Blocked && status.counters.in_flight == 0;
    let status = running.until("large-amount", "blocked", blocked).await.unwrap();
    let letters = streams::count(&scene.jetstream, "WASMILL_DEAD_LETTERS").await.unwrap();
    assert!(letters > 0 && letters < 50, "{letters}");
    assert_eq!(status.counters.dead_lettered, letters, "each that was given up is there");
}
