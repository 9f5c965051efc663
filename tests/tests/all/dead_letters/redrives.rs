//! Letters go back to a plugin: to one, once, as they were.

use std::collections::BTreeSet;
use std::time::Duration;

use super::*;
use wasmill_tests::place::Place;

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_is_handled_by_the_mended_plugin_and_nobody_else() {
    let scene = scene().await;
    let audit = mode("echo");
    scene.place.put("audit", &misbehaving(), &audit).unwrap();
    let running = scene.set_aside(10).await;
    running.ended("audit", 10).await.unwrap();
    scene.mend(&running).await;
    let echoes = streams::count(&scene.jetstream, "ALERTS").await.unwrap();
    assert_eq!(echoes, 10);

    let sent = scene.letters("redrive --plugin rule").done();
    assert!(sent.stderr.contains("10 letters sent to the plugin that failed"), "{}", sent.stderr);
    assert_eq!(sent.stdout, "", "the summary is talk");
    running.until("rule", "through with all", |status| status.counters.done == 10).await.unwrap();
    scene.redriven().await;
    let alerts: Vec<_> = scene.stored("ALERTS").await.into_iter().skip(10).collect();
    let ids: BTreeSet<_> = alerts.iter().map(|alert| alert.header("Nats-Msg-Id").unwrap()).collect();
    assert_eq!((alerts.len(), ids.len()), (10, 10));
    for alert in &alerts {
        assert!(alert.header("Nats-Msg-Id").unwrap().ends_with(":r1:0"), "{:?}", alert.headers);
        assert!(alert.header("Wasmill-Cause").unwrap().starts_with("PAYMENTS:"), "{:?}", alert.headers);
        assert_eq!(alert.header("Wasmill-Hops").unwrap(), "1");
    }
    assert_eq!(running.ended("audit", 10).await.unwrap().counters.received, 10, "it is nobody else's");
    assert_eq!(streams::count(&scene.jetstream, "PAYMENTS").await.unwrap(), 10);
    assert_eq!(scene.listed("--done").len(), 10);
    assert_eq!(scene.listed("--open").len(), 0);

    let again = scene.letters("redrive --plugin rule");
    again.said(1, "0 letters sent");
    again.said(1, "letter 1: it was redriven already");
    again.said(1, "hint: --force sends it again");
    scene.letters("redrive --plugin rule --open").said(0, "no dead letters");
    assert_eq!(streams::count(&scene.jetstream, "ALERTS").await.unwrap(), 20);
    scene.letters("redrive --plugin rule --force").said(0, "10 letters sent");
    running.until("rule", "through once more", |status| status.counters.done == 20).await.unwrap();
    assert_eq!(streams::count(&scene.jetstream, "ALERTS").await.unwrap(), 30);
    assert_eq!(scene.listed("--seq 3")[0]["redrives"], 2);
    scene.letters("redrive 3").said(1, "redriven already, 2 times");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_plugin_can_have_it() {
    let scene = scene().await;
    let running = scene.set_aside(2).await;
    let elsewhere = LARGE_AMOUNT.replace("payments.card", "payments.none");
    scene.place.put("other", &amount_threshold(), &elsewhere).unwrap();
    running.running("other", None).await.unwrap();
    scene.letters("redrive 2 --to otehr").failed(1, "no engine has run plugin otehr");
    scene.letters("redrive 2 --to other").said(0, "1 letter sent to plugin other");
    running.until("other", "through with it", |status| status.counters.done == 1).await.unwrap();
    let alerts = scene.stored("ALERTS").await;
    assert_eq!(alerts[0].header("Wasmill-Plugin").unwrap(), "other");
    let letters = scene.listed("");
    assert_eq!(alerts[0].header("Wasmill-Cause").unwrap(), letters[1]["position"]);
    let status = running.ended("rule", 2).await.unwrap();
    assert_eq!(status.counters.received, 2);
    assert_eq!((&letters[0]["state"], &letters[1]["state"]), (&"open".into(), &"redriven".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_again_is_a_letter_of_its_own() {
    let scene = scene().await;
    let running = scene.set_aside(1).await;
    let mut before = scene.listed("").remove(0);
    for failures in [2, 3] {
        let number = before["sequence"].as_u64().unwrap();
        scene.letters(&format!("redrive {number}")).done();
        running.until("rule", "setting it aside again", dead(failures)).await.unwrap();
        let letter = scene.listed("--open").remove(0);
        assert_eq!((&letter["redriven_from"], &letter["redrive"]), (&number.into(), &1.into()));
        let input = format!("{}:r1", before["input"].as_str().unwrap());
        assert_eq!((&letter["input"], &letter["position"]), (&input.into(), &"PAYMENTS:1".into()));
        assert_eq!((&letter["subject"], &letter["state"]), (&"payments.card".into(), &"open".into()));
        before = letter;
    }
    assert_eq!((scene.listed("").len(), scene.listed("--done").len()), (3, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_event_is_as_it_was() {
    let scene = scene().await;
    scene.place.put("rule", &misbehaving(), &mode("panic")).unwrap();
    let mut headers = async_nats::HeaderMap::new();
    for (name, value) in [
        ("Nats-Msg-Id", "pay-1"),
        ("Wasmill-Hops", "3"),
        ("Wasmill-Kept-X", "kept"),
        ("X-Own", "ä: 1"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ] {
        headers.insert(name, value);
    }
    let payload = bytes::Bytes::from_static(b"\xff\x00\r\n");
    let sent = scene.jetstream.publish_with_headers("payments.card", headers, payload.clone()).await;
    sent.unwrap().await.unwrap();
    let running = scene.start().await;
    running.until("rule", "setting it aside", dead(1)).await.unwrap();
    let before = scene.letters("show 1 -o json").done().json();
    scene.letters("redrive 1").done();
    running.until("rule", "setting it aside again", dead(2)).await.unwrap();
    let again = numbers(&scene.listed("--open"))[0];
    let after = scene.letters(&format!("show {again} -o json")).done().json();
    for name in ["subject", "position", "headers", "payload", "payload_bytes"] {
        assert_eq!(before[name], after[name], "{name}");
    }
    let own: Vec<_> = before["headers"].as_array().unwrap().iter().map(|pair| pair[0].as_str()).collect();
    let wanted = ["Nats-Msg-Id", "Wasmill-Hops", "Wasmill-Kept-X", "X-Own", "traceparent"].map(Some);
    assert_eq!(own, wanted);
    let mut letters = scene.stored("WASMILL_DEAD_LETTERS").await;
    letters.retain(|letter| letter.subject == "wasmill.dead-letter.rule");
    assert_eq!((&letters[0].payload, &letters[1].payload), (&payload, &payload));
    for name in ["Wasmill-Origin-Id", "Wasmill-Origin-Source", "Wasmill-Origin-Time", "Wasmill-Position"] {
        assert_eq!(letters[0].header(name).unwrap(), letters[1].header(name).unwrap(), "{name}");
    }
    assert_eq!(letters[0].header("Wasmill-Origin-Id").unwrap(), "PAYMENTS:1");
    let id = format!("dead:rule:{}", after["input"].as_str().unwrap());
    assert_eq!(letters[1].header("Nats-Msg-Id").unwrap(), id);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_a_core_subscription_comes_back_too() {
    let scene = scene().await;
    let core =
        |text: String| text.replace("stream = \"PAYMENTS\"\n", "").replace("payments.card", "live.card");
    scene.place.put("rule", &misbehaving(), &core(mode("panic"))).unwrap();
    let running = scene.start().await;
    running.running("rule", None).await.unwrap();
    let client = async_nats::connect(scene.server.url()).await.unwrap();
    client.publish("live.card", payment(1, 500.0)).await.unwrap();
    running.until("rule", "setting it aside", dead(1)).await.unwrap();
    scene.place.put("rule", &amount_threshold(), &core(LARGE_AMOUNT.to_owned())).unwrap();
    running.running("rule", Some(&amount_threshold())).await.unwrap();
    scene.letters("redrive --all").done();
    running.until("rule", "through with it", |status| status.counters.done == 1).await.unwrap();
    let letter = scene.stored("WASMILL_DEAD_LETTERS").await.remove(0);
    let alert = scene.stored("ALERTS").await.remove(0);
    assert_eq!(alert.header("Wasmill-Cause").unwrap(), letter.header("Wasmill-Origin-Id").unwrap());
    assert_eq!(alert.header("ce-time").unwrap(), letter.header("Wasmill-Origin-Time").unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_in_two_parts_comes_back_whole() {
    let config = "max_payload: 65536\n".to_owned();
    let server =
        wasmill_tests::nats::NatsServer::start_with(wasmill_tests::nats::Options { config }).unwrap();
    let jetstream = streams::connect(&server.url()).await.unwrap();
    streams::create(&jetstream, "PAYMENTS", "payments.>").await.unwrap();
    streams::create(&jetstream, "ALERTS", "alerts.>").await.unwrap();
    let scene = Scene { server, jetstream, place: Place::new().unwrap() };
    let large = |bytes: usize| {
        let bytes: Vec<u8> = (0..bytes).map(|at| (at % 251) as u8 | 0x80).collect();
        bytes::Bytes::from(bytes)
    };
    scene.place.put("rule", &misbehaving(), &mode("panic")).unwrap();
    let sizes = [65_536, 65_400, 64_000];
    streams::publish(&scene.jetstream, "payments.card", sizes.map(large)).await.unwrap();
    let running = scene.start().await;
    running.until("rule", "setting them aside", dead(3)).await.unwrap();
    let listed = scene.listed("");
    assert_eq!(listed.len(), 3, "halves are no letters: {listed:?}");
    scene.letters("redrive --plugin rule").said(0, "3 letters sent");
    running.until("rule", "setting them aside again", dead(6)).await.unwrap();
    scene.redriven().await;
    for letter in scene.listed("--open") {
        let number = letter["sequence"].to_string();
        let shown = scene.letters(&format!("show {number} -o json")).done().json();
        let size = shown["payload_bytes"].as_u64().unwrap() as usize;
        assert!(sizes.contains(&size), "{size}");
        let url = scene.server.url();
        let args = ["dl", "show", number.as_str(), "--payload", "--bus-url", url.as_str()];
        let raw = wasmill(&scene.place.plugins(), &args).output().unwrap();
        assert!(raw.stdout == large(size), "{size} bytes came back as {}", raw.stdout.len());
    }
    scene.letters("purge --all --yes").said(0, "6 letters, 3 of them open, removed");
    assert_eq!(
        streams::count(&scene.jetstream, "WASMILL_DEAD_LETTERS").await.unwrap(),
        0,
        "halves and marks"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_engine_loses_and_repeats_no_redrive() {
    const LETTERS: u64 = 3_000;
    let scene = scene().await;
    let broken = LARGE_AMOUNT.replace("field = \"amount\"", "field = \"sum\"");
    scene.place.put("rule", &amount_threshold(), &broken).unwrap();
    let payments = (0..LETTERS as usize).map(|id| payment(id, 500.0));
    streams::publish(&scene.jetstream, "payments.card", payments).await.unwrap();
    let running = scene.start().await;
    running.until("rule", "setting all aside", dead(LETTERS as usize)).await.unwrap();
    assert!(running.engine.stop(Duration::from_secs(30)).await);
    drop(running);

    let mended = LARGE_AMOUNT.replace("ack_wait_ms = 5000", "ack_wait_ms = 1000");
    scene.place.put_manifest("rule", &mended).unwrap();
    scene.letters("redrive --plugin rule").said(0, "3,000 letters sent");
    assert_eq!(streams::count(&scene.jetstream, "WASMILL_REDRIVES").await.unwrap(), LETTERS);
    for kill in 1..=2 {
        let engine = scene.place.spawn(&scene.server.url()).unwrap();
        while streams::count(&scene.jetstream, "ALERTS").await.unwrap() < LETTERS * kill / 4 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        engine.kill().unwrap();
    }
    assert!(streams::count(&scene.jetstream, "ALERTS").await.unwrap() < LETTERS, "killed in the middle");
    let _engine = scene.place.spawn(&scene.server.url()).unwrap();
    scene.redriven().await;
    assert_eq!(streams::count(&scene.jetstream, "ALERTS").await.unwrap(), LETTERS);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_at_once_send_each_letter_once() {
    let scene = scene().await;
    let running = scene.set_aside(200).await;
    scene.mend(&running).await;
    let both = std::thread::scope(|threads| {
        let both = [(); 2].map(|()| threads.spawn(|| scene.letters("redrive --all -o json")));
        both.map(|thread| thread.join().unwrap())
    });
    let sent: u64 = both.iter().map(|ended| ended.json()["sent"].as_u64().unwrap()).sum();
    assert_eq!(sent, 200, "{both:#?}");
    running.until("rule", "through with all", |status| status.counters.done >= 200).await.unwrap();
    scene.redriven().await;
    assert_eq!(streams::count(&scene.jetstream, "ALERTS").await.unwrap(), 200);
    assert_eq!(scene.listed("--open").len(), 0);
}
