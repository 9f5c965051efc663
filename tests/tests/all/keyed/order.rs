//! The order of each key's events, whatever becomes of them, and that others go on meanwhile.

use bytes::Bytes;
use serde_json::json;
use wasmill_tests::checker::ledger::scene::bucket;
use wasmill_tests::streams;

use super::account::{Ledger, entries, failing, stop};
use super::{MANIFEST, scene};

#[tokio::test(flavor = "multi_thread")]
async fn retries_and_dead_letters_keep_the_order_of_their_key() {
    let mut ledger = Ledger::new("");
    ledger.publish(&failing(0, 400, 7));
    let place = ledger.place();
    let running = ledger.start(&place).await;
    ledger.publish(&failing(400, 400, 7));
    ledger.done();
    stop(&running.engine).await;
    let findings = ledger.audit();
    assert_eq!((findings.events, findings.letters), (800, 50));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_key_of_a_failed_event_waits() {
    let scene = scene().await;
    // The next try comes in an hour.
    let patient = MANIFEST.replace("first_delay_ms = 10", "first_delay_ms = 3600000\nmax_delay_ms = 3600000");
    scene.place.put_manifest("ledger", &patient).unwrap();
    scene.order("slow", json!([["trap"]])).await;
    for round in 0..20 {
        for key in ["slow", "a", "b"] {
            scene
                .order(key, json!([["add", 1], ["get", "count"], ["set", "round", round.to_string()]]))
                .await;
        }
    }
    let running = scene.start().await;
    running.until("ledger", "through with the others", |status| status.counters.outputs == 40).await.unwrap();
    let said = scene.said().await;
    assert_eq!(said.keys().collect::<Vec<_>>(), ["a", "b"]);
    stop(&running.engine).await;

    // A new owner tries at once; now the event may fail for good.
    scene.place.put_manifest("ledger", &MANIFEST.replace("attempts = 3", "attempts = 1")).unwrap();
    let running = scene.start().await;
    running.until("ledger", "through with all", |status| status.counters.outputs == 20).await.unwrap();
    assert_eq!(scene.said().await["slow"].len(), 20);
    let letters = streams::read(&scene.jetstream, "WASMILL_DEAD_LETTERS").await.unwrap();
    assert_eq!(
        letters.iter().map(|letter| letter.header("Wasmill-Reason").unwrap()).collect::<Vec<_>>(),
        ["trap"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queued_events_of_a_hot_key_are_committed_together() {
    let mut ledger = Ledger::new("");
    ledger.publish(&entries(0, 5_000, 1));
    let place = ledger.place();
    let running = ledger.start(&place).await;
    ledger.done();
    stop(&running.engine).await;
    ledger.audit();
    let jetstream = streams::connect(&ledger.server.url()).await.unwrap();
    let writes =
        jetstream.get_stream(format!("KV_{}", bucket())).await.unwrap().cached_info().state.last_sequence;
    // The take-over and its renewals are among them.
    assert!(writes < 2_500, "{writes} writes for 5,000 events");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_without_a_key_is_a_dead_letter_once() {
    let scene = scene().await;
    scene
        .place
        .put_manifest("ledger", &MANIFEST.replace("{ token = 2 }", "{ header = \"Customer\" }"))
        .unwrap();
    for customer in ["ann", "", "ann"] {
        let mut headers = async_nats::HeaderMap::new();
        if !customer.is_empty() {
            headers.insert("Customer", customer);
        }
        let payload = Bytes::from_static(b"[[\"add\", 1], [\"get\", \"count\"]]");
        scene
            .jetstream
            .publish_with_headers("in.x".to_owned(), headers, payload)
            .await
            .unwrap()
            .await
            .unwrap();
    }
    for _ in 0..2 {
        let running = scene.start().await;
        running.until("ledger", "owned", |status| status.partitions == ["0: owned"]).await.unwrap();
        while streams::count(&scene.jetstream, "OUT").await.unwrap() < 2
            || streams::count(&scene.jetstream, "WASMILL_DEAD_LETTERS").await.unwrap() < 1
        {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        stop(&running.engine).await;
    }
    let letters = streams::read(&scene.jetstream, "WASMILL_DEAD_LETTERS").await.unwrap();
    let told: Vec<_> = letters
        .iter()
        .map(|letter| (letter.header("Wasmill-Reason").unwrap(), letter.header("Wasmill-Position").unwrap()))
        .collect();
    assert_eq!(told, [("bad-key", "IN:2")]);
    assert_eq!(scene.said().await["ann"], [json!(["ok", "1"]), json!(["ok", "2"])]);
}
