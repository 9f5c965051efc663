//! What may be in the way of a redrive.

use wasmill_tests::nats::{NatsServer, Options};
use wasmill_tests::place::Place;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_broke_off_before_the_mark_is_made_good() {
    let scene = scene().await;
    let running = scene.set_aside(2).await;
    scene.mend(&running).await;
    scene.letters("redrive --all").done();
    running.until("rule", "through with both", |status| status.counters.done == 2).await.unwrap();
    let letters = scene.jetstream.get_stream("WASMILL_DEAD_LETTERS").await.unwrap();
    // The marks, as if the command had been killed before it made them.
    letters.purge().filter("wasmill.dead-letter.*.done.>").await.unwrap();
    assert_eq!(scene.listed("--open").len(), 2);
    // Within its window the stream would take the marks that are made now for those that were.
    let config = letters.get_info().await.unwrap().config;
    let brief = async_nats::jetstream::stream::Config {
        duplicate_window: std::time::Duration::from_millis(100),
        ..config
    };
    scene.jetstream.update_stream(brief).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    scene.letters("redrive 1 2").said(1, "its redrive 1 is on its way already");
    assert_eq!(scene.listed("--open").len(), 0, "it is marked now");
    assert_eq!(streams::count(&scene.jetstream, "ALERTS").await.unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_redrive_is_set_aside() {
    let scene = scene().await;
    scene.place.put("rule", &amount_threshold(), LARGE_AMOUNT).unwrap();
    let running = scene.start().await;
    running.running("rule", None).await.unwrap();
    while scene.jetstream.get_stream("WASMILL_REDRIVES").await.is_err() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    streams::publish(&scene.jetstream, "wasmill.redrive.rule", [payment(1, 500.0)]).await.unwrap();
    running.until("rule", "setting it aside", dead(1)).await.unwrap();
    let letter = scene.listed("").remove(0);
    assert_eq!(
        (&letter["reason"], &letter["subject"]),
        (&"malformed".into(), &"wasmill.redrive.rule".into())
    );
    assert!(letter["detail"].as_str().unwrap().contains("stands among the redrives and is none"), "{letter}");
    scene.redriven().await;
    assert_eq!(streams::count(&scene.jetstream, "ALERTS").await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_may_not_read_redrives_works_all_the_same() {
    let config = "accounts: { A: { jetstream: enabled, users: [\n\
        { user: op, password: op }\n\
        { user: engine, password: engine, permissions: { publish: { deny: [\n\
            \"$JS.API.STREAM.CREATE.WASMILL_REDRIVES\", \"$JS.API.STREAM.INFO.WASMILL_REDRIVES\" ] } } }\n\
        ] } }\n"
        .to_owned();
    let server = NatsServer::start_with(Options { config }).unwrap();
    let operator = async_nats::ConnectOptions::with_user_and_password("op".into(), "op".into());
    let jetstream = async_nats::jetstream::new(operator.connect(server.url()).await.unwrap());
    streams::create(&jetstream, "PAYMENTS", "payments.>").await.unwrap();
    streams::create(&jetstream, "ALERTS", "alerts.>").await.unwrap();
    let place = Place::new().unwrap();
    place.put("rule", &amount_threshold(), LARGE_AMOUNT).unwrap();
    streams::publish(&jetstream, "payments.card", [payment(1, 500.0)]).await.unwrap();
    let settings = wasmill::bus::nats::NatsSettings {
        url: Some(server.url()),
        user: Some("engine".into()),
        password: Some(wasmill::bus::nats::Secret::new("engine")),
        request_timeout_ms: 500,
        ..Default::default()
    };
    let bus = wasmill::bus::nats::NatsBus::connect(settings).await.unwrap();
    let running = place.start(bus).await.unwrap();
    let status = running.ended("rule", 1).await.unwrap();
    assert_eq!((status.counters.done, status.state.as_str()), (1, "running"));
    let warned = |status: &PluginStatus| {
        status.warnings.iter().any(|warning| warning.contains("redriven dead letters do not come in"))
    };
    running.until("rule", "warning", warned).await.unwrap();
    assert_eq!(running.engine.unready(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_ever_failed_there_is_nothing_to_do() {
    let scene = scene().await;
    for line in ["ls", "ls --group", "ls --plugin rule"] {
        let listed = scene.letters(line).done();
        assert_eq!((listed.stdout.as_str(), listed.stderr.as_str()), ("", "no dead letters\n"), "{line}");
    }
    assert_eq!(scene.letters("ls -o json").done().stdout, "");
    for line in ["ls 1", "show 1", "edit 1 --header a=b", "redrive --all", "purge --all --yes"] {
        scene
            .letters(line)
            .failed(1, "there are no dead letters: stream WASMILL_DEAD_LETTERS does not exist");
    }
}
