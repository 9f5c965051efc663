//! Buckets: made, written in order, read by key, emptied, deleted.

use futures::future::join_all;
use wasmill::bus::{BucketSpec, BusError, Confirmation, OnlyIf, StoredMessage, StreamInfo};

use super::*;

on_every_bus!(
    a_bucket_is_made_once,
    what_is_no_bucket_is_refused,
    a_bucket_keeps_the_last_of_each_key,
    the_last_of_a_stream_is_found_too,
    posts_are_stored_in_order,
    a_post_held_to_a_sequence_is_stored_there_or_not_at_all,
    nothing_passes_a_fence,
    a_repeated_id_is_told,
    posts_that_cannot_be_stored_say_why,
    a_post_on_another_connection_is_not_sent,
    confirmations_need_nobody_to_look_at_them,
    what_is_purged_is_gone,
    a_deleted_stream_is_gone,
);

async fn with_bucket(bus: &dyn Bus) -> StreamInfo {
    soon(bus.ensure_bucket(&BucketSpec { name: "b".into(), replicas: 1 })).await.unwrap()
}

fn record(key: &str, text: &str) -> Message {
    message(&format!("$KV.b.{key}"), text)
}

async fn last(bus: &dyn Bus, stream: &str, subject: &str) -> Option<StoredMessage> {
    soon(bus.last(stream, &Subject::new(subject).unwrap())).await.unwrap()
}

fn text(stored: Option<StoredMessage>) -> Option<(u64, String)> {
    stored.map(|stored| (stored.sequence, String::from_utf8(stored.message.payload.to_vec()).unwrap()))
}

fn pair(sequence: u64, text: &str) -> Option<(u64, String)> {
    Some((sequence, text.to_owned()))
}

async fn a_bucket_is_made_once(bus: AnyBus) {
    let made = with_bucket(&*bus).await;
    assert_eq!((made.name.as_str(), made.subjects.as_slice()), ("KV_b", &[pattern("$KV.b.>")][..]));
    publish(&*bus, "$KV.b.x", ["1"]).await;
    let again = soon(bus.ensure_bucket(&BucketSpec { name: "b".into(), replicas: 3 })).await.unwrap();
    assert_eq!((again.incarnation_ms, again.messages), (made.incarnation_ms, 1));
    for name in ["", "a.b", "a b", "*", "a/b", &"n".repeat(300)] {
        let error =
            soon(bus.ensure_bucket(&BucketSpec { name: name.into(), replicas: 1 })).await.unwrap_err();
        assert!(matches!(error, BusError::Refused { .. }), "{name:?}: {error}");
    }
}

async fn what_is_no_bucket_is_refused(bus: AnyBus) {
    let spec = StreamSpec { name: "KV_b".into(), ..stream() };
    soon(bus.ensure_stream(&spec)).await.unwrap();
    let error = soon(bus.ensure_bucket(&BucketSpec { name: "b".into(), replicas: 1 })).await.unwrap_err();
    assert!(matches!(&error, BusError::Refused { .. }) && error.to_string().contains("KV_b"), "{error}");
}

async fn a_bucket_keeps_the_last_of_each_key(bus: AnyBus) {
    with_bucket(&*bus).await;
    assert_eq!(last(&*bus, "KV_b", "$KV.b.x").await, None);
    for (key, value) in [("x", "1"), ("y", "2"), ("x", "3"), ("x.y", "4"), ("x", "5")] {
        soon(bus.publish(record(key, value))).await.unwrap();
    }
    assert_eq!(text(last(&*bus, "KV_b", "$KV.b.x").await), pair(5, "5"));
    assert_eq!(text(last(&*bus, "KV_b", "$KV.b.y").await), pair(2, "2"));
    assert_eq!(text(last(&*bus, "KV_b", "$KV.b.x.y").await), pair(4, "4"));
    let info = soon(bus.stream("KV_b")).await.unwrap();
    assert_eq!((info.messages, info.last_sequence), (3, 5));
    let error = soon(bus.last("KV_c", &Subject::new("$KV.c.x").unwrap())).await.unwrap_err();
    assert!(matches!(&error, BusError::StreamMissing(name) if name == "KV_c"), "{error}");
    let error = soon(bus.last("a.b", &Subject::new("x").unwrap())).await.unwrap_err();
    assert!(matches!(error, BusError::Refused { .. }), "{error}");
}

