//! Atomic batches: all or nothing.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use wasmill::bus::{BusError, MAX_BATCH};

use super::*;

on_every_bus!(
    a_batch_is_stored_in_order,
    one_known_id_keeps_the_whole_batch_out,
    a_stream_that_takes_no_batches_says_so,
    too_many_are_no_batch,
    one_message_too_large_keeps_the_whole_batch_out,
    what_goes_to_different_streams_is_no_batch,
    many_batches_at_once_do_not_mix,
);

async fn with_atomic_stream(bus: &dyn Bus) {
    let info = soon(bus.ensure_stream(&StreamSpec { atomic: true, ..stream() })).await.unwrap();
    assert!(info.atomic);
    assert!(soon(bus.stream("S")).await.unwrap().atomic);
    let listed = soon(bus.streams_for(&pattern("in.>"))).await.unwrap();
    assert!(listed.iter().all(|info| info.atomic));
}

fn batch(ids: &[&str]) -> Vec<Message> {
    ids.iter().map(|id| with_id("in.a", id)).collect()
}

async fn count(bus: &dyn Bus) -> u64 {
    soon(bus.stream("S")).await.unwrap().messages
}

async fn a_batch_is_stored_in_order(bus: AnyBus) {
    with_atomic_stream(&*bus).await;
    publish(&*bus, "in.a", ["0"]).await;
    let stored = soon(bus.publish_batch(batch(&["1", "2", "3"]))).await.unwrap();
    assert_eq!((stored.stream.as_str(), stored.last_sequence, stored.count), ("S", 4, 3));
    let alone = soon(bus.publish_batch(batch(&["4"]))).await.unwrap();
    assert_eq!((alone.last_sequence, alone.count), (5, 1));
    let mut intake = soon(bus.consume(&durable())).await.unwrap();
    assert_eq!(take(&*bus, &mut intake, 5).await, ["0", "1", "2", "3", "4"]);
}

async fn one_known_id_keeps_the_whole_batch_out(bus: AnyBus) {
    with_atomic_stream(&*bus).await;
    soon(bus.publish(with_id("in.a", "2"))).await.unwrap();
    for ids in [["1", "2", "3"], ["4", "4", "5"]] {
        let error = soon(bus.publish_batch(batch(&ids))).await.unwrap_err();
        assert!(matches!(error, BusError::Repeated), "{error}");
    }
    assert_eq!(count(&*bus).await, 1);
    // What was refused is not remembered: each may come by itself, or in another batch.
    assert!(!soon(bus.publish(with_id("in.a", "1"))).await.unwrap().duplicate);
    assert!(soon(bus.publish(with_id("in.a", "2"))).await.unwrap().duplicate);
    soon(bus.publish_batch(batch(&["3", "4"]))).await.unwrap();
    // And what was stored is, whichever way.
    assert!(soon(bus.publish(with_id("in.a", "4"))).await.unwrap().duplicate);
    let error = soon(bus.publish_batch(batch(&["3", "4"]))).await.unwrap_err();
    assert!(matches!(error, BusError::Repeated), "{error}");
    assert_eq!(count(&*bus).await, 4);
}

async fn a_stream_that_takes_no_batches_says_so(bus: AnyBus) {
    with_stream(&*bus).await;
    assert!(!soon(bus.stream("S")).await.unwrap().atomic);
    let error = soon(bus.publish_batch(batch(&["1", "2"]))).await.unwrap_err();
    assert!(matches!(error, BusError::NoBatch { .. }), "{error}");
    assert_eq!(count(&*bus).await, 0);
    let nowhere = vec![message("out.a", "x"), message("out.b", "x")];
    let error = soon(bus.publish_batch(nowhere)).await.unwrap_err();
    assert!(matches!(error, BusError::NoStream { .. }), "{error}");
}

async fn too_many_are_no_batch(bus: AnyBus) {
    with_atomic_stream(&*bus).await;
    let many =
        |count: usize| (0..count).map(|number| with_id("in.a", &number.to_string())).collect::<Vec<_>>();
    for wrong in [many(MAX_BATCH + 1), Vec::new()] {
        let error = soon(bus.publish_batch(wrong)).await.unwrap_err();
        assert!(matches!(error, BusError::NoBatch { .. }), "{error}");
    }
    let stored = soon(bus.publish_batch(many(MAX_BATCH))).await.unwrap();
    assert_eq!((stored.count, count(&*bus).await), (MAX_BATCH, MAX_BATCH as u64));
}

async fn one_message_too_large_keeps_the_whole_batch_out(bus: AnyBus) {
    with_atomic_stream(&*bus).await;
    let large = message("in.b", "x".repeat(bus.max_message_bytes() + 1));
    for at in 0..3 {
        let mut messages = batch(&["1", "2"]);
        messages.insert(at, large.clone());
        let error = soon(bus.publish_batch(messages)).await.unwrap_err();
        assert!(matches!(&error, BusError::TooLarge { subject, .. } if subject == "in.b"), "{error}");
    }
    soon(bus.publish_batch(batch(&["1", "2"]))).await.unwrap();
    assert_eq!(count(&*bus).await, 2);
}

