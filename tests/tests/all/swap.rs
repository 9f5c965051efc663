//! Hot swaps while events flow: nothing lost, nothing repeated, every output stamped with the version that made it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use wasmill::digest::Digest;
use wasmill_tests::guests::renamed;
use wasmill_tests::place::{Place, Running};
use wasmill_tests::streams;

use crate::delivery::{Scene, amount_threshold, bus, misbehaving, payment, scene};

const SWAPS: usize = 200;
/// A pause between batches keeps the flow at about 4,000 a second, so that the other tests get their share of the machine.
const BATCH: usize = 40;
const PAUSE: Duration = Duration::from_millis(10);

const MANIFEST: &str = r#"
[[subscribe]]
stream = "PAYMENTS"
subjects = ["payments.card"]
[emit]
subjects = ["alerts.>"]
[config]
threshold = 0
output = "alerts.card.any"
"#;

/// Files that must never replace a good version, each with what the refusal says of it.
fn bad_files(good: &[u8]) -> [(&'static str, Vec<u8>, &'static str); 5] {
    let mut flipped = good.to_vec();
    flipped[8] ^= 0x40;
    let wrong_world = wat::parse_str("(component (import \"acme:db/query\" (instance)))").unwrap();
    [
        ("truncated", good[..good.len() / 2].to_vec(), "ends too early"),
        ("empty", Vec::new(), "the file is empty"),
        ("of the wrong world", wrong_world, "handler@0.1.0 is missing"),
        ("with a flipped bit", flipped, "invalid"),
        ("no WebAssembly", b"#!/bin/sh\n".to_vec(), "no WebAssembly"),
    ]
}

async fn swap_on(place: &Place, running: &Running, versions: &[Vec<u8>; 2]) {
    for number in 1..=SWAPS {
        let next = &versions[number % 2];
        if number % 20 == 0 {
            let serving = running.engine.status()[0].running.clone();
            let (what, bytes, wanted) = &bad_files(next)[number / 20 % 5];
            place.put_settled("rule.wasm", bytes).unwrap();
            let refused = |status: &wasmill::status::PluginStatus| {
                status.problem.as_ref().is_some_and(|problem| problem.contains(wanted))
            };
            let status = running.until("rule", &format!("refusing a file {what}"), refused).await.unwrap();
            assert_eq!(status.running, serving, "a file {what} changed what serves");
        }
        place.put_settled("rule.wasm", next).unwrap();
        let status = running.running("rule", Some(next)).await.unwrap();
        assert_eq!(status.problem, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_swaps_lose_nothing_and_repeat_nothing() {
    let Scene { server, jetstream, place } = scene().await;
    let versions =
        [amount_threshold(), renamed(&amount_threshold(), "amount-threshold", "amount-thr3sh0ld").unwrap()];
    place.put("rule", &versions[0], MANIFEST).unwrap();
    let running = place.start(bus(&server).await).await.unwrap();
    running.running("rule", Some(&versions[0])).await.unwrap();

    let (published, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let publisher = {
        let (jetstream, published, over) = (jetstream.clone(), Arc::clone(&published), Arc::clone(&over));
        tokio::spawn(async move {
            while !over.load(Ordering::Relaxed) {
                let from = published.load(Ordering::Relaxed);
                let batch = (from..from + BATCH).map(|id| payment(id, 1.0));
                streams::publish(&jetstream, "payments.card", batch).await.unwrap();
                published.fetch_add(BATCH, Ordering::Relaxed);
                tokio::time::sleep(PAUSE).await;
            }
        })
    };
    swap_on(&place, &running, &versions).await;
    over.store(true, Ordering::Relaxed);
    publisher.await.unwrap();
    streams::drained(&jetstream, "PAYMENTS", "wasmill-rule").await.unwrap();

    let names = [("amount-threshold", &versions[0]), ("amount-thr3sh0ld", &versions[1])];
    let digests: BTreeMap<_, _> = names.map(|(name, bytes)| (name, Digest::of(bytes).to_string())).into();
    let mut made = BTreeMap::new();
    let mut outputs = vec![0_u32; published.load(Ordering::Relaxed)];
    for alert in streams::read(&jetstream, "ALERTS").await.unwrap() {
        let data: Value = serde_json::from_slice(&alert.payload).unwrap();
        let name = data["plugin"].as_str().unwrap();
        assert_eq!(
            alert.header("Wasmill-Digest").unwrap(),
            digests[name],
            "stamped with another version's digest"
        );
        *made.entry(name.to_owned()).or_insert(0) += 1;
        outputs[data["event"]["tx_id"].as_u64().unwrap() as usize] += 1;
    }
    let lost = outputs.iter().filter(|count| **count == 0).count();
    let repeated = outputs.iter().filter(|count| **count > 1).count();
    assert_eq!((lost, repeated), (0, 0), "of {}", outputs.len());
    assert_eq!(made.len(), 2, "both versions took part: {made:?}");
    let status = &running.engine.status()[0];
    assert_eq!((status.counters.retried, status.counters.dead_lettered), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_event_finishes_on_the_version_that_took_it() {
    let Scene { server, jetstream, place } = scene().await;
    let spin = "[[subscribe]]\nstream = \"PAYMENTS\"\nsubjects = [\"payments.card\"]\n[retry]\nattempts = 1\n\
                [limits]\ncpu_ms = 3000\nwall_ms = 600000\n[config]\nmode = \"endless-loop\"\n";
    place.put("rule", &misbehaving(), spin).unwrap();
    let running = place.start(bus(&server).await).await.unwrap();
    running.running("rule", None).await.unwrap();
    streams::publish(&jetstream, "payments.card", [payment(0, 1.0)]).await.unwrap();
    running.until("rule", "at work", |status| status.counters.in_flight == 1).await.unwrap();

    place.put("rule", &amount_threshold(), MANIFEST).unwrap();
    let status = running.running("rule", Some(&amount_threshold())).await.unwrap();
    assert_eq!(status.counters.in_flight, 1, "the new version serves while the old one still works");
    let status = running.ended("rule", 1).await.unwrap();
    assert_eq!(status.counters.dead_lettered, 1);
    let letters = streams::read(&jetstream, "WASMILL_DEAD_LETTERS").await.unwrap();
    assert_eq!(letters[0].header("Wasmill-Digest").unwrap(), Digest::of(&misbehaving()).to_string());
    assert_eq!(letters[0].header("Wasmill-Reason").unwrap(), "cpu-limit");
}