async fn the_last_of_a_stream_is_found_too(bus: AnyBus) {
    with_stream(&*bus).await;
    let mut sent = message("in.a", "päyload\0\r\n");
    // Among them such as the server adds to its answers.
    for (name, value) in [("Kept", "é"), ("Kept", "2"), ("Nats-Sequence", "77"), ("Nats-Subject", "in.z")] {
        sent.headers.push_received(name, value);
    }
    publish(&*bus, "in.a", ["1"]).await;
    soon(bus.publish(sent.clone())).await.unwrap();
    publish(&*bus, "in.b", [""]).await;
    let found = last(&*bus, "S", "in.a").await.unwrap();
    assert_eq!((found.sequence, &found.message), (2, &sent));
    assert!(found.stored_ns > 1_600_000_000_000_000_000, "nanoseconds since the epoch: {found:?}");
    let bare = last(&*bus, "S", "in.b").await.unwrap();
    assert!(bare.message.headers.is_empty() && bare.message.payload.is_empty());
    assert_eq!(last(&*bus, "S", "in.c").await, None);
    assert!(soon(bus.erase("S", 2)).await.unwrap());
    assert_eq!(text(last(&*bus, "S", "in.a").await), pair(1, "1"));
    let all: Vec<Subject> = (0..3_000).map(|n| Subject::new(format!("in.{}", n % 3)).unwrap()).collect();
    let many = join_all(all.iter().map(|subject| bus.last("S", subject)));
    assert!(soon(many).await.iter().all(|answer| matches!(answer, Ok(None))));
}

async fn posts_are_stored_in_order(bus: AnyBus) {
    with_bucket(&*bus).await;
    with_stream(&*bus).await;
    let mut confirmations = Vec::new();
    for number in 1..=500_u64 {
        let to_stream = soon(bus.post(message("in.a", number.to_string()), OnlyIf::default())).await.unwrap();
        let record = record(&(number % 7).to_string(), "x");
        let to_bucket = soon(bus.post(record, OnlyIf::after(number - 1))).await.unwrap();
        confirmations.push((number, to_stream, to_bucket));
    }
    for (number, to_stream, to_bucket) in confirmations {
        let stored = soon(to_stream).await.unwrap();
        assert_eq!((stored.stream.as_str(), stored.sequence, stored.duplicate), ("S", number, false));
        let stored = soon(to_bucket).await.unwrap();
        assert_eq!((stored.stream.as_str(), stored.sequence), ("KV_b", number));
    }
}

async fn a_post_held_to_a_sequence_is_stored_there_or_not_at_all(bus: AnyBus) {
    with_bucket(&*bus).await;
    let post = async |text: &str, after: u64| {
        let confirmation = soon(bus.post(record("x", text), OnlyIf::after(after))).await.unwrap();
        soon(confirmation).await
    };
    assert_eq!(post("1", 0).await.unwrap().sequence, 1);
    for wrong in [0, 2, 7] {
        let error = post("no", wrong).await.unwrap_err();
        assert!(matches!(&error, BusError::Overtaken { last: Some(1), .. }), "{error}");
    }
    soon(bus.publish(record("y", "2"))).await.unwrap();
    let error = post("no", 1).await.unwrap_err();
    assert!(matches!(&error, BusError::Overtaken { last: Some(2), .. }), "{error}");
    assert_eq!(post("3", 2).await.unwrap().sequence, 3);
    assert_eq!(text(last(&*bus, "KV_b", "$KV.b.x").await), pair(3, "3"));
}

