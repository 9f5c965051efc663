//! Streams: what they store, and what happens to a message that none stores.

use std::collections::BTreeSet;
use std::time::Duration;

use wasmill::bus::{BusError, StreamSpec};

use super::*;

on_every_bus!(
    what_is_published_is_stored_in_order,
    a_repeated_id_is_stored_once,
    what_no_stream_stores_is_refused,
    what_is_too_large_is_refused,
    a_stream_is_created_once_and_never_altered,
    streams_that_are_missing_are_named,
    streams_are_found_by_what_they_store,
    names_that_would_address_something_else_are_refused,
    messages_keep_their_headers_and_payload,
    odd_subjects_are_kept,
    the_oldest_go_when_a_stream_is_full,
    many_publishes_at_once_are_all_stored,
    a_dropped_publish_leaves_the_bus_usable,
);

async fn what_is_published_is_stored_in_order(bus: AnyBus) {
    with_stream(&*bus).await;
    for sequence in 1..=3 {
        let stored = soon(bus.publish(message("in.a", "x"))).await.unwrap();
        assert_eq!((stored.stream.as_str(), stored.sequence, stored.duplicate), ("S", sequence, false));
    }
    let info = soon(bus.stream("S")).await.unwrap();
    assert_eq!((info.messages, info.last_sequence), (3, 3));
    assert!(info.incarnation_ms > 1_600_000_000_000, "milliseconds since the epoch: {info:?}");
}

async fn a_repeated_id_is_stored_once(bus: AnyBus) {
    with_stream(&*bus).await;
    let first = soon(bus.publish(with_id("in.a", "1"))).await.unwrap();
    soon(bus.publish(with_id("in.a", "2"))).await.unwrap();
    let again = soon(bus.publish(with_id("in.b", "1"))).await.unwrap();
    assert_eq!((again.sequence, again.duplicate, first.duplicate), (first.sequence, true, false));
    assert_eq!(soon(bus.stream("S")).await.unwrap().messages, 2);
}

async fn what_no_stream_stores_is_refused(bus: AnyBus) {
    with_stream(&*bus).await;
    let error = soon(bus.publish(message("out.a", "x"))).await.unwrap_err();
    assert!(matches!(&error, BusError::NoStream { subject } if subject == "out.a"), "{error}");
    // It is no error for who does not ask for a stream.
    soon(bus.publish_core(message("out.a", "x"))).await.unwrap();
}

async fn what_is_too_large_is_refused(bus: AnyBus) {
    with_stream(&*bus).await;
    let limit = bus.max_message_bytes();
    soon(bus.publish(message("in.a", "x".repeat(limit)))).await.unwrap();
    let mut with_header = message("in.a", "x".repeat(limit - 20));
    with_header.headers.push("Name", "value");
    for message in [message("in.a", "x".repeat(limit + 1)), with_header] {
        let bytes = message.wire_bytes();
        assert!(bytes > limit);
        for error in [
            soon(bus.publish(message.clone())).await.unwrap_err(),
            soon(bus.publish_core(message)).await.unwrap_err(),
        ] {
            let named = matches!(&error, BusError::TooLarge { subject, bytes: had, limit: most }
                if subject == "in.a" && (*had, *most) == (bytes, limit));
            assert!(named, "{error}");
        }
    }
    soon(bus.publish(message("in.a", "the connection still stands"))).await.unwrap();
}

async fn a_stream_is_created_once_and_never_altered(bus: AnyBus) {
    let created = soon(bus.ensure_stream(&stream())).await.unwrap();
    publish(&*bus, "in.a", ["x"]).await;
    let other = StreamSpec {
        subjects: vec![pattern("elsewhere.>")],
        duplicate_window: Duration::from_secs(1),
        ..stream()
    };
    let found = soon(bus.ensure_stream(&other)).await.unwrap();
    assert_eq!(found.subjects, created.subjects);
    assert_eq!(found.duplicate_window, created.duplicate_window);
    assert_eq!(found.incarnation_ms, created.incarnation_ms);
    assert_eq!(found.messages, 1);
    let overlapping = StreamSpec { name: "T".into(), subjects: vec![pattern("in.b.*")], ..stream() };
    let error = soon(bus.ensure_stream(&overlapping)).await.unwrap_err();
    assert!(matches!(error, BusError::Refused { .. }), "{error}");
}

async fn streams_that_are_missing_are_named(bus: AnyBus) {
    let error = soon(bus.stream("S")).await.unwrap_err();
    assert!(matches!(&error, BusError::StreamMissing(name) if name == "S"), "{error}");
    let Err(error) = soon(bus.consume(&durable())).await else { panic!("there is no stream") };
    assert!(matches!(&error, BusError::StreamMissing(name) if name == "S"), "{error}");
}