async fn what_goes_to_different_streams_is_no_batch(bus: AnyBus) {
    with_atomic_stream(&*bus).await;
    let other = StreamSpec { name: "T".into(), subjects: vec![pattern("t")], atomic: true, ..stream() };
    soon(bus.ensure_stream(&other)).await.unwrap();
    for subjects in [["in.a", "in.a", "t"], ["in.a", "t", "in.a"], ["t", "in.a", "in.a"]] {
        let messages = subjects.iter().map(|subject| message(subject, "x")).collect();
        let error = soon(bus.publish_batch(messages)).await.unwrap_err();
        assert!(
            matches!(error, BusError::NoBatch { .. } | BusError::Refused { .. }),
            "{subjects:?}: {error}"
        );
    }
    assert_eq!((count(&*bus).await, soon(bus.stream("T")).await.unwrap().messages), (0, 0));
}

async fn many_batches_at_once_do_not_mix(bus: AnyBus) {
    with_atomic_stream(&*bus).await;
    // More than a stream keeps unfinished at a time, and single messages between them.
    let all = (0..200).map(|number| {
        let (bus, id) = (&bus, number.to_string());
        async move {
            let three = vec![message("in.a", &*id), message("in.a", &*id), message("in.a", &*id)];
            let (batch, single) = tokio::join!(bus.publish_batch(three), bus.publish(message("in.b", "x")));
            single.unwrap();
            batch.unwrap()
        }
    });
    let mut ends: Vec<u64> =
        soon(futures::future::join_all(all)).await.iter().map(|stored| stored.last_sequence).collect();
    ends.sort_unstable();
    assert!(ends.windows(2).all(|pair| pair[1] >= pair[0] + 3), "{ends:?}");
    let mut intake = soon(bus.consume(&durable())).await.unwrap();
    let taken = take(&*bus, &mut intake, 800).await;
    let mut batches =
        taken.split(|text| text == "x").flat_map(|run| run.chunks(3)).filter(|run| !run.is_empty());
    assert!(batches.all(|run| run.len() == 3 && run.iter().all(|text| *text == run[0])), "{taken:?}");
}

/// A way to a server that is cut once a text has come by from the client, what comes with it included.
async fn cut_at(server: &NatsServer, text: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("nats://{}", listener.local_addr().unwrap());
    let behind = server.url().replace("nats://", "");
    tokio::spawn(async move {
        let mut armed = true;
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&behind).await.unwrap();
            if forward(client, server, armed.then_some(text)).await {
                armed = false;
            }
        }
    });
    url
}

/// Forwards until one side ends, or the text comes by. Tells whether it was the text.
async fn forward(client: TcpStream, server: TcpStream, text: Option<&str>) -> bool {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let back = tokio::spawn(async move {
        let _ended = tokio::io::copy(&mut from_server, &mut to_client).await;
    });
    let mut seen = Vec::new();
    let mut buffer = vec![0; 4_096];
    let mut cut = false;
    while let Ok(count @ 1..) = from_client.read(&mut buffer).await {
        let from = seen.len();
        seen.extend_from_slice(&buffer[..count]);
        let found =
            text.and_then(|text| seen.windows(text.len()).position(|window| window == text.as_bytes()));
        let until = found.map_or(seen.len(), |at| at.max(from));
        if to_server.write_all(&seen[from..until]).await.is_err() {
            break;
        }
        if found.is_some() {
            cut = true;
            break;
        }
    }
    back.abort();
    cut
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_cut_in_the_middle_leaves_nothing() {
    let server = NatsServer::start().unwrap();
    let direct = connect(&server).await;
    with_atomic_stream(&*direct).await;
    for cut in ["Nats-Batch-Sequence: 2", "Nats-Batch-Sequence: 3", "Nats-Batch-Commit"] {
        let before = count(&*direct).await;
        let url = cut_at(&server, cut).await;
        let bus = soon(NatsBus::connect(NatsSettings::for_url(url))).await.unwrap();
        let ids = [1, 2, 3].map(|number| format!("{cut}/{number}"));
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let error = soon(bus.publish_batch(batch(&ids))).await.unwrap_err();
        assert!(error.is_transient(), "{error}");
        // The client may send the rest of it on its next connection, which makes it whole or does nothing.
        soon(bus.flush()).await.unwrap();
        let stored = count(&*direct).await - before;
        assert!([0, 3].contains(&stored), "cut at {cut:?}: {stored}");
        match soon(bus.publish_batch(batch(&ids))).await {
            Ok(again) => assert_eq!((again.count, stored), (3, 0)),
            Err(error) => assert!(matches!(error, BusError::Repeated) && stored == 3, "{error}"),
        }
        assert_eq!(count(&*direct).await - before, 3);
    }
}