/// Many are on their way when somebody else takes the bucket over.
async fn nothing_passes_a_fence(bus: AnyBus) {
    with_bucket(&*bus).await;
    let owner = || Subject::new("$KV.b.owner").unwrap();
    let take_over = async |after: u64| {
        let post = bus.post(record("owner", "other"), OnlyIf::last_of(owner(), after));
        soon(soon(post).await.unwrap()).await
    };
    let first = take_over(0).await.unwrap().sequence;
    let second = take_over(0).await.unwrap_err();
    assert!(matches!(second, BusError::Overtaken { last: Some(last), .. } if last == first), "{second}");
    let mine = async |count: u64| {
        let mut confirmations: Vec<Confirmation> = Vec::new();
        for number in 0..count {
            let post = bus.post(record(&number.to_string(), "mine"), OnlyIf::last_of(owner(), first));
            confirmations.push(soon(post).await.unwrap());
        }
        confirmations
    };
    for confirmation in mine(200).await {
        soon(confirmation).await.unwrap();
    }
    let taken = take_over(first).await.unwrap().sequence;
    for confirmation in mine(200).await {
        let error = soon(confirmation).await.unwrap_err();
        assert!(matches!(error, BusError::Overtaken { last: Some(last), .. } if last == taken), "{error}");
    }
    assert_eq!(soon(bus.stream("KV_b")).await.unwrap().last_sequence, taken);
}

async fn a_repeated_id_is_told(bus: AnyBus) {
    with_stream(&*bus).await;
    for duplicate in [false, true] {
        let confirmation = soon(bus.post(with_id("in.a", "1"), OnlyIf::default())).await.unwrap();
        let stored = soon(confirmation).await.unwrap();
        assert_eq!((stored.sequence, stored.duplicate), (1, duplicate));
    }
}

async fn posts_that_cannot_be_stored_say_why(bus: AnyBus) {
    with_bucket(&*bus).await;
    let confirmation = soon(bus.post(message("out.a", "x"), OnlyIf::default())).await.unwrap();
    let error = soon(confirmation).await.unwrap_err();
    assert!(matches!(&error, BusError::NoStream { subject } if subject == "out.a"), "{error}");
    let large = record("x", &"x".repeat(bus.max_message_bytes() + 1));
    let Err(error) = soon(bus.post(large, OnlyIf::default())).await else { panic!("it is too large") };
    assert!(matches!(error, BusError::TooLarge { .. }), "{error}");
    let confirmation = soon(bus.post(record("x", "1"), OnlyIf::default())).await.unwrap();
    soon(confirmation).await.unwrap();
}

async fn a_post_on_another_connection_is_not_sent(bus: AnyBus) {
    with_bucket(&*bus).await;
    let connection = bus.posting();
    let confirmation = soon(bus.post(record("x", "1"), OnlyIf::on(connection))).await.unwrap();
    soon(confirmation).await.unwrap();
    assert_eq!(bus.posting(), connection, "it stays the same while it stands");
    let other = soon(bus.post(record("x", "2"), OnlyIf::on(connection + 1))).await;
    let Err(error) = other else { panic!("there is no such connection") };
    assert!(error.is_transient(), "{error}");
    assert_eq!(text(last(&*bus, "KV_b", "$KV.b.x").await), pair(1, "1"));
}

async fn confirmations_need_nobody_to_look_at_them(bus: AnyBus) {
    with_stream(&*bus).await;
    // More than may wait for their answer at once.
    let mut confirmations = Vec::new();
    for number in 0..3_000 {
        let post = bus.post(message("in.a", number.to_string()), OnlyIf::default());
        let confirmation = soon(post).await.unwrap();
        if number % 2 == 0 {
            confirmations.push(confirmation);
        }
    }
    for (place, confirmation) in (0..).zip(confirmations) {
        assert_eq!(soon(confirmation).await.unwrap().sequence, 2 * place + 1);
    }
    soon(bus.publish(message("in.a", "x"))).await.unwrap();
    while soon(bus.stream("S")).await.unwrap().messages < 3_001 {
        tokio::task::yield_now().await;
    }
}