async fn streams_are_found_by_what_they_store(bus: AnyBus) {
    with_stream(&*bus).await;
    let other = StreamSpec { name: "T".into(), subjects: vec![pattern("t"), pattern("u.*")], ..stream() };
    soon(bus.ensure_stream(&other)).await.unwrap();
    for (wanted, names) in [
        ("in.a", vec!["S"]),
        ("in.*", vec!["S"]),
        ("*.x", vec!["S", "T"]),
        (">", vec!["S", "T"]),
        ("v.*", vec![]),
    ] {
        let wanted = pattern(wanted);
        let found = soon(bus.streams_for(&wanted)).await.unwrap();
        let found: BTreeSet<&str> = found.iter().map(|info| info.name.as_str()).collect();
        assert_eq!(found, names.into_iter().collect(), "{wanted}");
    }
}

async fn names_that_would_address_something_else_are_refused(bus: AnyBus) {
    with_stream(&*bus).await;
    for name in ["", "S.x", "*", "S >", "a/b", "a\r\nb", &"n".repeat(300)] {
        assert!(matches!(soon(bus.stream(name)).await, Err(BusError::Refused { .. })), "{name:?}");
        let spec = StreamSpec { name: name.into(), ..stream() };
        assert!(matches!(soon(bus.ensure_stream(&spec)).await, Err(BusError::Refused { .. })), "{name:?}");
        let spec = DurableSpec { durable: name.into(), ..durable() };
        assert!(matches!(soon(bus.consume(&spec)).await, Err(BusError::Refused { .. })), "{name:?}");
    }
}

async fn messages_keep_their_headers_and_payload(bus: AnyBus) {
    with_stream(&*bus).await;
    let mut rich = message("in.a", "päyload\0\r\n");
    rich.headers.try_push("ce-type", "order placed").unwrap();
    rich.headers.try_push("twice", "1").unwrap();
    rich.headers.try_push("twice", "2").unwrap();
    rich.headers.try_push("Accented", "é: ü").unwrap();
    rich.headers.try_push("empty", "").unwrap();
    soon(bus.publish(rich)).await.unwrap();
    soon(bus.publish(message("in.b", ""))).await.unwrap();

    let mut intake = soon(bus.consume(&durable())).await.unwrap();
    let delivery = next(&mut intake).await;
    let headers = &delivery.message.headers;
    assert_eq!(text(&delivery), "päyload\0\r\n");
    assert_eq!(headers.get("ce-type"), Some("order placed"));
    assert_eq!(headers.get("Accented"), Some("é: ü"));
    assert_eq!(headers.get("empty"), Some(""));
    let twice: Vec<_> = headers.iter().filter(|(name, _)| *name == "twice").map(|(_, value)| value).collect();
    assert_eq!((twice, headers.len()), (vec!["1", "2"], 5));

    let bare = next(&mut intake).await;
    assert!(bare.message.payload.is_empty() && bare.message.headers.is_empty());
    assert_eq!(bare.message.reply_to, None, "the subject to settle on is no reply subject");
}

async fn odd_subjects_are_kept(bus: AnyBus) {
    with_stream(&*bus).await;
    let long = format!("in.{}", "t".repeat(900));
    let odd = ["in.é.ü", "in.$weird", "in.a-b_c:d/e", "in.%20", "in.{\"json\"}", &long];
    for subject in odd {
        soon(bus.publish(message(subject, subject))).await.unwrap();
    }
    let mut intake = soon(bus.consume(&durable())).await.unwrap();
    for subject in odd {
        let delivery = next(&mut intake).await;
        assert_eq!((delivery.message.subject.as_str(), text(&delivery).as_str()), (subject, subject));
    }
}

async fn the_oldest_go_when_a_stream_is_full(bus: AnyBus) {
    let small = StreamSpec { max_bytes: Some(10_000), ..stream() };
    soon(bus.ensure_stream(&small)).await.unwrap();
    let load = "x".repeat(3_000);
    publish(&*bus, "in.a", [load.as_str(); 10]).await;
    let info = soon(bus.stream("S")).await.unwrap();
    assert!((1..=3).contains(&info.messages) && info.last_sequence == 10, "{info:?}");
    let mut intake = soon(bus.consume(&durable())).await.unwrap();
    let first = next(&mut intake).await;
    assert_eq!(first.position.unwrap().sequence, 10 - info.messages + 1);
}

async fn many_publishes_at_once_are_all_stored(bus: AnyBus) {
    with_stream(&*bus).await;
    // More than the window, so that some wait to be admitted.
    let all = (0..3_000).map(|number| bus.publish(message("in.a", number.to_string())));
    let stored = soon(futures::future::join_all(all)).await;
    let sequences: BTreeSet<u64> = stored.into_iter().map(|stored| stored.unwrap().sequence).collect();
    assert_eq!(sequences, (1..=3_000).collect());
}

async fn a_dropped_publish_leaves_the_bus_usable(bus: AnyBus) {
    with_stream(&*bus).await;
    // Each is polled once, so that it is on its way or waits, and then given up: more often than there is room.
    for number in 0..3_000 {
        let mut publish = bus.publish(message("in.a", number.to_string()));
        let _ = futures::poll!(&mut publish);
    }
    let stored = soon(bus.publish(message("in.a", "after"))).await.unwrap();
    assert!(!stored.duplicate);
    soon(bus.flush()).await.unwrap();
}
