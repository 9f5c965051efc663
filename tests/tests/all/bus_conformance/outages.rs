//! What only a server can do: go away, come back, lose a stream, hold other people's consumers.

use std::collections::BTreeSet;

use async_nats::jetstream::{self, consumer};
use wasmill::bus::{BusError, BusEvent, CoreSpec};
use wasmill_tests::nats::Options;

use super::*;

async fn jetstream(server: &NatsServer) -> jetstream::Context {
    jetstream::new(async_nats::connect(server.url()).await.unwrap())
}

/// Publishes under an id until the stream says that it has it, as the engine does.
async fn publish_until_stored(bus: &NatsBus, id: &str) {
    loop {
        match soon(bus.publish(with_id("in.a", id))).await {
            Ok(_) => return,
            Err(error) => assert!(error.is_transient(), "{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_costs_no_event_and_repeats_no_publish() {
    let (mut server, bus) = on_server().await;
    with_stream(&*bus).await;
    let mut intake = soon(bus.consume(&DurableSpec { prefetch: 16, ..durable() })).await.unwrap();
    let mut events = bus.events();

    let publisher = tokio::spawn({
        let bus = Arc::clone(&bus);
        async move {
            let ids: Vec<String> = (0..2_000).map(|number| number.to_string()).collect();
            for some in ids.chunks(100) {
                futures::future::join_all(some.iter().map(|id| publish_until_stored(&bus, id))).await;
            }
        }
    });
    let mut seen = BTreeSet::new();
    for round in 0..2 {
        while seen.len() < 300 * (round + 1) {
            let delivery = next(&mut intake).await;
            settle(&*bus, &delivery, Settlement::Ack).await;
            seen.insert(text(&delivery));
        }
        tokio::task::block_in_place(|| server.restart()).unwrap();
    }
    while seen.len() < 2_000 {
        let delivery = next(&mut intake).await;
        settle(&*bus, &delivery, Settlement::Ack).await;
        seen.insert(text(&delivery));
    }
    soon(publisher).await.unwrap();
    // Each id is in the stream once, whatever was published again.
    assert_eq!(soon(bus.stream("S")).await.unwrap().messages, 2_000);
    let mut heard = Vec::new();
    while let Ok(event) = events.try_recv() {
        heard.push(event);
    }
    assert!(heard.contains(&BusEvent::Disconnected) && heard.contains(&BusEvent::Connected), "{heard:?}");
}

#[tokio::test]
async fn what_is_in_flight_when_the_server_dies_fails_as_transient() {
    let (mut server, bus) = on_server().await;
    with_stream(&*bus).await;
    server.kill().unwrap();
    let mut events = bus.events();
    while bus.is_connected() {
        let _ = soon(events.recv()).await;
    }
    let impatient = NatsSettings {
        retry_on_initial_connect: true,
        request_timeout_ms: 100,
        ..NatsSettings::for_url(server.url())
    };
    let waiting = soon(NatsBus::connect(impatient)).await.unwrap();
    assert!(!waiting.is_connected());
    let error = soon(waiting.publish(message("in.a", "x"))).await.unwrap_err();
    assert!(matches!(error, BusError::Disconnected { .. }) && error.is_transient(), "{error}");
    let Err(error) = soon(waiting.consume(&durable())).await else { panic!("there is no server") };
    assert!(error.is_transient(), "{error}");

    let mut events = waiting.events();
    server.restart().unwrap();
    while !waiting.is_connected() {
        let _ = soon(events.recv()).await;
    }
    publish(&*waiting, "in.a", ["x"]).await;
    let mut core =
        soon(bus.subscribe(&CoreSpec { subject: pattern("c"), queue_group: None, buffer: 1 })).await.unwrap();
    soon(waiting.publish_core(message("c", "y"))).await.unwrap();
    assert_eq!(text(&next(&mut core).await), "y");
}

#[tokio::test]
async fn a_subscription_survives_the_server() {
    let (mut server, bus) = on_server().await;
    let spec = CoreSpec { subject: pattern("c"), queue_group: Some("g".into()), buffer: 10 };
    let mut intake = soon(bus.subscribe(&spec)).await.unwrap();
    let mut events = bus.events();
    server.restart().unwrap();
    while soon(events.recv()).await.unwrap() != BusEvent::Connected {}
    soon(bus.flush()).await.unwrap();
    soon(bus.publish_core(message("c", "x"))).await.unwrap();
    assert_eq!(text(&next(&mut intake).await), "x");
}

#[tokio::test]
async fn a_publish_that_nobody_answers_times_out() {
    let server = NatsServer::start().unwrap();
    let settings = NatsSettings { publish_ack_timeout_ms: 200, ..NatsSettings::for_url(server.url()) };
    let bus = soon(NatsBus::connect(settings)).await.unwrap();
    // Somebody listens, so that the server does not say that nobody does.
    let _listener =
        soon(bus.subscribe(&CoreSpec { subject: pattern("out"), queue_group: None, buffer: 10 })).await;
    let error = soon(bus.publish(message("out", "x"))).await.unwrap_err();
    assert!(matches!(error, BusError::TimedOut { .. }), "{error}");
}

#[tokio::test]
async fn an_answer_that_is_not_a_streams_is_refused() {
    let (server, bus) = on_server().await;
    let other = async_nats::connect(server.url()).await.unwrap();
    let mut requests = other.subscribe("out").await.unwrap();
    other.flush().await.unwrap();
    // A request that is answered proves that the server has the subscription.
    soon(bus.flush()).await.unwrap();
    let responder = async {
        let request = futures::StreamExt::next(&mut requests).await.unwrap();
        other.publish(request.reply.unwrap(), "+OK".into()).await.unwrap();
    };
    let (published, ()) = tokio::join!(soon(bus.publish(message("out", "x"))), soon(responder));
    let error = published.unwrap_err();
    assert!(matches!(error, BusError::Refused { .. }), "{error}");
}

#[tokio::test]
async fn a_deleted_consumer_is_made_again() {
    let (server, bus) = on_server().await;
    with_stream(&*bus).await;
    let spec = DurableSpec { start: Start::New, ..durable() };
    let mut intake = soon(bus.consume(&spec)).await.unwrap();
    publish(&*bus, "in.a", ["1"]).await;
    assert_eq!(take(&*bus, &mut intake, 1).await, ["1"]);
    soon(bus.flush()).await.unwrap();
    let jetstream = jetstream(&server).await;
    jetstream.delete_consumer_from_stream("d", "S").await.unwrap();
    // What comes before it is there again is not missed, although it starts with what is new.
    publish(&*bus, "in.a", ["2"]).await;
    assert_eq!(take(&*bus, &mut intake, 1).await, ["2"]);
}

#[tokio::test]
async fn a_stream_made_anew_is_told_from_the_old_one() {
    let (server, bus) = on_server().await;
    with_stream(&*bus).await;
    let mut intake = soon(bus.consume(&durable())).await.unwrap();
    publish(&*bus, "in.a", ["1"]).await;
    let old = next(&mut intake).await.position.unwrap();
    let jetstream = jetstream(&server).await;
    jetstream.delete_stream("S").await.unwrap();
    with_stream(&*bus).await;
    publish(&*bus, "in.a", ["2"]).await;
    let new = next(&mut intake).await.position.unwrap();
    assert_eq!((old.sequence, new.sequence), (1, 1));
    assert!(new.incarnation_ms > old.incarnation_ms, "{old:?} {new:?}");
}

#[tokio::test]
async fn consumers_that_cannot_serve_are_refused_with_the_difference() {
    let (server, bus) = on_server().await;
    with_stream(&*bus).await;
    let stream = jetstream(&server).await.get_stream("S").await.unwrap();
    let pull = consumer::pull::Config { durable_name: Some("d".into()), ..Default::default() };
    let push = consumer::push::Config {
        durable_name: Some("d".into()),
        deliver_subject: "somewhere".into(),
        ..Default::default()
    };
    let configs: [(consumer::Config, &str); 2] = [
        (consumer::IntoConsumerConfig::into_consumer_config(push), "push"),
        (with_acks(pull.clone(), consumer::AckPolicy::None), "ack policy"),
    ];
    for (config, wanted) in configs {
        stream.create_consumer(config).await.unwrap();
        let Err(error) = soon(bus.consume(&durable())).await else { panic!("{wanted}: it cannot serve") };
        let named =
            matches!(&error, BusError::ConsumerConflict { difference, .. } if difference.contains(wanted));
        assert!(named, "{error}");
        stream.delete_consumer("d").await.unwrap();
    }
    // What can be changed is, and what the operator added is kept.
    let limited =
        consumer::pull::Config { max_deliver: 2, description: Some("ours".into()), max_batch: 3, ..pull };
    stream.create_consumer(limited).await.unwrap();
    publish(&*bus, "in.a", ["1", "2", "3", "4", "5", "6", "7"]).await;
    let mut intake = soon(bus.consume(&durable())).await.unwrap();
    assert_eq!(take(&*bus, &mut intake, 7).await.len(), 7);
    let config = stream.consumer_info("d").await.unwrap().config;
    assert_eq!((config.max_deliver, config.description.as_deref(), config.max_batch), (-1, Some("ours"), 3));
}

fn with_acks(config: consumer::pull::Config, ack_policy: consumer::AckPolicy) -> consumer::Config {
    let config = consumer::pull::Config { ack_policy, ..config };
    consumer::IntoConsumerConfig::into_consumer_config(config)
}

#[tokio::test]
async fn the_servers_own_limit_is_kept() {
    let server = NatsServer::start_with(Options { config: "max_payload: 2048".into() }).unwrap();
    let bus = connect(&server).await;
    with_stream(&*bus).await;
    assert_eq!(bus.max_message_bytes(), 2_048);
    let error = soon(bus.publish(message("in.a", "x".repeat(2_049)))).await.unwrap_err();
    assert!(matches!(error, BusError::TooLarge { limit: 2_048, .. }), "{error}");
    publish(&*bus, "in.a", [&*"x".repeat(2_048)]).await;
}

#[tokio::test]
async fn a_server_without_jetstream_says_so() {
    let config = "accounts { A { users = [ { user: a, password: a } ] } }, no_auth_user: a";
    let server = NatsServer::start_with(Options { config: config.into() }).unwrap();
    let bus = connect(&server).await;
    let error = soon(bus.stream("S")).await.unwrap_err();
    assert!(matches!(&error, BusError::Refused { .. }), "{error}");
    assert!(error.to_string().to_lowercase().contains("jetstream"), "{error}");
}
