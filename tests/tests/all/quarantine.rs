//! Poison, plugins that always fail, and what keeps them from harming anybody else.

use bytes::Bytes;
use serde_json::json;
use wasmill::status::{PluginState, PluginStatus};
use wasmill_tests::streams;

use crate::delivery::{LARGE_AMOUNT, Scene, amount_threshold, balance, misbehaving, payment, scene};

const EVENTS: usize = 10_000;
const POISON_EVERY: usize = 1_000;

/// One event in a thousand is none that the rule can read.
fn with_poison(id: usize) -> Bytes {
    if id % POISON_EVERY == 7 { Bytes::from_static(b"{\"amount\": ") } else { payment(id, 500.0) }
}

fn quarantined(status: &PluginStatus) -> bool {
    status.state == PluginState::Quarantined
}

async fn letters_of(scene: &Scene, plugin: &str) -> Vec<String> {
    let letters = streams::read(&scene.jetstream, "WASMILL_DEAD_LETTERS").await.unwrap();
    let of = |letter: &&streams::Stored| letter.header("Wasmill-Plugin").unwrap() == plugin;
    letters.iter().filter(of).map(|letter| letter.header("Wasmill-Reason").unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_is_set_aside_and_a_plugin_that_always_loops_is_quarantined() {
    let scene = scene().await;
    let looping = "[[subscribe]]\nstream = \"PAYMENTS\"\nsubjects = [\"payments.card\"]\n\
                   [limits]\ncpu_ms = 20\n[config]\nmode = \"endless-loop\"\n";
    scene.place.put("honest", &amount_threshold(), LARGE_AMOUNT).unwrap();
    scene.place.put("looping", &misbehaving(), looping).unwrap();
    streams::publish(&scene.jetstream, "payments.card", (0..EVENTS).map(with_poison)).await.unwrap();
    let running = scene.start().await;
    let status = running.until("looping", "quarantined", quarantined).await.unwrap();
    let why = status.quarantine.unwrap().reason;
    assert!(why.contains("events failed, last with cpu-limit"), "{why}");
    assert!(running.engine.quarantined()[0].contains("plugin looping is quarantined: "));
    assert!(running.engine.unready().is_empty(), "the engine is ready for the others' work");
    running.ended("honest", EVENTS as u64).await.unwrap();
    streams::drained(&scene.jetstream, "PAYMENTS", "wasmill-honest").await.unwrap();
    let poisonous = EVENTS / POISON_EVERY;
    assert_eq!(letters_of(&scene, "honest").await, vec!["rejected"; poisonous]);
    assert_eq!(streams::count(&scene.jetstream, "ALERTS").await.unwrap(), (EVENTS - poisonous) as u64);
    assert_eq!(letters_of(&scene, "looping").await, Vec::<String>::new(), "its events wait");
    balance(&running, "honest");

    // The fix: all that waited is handled.
    let fixed = LARGE_AMOUNT.replace("alerts.card.large-amount", "alerts.fixed");
    scene.place.put("looping", &amount_threshold(), &fixed).unwrap();
    running.running("looping", Some(&amount_threshold())).await.unwrap();
    streams::drained(&scene.jetstream, "PAYMENTS", "wasmill-looping").await.unwrap();
    assert_eq!(streams::count(&scene.jetstream, "ALERTS").await.unwrap(), 2 * (EVENTS - poisonous) as u64);
    assert_eq!(letters_of(&scene, "looping").await, vec!["rejected"; poisonous]);
    balance(&running, "looping");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quarantine_ends_by_itself_when_events_do_well_again() {
    let scene = scene().await;
    let manifest = format!(
        "{LARGE_AMOUNT}[limits]\noutput_bytes = 2000\n\
         [breaker]\nfailures = 20\npause_ms = 50\nmax_pause_ms = 100\n"
    );
    let too_large =
        |id: usize| Bytes::from(json!({ "tx_id": id, "amount": 500, "note": "x".repeat(3_000) }).to_string());
    scene.place.put("large-amount", &amount_threshold(), &manifest).unwrap();
    streams::publish(&scene.jetstream, "payments.card", (0..30).map(too_large)).await.unwrap();
    let running = scene.start().await;
    running.until("large-amount", "quarantined", quarantined).await.unwrap();
    streams::publish(&scene.jetstream, "payments.card", (30..1_030).map(|id| payment(id, 500.0)))
        .await
        .unwrap();
    running.running("large-amount", None).await.unwrap();
    streams::drained(&scene.jetstream, "PAYMENTS", "wasmill-large-amount").await.unwrap();
    assert_eq!(streams::count(&scene.jetstream, "ALERTS").await.unwrap(), 1_000);
    assert_eq!(letters_of(&scene, "large-amount").await, vec!["output-size-limit"; 30]);
    balance(&running, "large-amount");
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_alone_does_not_keep_a_plugin_in_quarantine() {
    let scene = scene().await;
    let manifest = LARGE_AMOUNT.replace("payments.card", "payments.>")
        + "[breaker]\nfailures = 3\npause_ms = 10\nmax_pause_ms = 20\n";
    let manifest = manifest.replace("output = \"alerts.card.large-amount\"", "output = \"elsewhere\"");
    scene.place.put("large-amount", &amount_threshold(), &manifest).unwrap();
    streams::publish(&scene.jetstream, "payments.card", (0..4).map(|id| payment(id, 500.0))).await.unwrap();
    let running = scene.start().await;
    running.until("large-amount", "quarantined", quarantined).await.unwrap();
    let all = |status: &PluginStatus| status.counters.dead_lettered == 4;
    running.until("large-amount", "setting all aside", all).await.unwrap();
    assert_eq!(letters_of(&scene, "large-amount").await, vec!["not-granted"; 4]);
    balance(&running, "large-amount");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_reason_has_its_own_policy() {
    let scene = scene().await;
    let manifest = |mode: &str| {
        format!(
            "[[subscribe]]\nstream = \"PAYMENTS\"\nsubjects = [\"payments.card\"]\n\
             [retry]\nattempts = 4\ndelays_ms = [1, 2]\n[retry.reasons.trap]\nattempts = 2\n\
             [retry.reasons.cpu-limit]\nattempts = 3\n[limits]\ncpu_ms = 20\n\
             [config]\nmode = \"{mode}\"\nreason = \"because\"\n"
        )
    };
    streams::publish(&scene.jetstream, "payments.card", [payment(1, 1.0)]).await.unwrap();
    for mode in ["panic", "retry", "reject", "echo", "endless-loop"] {
        scene.place.put(mode, &misbehaving(), &manifest(mode)).unwrap();
    }
    let running = scene.start().await;
    for (mode, attempts, reason) in [
        ("panic", 2, "trap"),
        ("retry", 4, "retry"),
        ("reject", 1, "rejected"),
        ("echo", 1, "not-granted"),
        ("endless-loop", 3, "cpu-limit"),
    ] {
        let set_aside = |status: &PluginStatus| status.counters.dead_lettered == 1;
        let status = running.until(mode, "setting it aside", set_aside).await.unwrap();
        assert_eq!(
            (status.counters.received, letters_of(&scene, mode).await),
            (attempts, vec![reason.to_owned()])
        );
        let page = running.telemetry.exposition();
        let line = format!(
            "wasmill_events_ended_total{{plugin=\"{mode}\",outcome=\"dead-lettered\",reason=\"{reason}\"}} 1"
        );
        assert!(page.contains(&line), "{line}: {page}");
    }
    let letters = streams::read(&scene.jetstream, "WASMILL_DEAD_LETTERS").await.unwrap();
    let trapped = letters.iter().find(|letter| letter.header("Wasmill-Reason").unwrap() == "trap").unwrap();
    assert!(trapped.header("Wasmill-Backtrace").unwrap().contains("panic"), "{:?}", trapped.headers);
    assert!(trapped.header("Wasmill-Took-Us").unwrap().parse::<u64>().unwrap() > 0);
    assert!(trapped.header("Wasmill-First-Time").unwrap() < trapped.header("Wasmill-Time").unwrap());
    let looped =
        letters.iter().find(|letter| letter.header("Wasmill-Reason").unwrap() == "cpu-limit").unwrap();
    assert!(
        looped.header("Wasmill-Backtrace").unwrap().contains("handler@0.1.0#handle"),
        "{:?}",
        looped.headers
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_counters_agree_with_what_the_server_saw() {
    let scene = scene().await;
    let manifest = "[[subscribe]]\nstream = \"PAYMENTS\"\nsubjects = [\"payments.card\"]\n\
                    [retry]\nattempts = 3\nfirst_delay_ms = 1\n[breaker]\nfailures = 0\n[config]\nmode = \"panic\"\n";
    scene.place.put("broken", &misbehaving(), manifest).unwrap();
    scene.place.put("large-amount", &amount_threshold(), LARGE_AMOUNT).unwrap();
    streams::publish(&scene.jetstream, "payments.card", (990..1_020).map(with_poison)).await.unwrap();
    let running = scene.start().await;
    for (plugin, dead, done) in [("broken", 30, 0), ("large-amount", 1, 29)] {
        let through =
            |status: &PluginStatus| status.counters.dead_lettered == dead && status.counters.done == done;
        let counters = running.until(plugin, "through", through).await.unwrap().counters;
        streams::drained(&scene.jetstream, "PAYMENTS", &format!("wasmill-{plugin}")).await.unwrap();
        let mut consumer: async_nats::jetstream::consumer::PullConsumer =
            scene.jetstream.get_consumer_from_stream(format!("wasmill-{plugin}"), "PAYMENTS").await.unwrap();
        let delivered = consumer.info().await.unwrap().delivered.consumer_sequence;
        assert_eq!(counters.received, delivered, "every delivery is counted, and nothing else");
        assert_eq!(counters.retried, delivered - 30, "each that was not an event's last");
        assert_eq!(letters_of(&scene, plugin).await.len() as u64, counters.dead_lettered);
        balance(&running, plugin);
    }
    assert_eq!(streams::count(&scene.jetstream, "ALERTS").await.unwrap(), 29);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_strict_a_stream_that_forgets_ids_too_soon_keeps_the_plugin_out() {
    let scene = scene().await;
    scene.jetstream.delete_stream("ALERTS").await.unwrap();
    let config = |seconds| async_nats::jetstream::stream::Config {
        name: "ALERTS".into(),
        subjects: vec!["alerts.>".into()],
        duplicate_window: std::time::Duration::from_secs(seconds),
        ..Default::default()
    };
    scene.jetstream.create_stream(config(3)).await.unwrap();
    scene.place.put("large-amount", &amount_threshold(), LARGE_AMOUNT).unwrap();
    let running = scene.place.start_strict(crate::delivery::bus(&scene.server).await).await.unwrap();
    let refused = |status: &PluginStatus| status.state == PluginState::Refused;
    let status = running.until("large-amount", "refused", refused).await.unwrap();
    let problem = status.problem.unwrap();
    assert!(problem.contains("stream ALERTS remembers message ids for 3 s"), "{problem}");
    assert!(problem.contains("delivery.strict"), "{problem}");
    scene.jetstream.update_stream(config(120)).await.unwrap();
    running.running("large-amount", None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_leave_no_faster_than_their_rate() {
    let scene = scene().await;
    let manifest = format!("{LARGE_AMOUNT}[limits]\noutputs_per_second = 100\n");
    scene.place.put("large-amount", &amount_threshold(), &manifest).unwrap();
    streams::publish(&scene.jetstream, "payments.card", (0..300).map(|id| payment(id, 500.0))).await.unwrap();
    let started = std::time::Instant::now();
    let running = scene.start().await;
    running.ended("large-amount", 300).await.unwrap();
    assert!(started.elapsed().as_millis() >= 1_900, "a second's worth at once, the rest at its rate");
    assert_eq!(streams::count(&scene.jetstream, "ALERTS").await.unwrap(), 300);
    assert_eq!(running.engine.status()[0].counters.retried, 0, "waiting is no failure");
}