async fn what_is_purged_is_gone(bus: AnyBus) {
    with_bucket(&*bus).await;
    for key in ["owner", "k.a", "k.b", "k.b.c"] {
        soon(bus.publish(record(key, "x"))).await.unwrap();
    }
    assert_eq!(soon(bus.purge("KV_b", Some(&pattern("$KV.b.k.*")))).await.unwrap(), 2);
    assert_eq!(last(&*bus, "KV_b", "$KV.b.k.a").await, None);
    assert_eq!(text(last(&*bus, "KV_b", "$KV.b.owner").await), pair(1, "x"));
    assert_eq!(soon(bus.purge("KV_b", Some(&pattern("$KV.b.none")))).await.unwrap(), 0);
    assert_eq!(soon(bus.purge("KV_b", None)).await.unwrap(), 2);
    let info = soon(bus.stream("KV_b")).await.unwrap();
    assert_eq!((info.messages, info.last_sequence), (0, 4), "sequences go on");
    let confirmation = soon(bus.post(record("k.a", "y"), OnlyIf::after(4))).await.unwrap();
    assert_eq!(soon(confirmation).await.unwrap().sequence, 5);
    let error = soon(bus.purge("S", None)).await.unwrap_err();
    assert!(matches!(&error, BusError::StreamMissing(name) if name == "S"), "{error}");
    assert!(matches!(soon(bus.purge("a.b", None)).await, Err(BusError::Refused { .. })));
}

async fn a_deleted_stream_is_gone(bus: AnyBus) {
    let first = with_bucket(&*bus).await;
    publish(&*bus, "$KV.b.x", ["1"]).await;
    assert!(soon(bus.delete_stream("KV_b")).await.unwrap());
    assert!(!soon(bus.delete_stream("KV_b")).await.unwrap());
    assert!(matches!(soon(bus.stream("KV_b")).await, Err(BusError::StreamMissing(_))));
    assert!(matches!(soon(bus.delete_stream("a.b")).await, Err(BusError::Refused { .. })));
    let second = with_bucket(&*bus).await;
    assert!(second.incarnation_ms > first.incarnation_ms);
    assert_eq!(last(&*bus, "KV_b", "$KV.b.x").await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_copies_keep_order_and_fence() {
    let cluster = wasmill_tests::nats::Cluster::start(3).unwrap();
    let bus = soon(NatsBus::connect(NatsSettings::for_url(cluster.urls().join(",")))).await.unwrap();
    let spec = BucketSpec { name: "b".into(), replicas: 3 };
    // Until there is a leader, JetStream is not available.
    while let Err(error) = soon(bus.ensure_bucket(&spec)).await {
        assert!(error.is_transient() || matches!(error, BusError::Refused { .. }), "{error}");
        tokio::time::sleep(LOOK).await;
    }
    let post = async |key: &str, only_if: OnlyIf| {
        let confirmation = soon(bus.post(record(key, "mine"), only_if)).await.unwrap();
        soon(confirmation).await
    };
    let owner = || Subject::new("$KV.b.owner").unwrap();
    let mut revision = 0;
    for _ in 0..3 {
        revision = post("owner", OnlyIf::last_of(owner(), revision)).await.unwrap().sequence;
        let error = post("owner", OnlyIf::last_of(owner(), 7)).await.unwrap_err();
        assert!(matches!(error, BusError::Overtaken { .. }), "{error}");
    }
    // Without awaiting each other, they are held to the stream.
    let mut confirmations: Vec<Confirmation> = Vec::new();
    for number in 0..300 {
        let record = record(&format!("k{}", number % 7), &number.to_string());
        confirmations.push(soon(bus.post(record, OnlyIf::after(revision + number))).await.unwrap());
    }
    for (number, confirmation) in (1..).zip(confirmations) {
        assert_eq!(soon(confirmation).await.unwrap().sequence, revision + number);
    }
    let error = post("k", OnlyIf::after(revision)).await.unwrap_err();
    assert!(matches!(error, BusError::Overtaken { .. }), "{error}");
    // The leader knows what was confirmed, whichever server is asked.
    for number in 0..50 {
        let sequence = post("k", OnlyIf::after(revision + 300 + number)).await.unwrap().sequence;
        assert_eq!(last(&*bus, "KV_b", "$KV.b.k").await.unwrap().sequence, sequence);
    }
}
