//! Followers and posts while servers and connections come and go.

use std::process::Command;

use futures::StreamExt as _;
use wasmill::bus::{Begin, BusError, Confirmation, FollowSpec, OnlyIf};
use wasmill::event::MALFORMED_HEADER;
use wasmill_tests::proxy::{Hole, Lane, Proxy, Way};

use super::following::{AnyFollow, coming, follow, open, some};
use super::*;
use crate::setbacks::publish_raw;

/// What goes wrong with a connection, one after the other.
const TROUBLES: usize = 12;

async fn through(proxy: &Proxy) -> Arc<NatsBus> {
    let impatient = NatsSettings {
        request_timeout_ms: 1_000,
        publish_ack_timeout_ms: 1_000,
        ..NatsSettings::for_url(proxy.url())
    };
    soon(NatsBus::connect(impatient)).await.unwrap()
}

async fn proxy_of(server: &NatsServer) -> Proxy {
    Proxy::start(([127, 0, 0, 1], server.port()).into()).await.unwrap()
}

/// One of the ways in which a connection goes bad, and back to good.
async fn trouble(proxy: &Proxy, number: usize) {
    let way = if number.is_multiple_of(2) { Way::ToServer } else { Way::ToClient };
    let lane = match number % 3 {
        0 => Lane { chunk: Some(7), ..Lane::default() },
        1 => Lane { hole: Hole::Swallow, ..Lane::default() },
        _ => Lane { hole: Hole::Hold, ..Lane::default() },
    };
    proxy.set(way, lane);
    tokio::time::sleep(Duration::from_millis(30)).await;
    proxy.cut();
    proxy.heal();
}

fn numbers(came: Vec<(u64, String)>) -> Vec<u64> {
    came.into_iter().map(|(sequence, _)| sequence).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_goes_on_after_its_server_was_killed() {
    let (mut server, bus) = on_server().await;
    with_stream(&*bus).await;
    let mut all = open(&*bus, &FollowSpec { prefetch: 16, ..follow(Begin::At(1)) }).await;
    let mut new = open(&*bus, &follow(Begin::New)).await;
    for round in 0..3 {
        publish(&*bus, "in.a", (0..100).map(|_| "x")).await;
        // Some are here, some on their way, and some at the server when it goes.
        assert_eq!(
            numbers(some(&mut all, 50).await),
            ((round * 100 + 1)..=(round * 100 + 50)).collect::<Vec<_>>()
        );
        tokio::task::block_in_place(|| server.restart()).unwrap();
        assert_eq!(
            numbers(some(&mut all, 50).await),
            ((round * 100 + 51)..=(round * 100 + 100)).collect::<Vec<_>>()
        );
        assert_eq!(all.pending(), 0);
        assert_eq!(
            numbers(some(&mut new, 100).await),
            ((round * 100 + 1)..=(round * 100 + 100)).collect::<Vec<_>>()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_behind_bad_connections_misses_and_repeats_nothing() {
    const COUNT: u64 = 20_000;
    let (server, direct) = on_server().await;
    with_stream(&*direct).await;
    let proxy = proxy_of(&server).await;
    let bus = through(&proxy).await;
    let mut follow: AnyFollow = open(&*bus, &follow(Begin::At(1))).await;
    let publishing = async {
        for _ in 0..COUNT / 100 {
            futures::future::join_all((0..100).map(|_| direct.publish(message("in.a", "x")))).await;
        }
    };
    let troubles = async {
        for number in 0..TROUBLES {
            trouble(&proxy, number).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let following = async {
        for wanted in 1..=COUNT {
            assert_eq!(coming(&mut follow).await.position.sequence, wanted);
        }
    };
    tokio::join!(publishing, troubles, following);
    assert!(proxy.evidence().cut > 0);
    // What comes after all trouble is over comes too.
    publish(&*direct, "in.a", ["y"]).await;
    assert_eq!(numbers(some(&mut follow, 1).await), [COUNT + 1]);
}

#[tokio::test]
async fn a_consumer_that_somebody_deletes_is_made_again() {
    let (server, bus) = on_server().await;
    with_stream(&*bus).await;
    let mut follow = open(&*bus, &follow(Begin::New)).await;
    publish(&*bus, "in.a", ["1"]).await;
    assert_eq!(numbers(some(&mut follow, 1).await), [1]);
    let jetstream = async_nats::jetstream::new(async_nats::connect(server.url()).await.unwrap());
    let stream = jetstream.get_stream("S").await.unwrap();
    let names: Vec<String> = stream.consumer_names().map(Result::unwrap).collect().await;
    assert_eq!(names.len(), 1);
    stream.delete_consumer(&names[0]).await.unwrap();
    publish(&*bus, "in.a", ["2"]).await;
    assert_eq!(numbers(some(&mut follow, 1).await), [2]);
    drop(follow);
    // It leaves none behind.
    let gone = async {
        while stream.consumer_names().count().await > 0 {
            tokio::task::yield_now().await;
        }
    };
    soon(gone).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_client_can_read_is_followed_and_found_all_the_same() {
    let (server, bus) = on_server().await;
    with_stream(&*bus).await;
    let blocks: [&[u8]; 3] = [
        b"NATS/1.0\r\nx: \xff\r\n\r\n",
        b"NATS/1.0\r\nok: 1\r\nbad name: v\r\n\r\n",
        b"NATS/1.0\r\nno colon\r\n\r\n",
    ];
    publish_raw(&server, "in.bad", blocks[0], b"first");
    publish(&*bus, "in.a", ["good"]).await;
    for block in blocks {
        publish_raw(&server, "in.bad", block, b"payload");
    }
    publish(&*bus, "in.a", ["good"]).await;
    for begin in [Begin::At(1), Begin::Time(0)] {
        let mut follow = open(&*bus, &follow(begin)).await;
        for sequence in 1..=6 {
            let followed = coming(&mut follow).await;
            assert_eq!(followed.position.sequence, sequence);
            let good = followed.message.payload == "good";
            assert_eq!(followed.message.headers.get(MALFORMED_HEADER).is_none(), good, "{followed:?}");
        }
        assert_eq!(follow.pending(), 0);
    }
    let mut last = open(&*bus, &follow(Begin::LastPerSubject)).await;
    assert_eq!(numbers(some(&mut last, 2).await), [5, 6]);
    for _ in 0..3 {
        let found = soon(bus.last("S", &Subject::new("in.bad").unwrap())).await.unwrap().unwrap();
        assert_eq!((found.sequence, &*found.message.payload), (5, &b"payload"[..]));
        assert!(found.message.headers.get(MALFORMED_HEADER).is_some());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_lost_its_end_is_not_followed_past_it() {
    let (mut server, bus) = on_server().await;
    with_stream(&*bus).await;
    publish(&*bus, "in.a", ["1", "2", "3"]).await;
    let (store, copy) = (server.home().join("store"), server.home().join("copy"));
    tokio::task::block_in_place(|| server.stop()).unwrap();
    let copied = |from: &std::path::Path, to: &std::path::Path| {
        assert!(Command::new("cp").arg("-r").args([from, to]).status().unwrap().success());
    };
    copied(&store, &copy);
    tokio::task::block_in_place(|| server.restart()).unwrap();
    publish(&*bus, "in.a", ["4", "5"]).await;
    let mut follow = open(&*bus, &follow(Begin::At(1))).await;
    assert_eq!(numbers(some(&mut follow, 5).await), [1, 2, 3, 4, 5]);
    tokio::task::block_in_place(|| server.stop()).unwrap();
    std::fs::remove_dir_all(&store).unwrap();
    copied(&copy, &store);
    tokio::task::block_in_place(|| server.restart()).unwrap();
    let error = soon(follow.next()).await.unwrap().unwrap_err();
    assert!(matches!(&error, BusError::StreamReplaced { stream, .. } if stream == "S"), "{error}");
}

/// So large that a few hundred do not fit into what a connection holds on its way: then some wait in the client.
const LARGE: usize = 16 * 1_024;

/// Posts numbers in order, again from the first that was not confirmed whenever a connection breaks, and returns when all are
/// confirmed.
async fn post_all(bus: &NatsBus, count: u64) {
    let (mut confirmed, mut broke) = (0, 0);
    while confirmed < count {
        let connection = bus.posting();
        let mut confirmations: Vec<Confirmation> = Vec::new();
        for number in confirmed..count.min(confirmed + 500) {
            let mut message = with_id("in.a", &number.to_string());
            message.payload = vec![b'x'; LARGE].into();
            match soon(bus.post(message, OnlyIf::on(connection))).await {
                Ok(confirmation) => confirmations.push(confirmation),
                Err(error) => {
                    assert!(error.is_transient(), "{error}");
                    break;
                }
            }
        }
        for confirmation in confirmations {
            match soon(confirmation).await {
                Ok(_) => confirmed += 1,
                Err(error) => {
                    assert!(error.is_transient(), "{error}");
                    broke += 1;
                    break;
                }
            }
        }
    }
    assert!(broke > 0, "nothing ever broke");
}

async fn assert_all_in_order(bus: &dyn Bus, count: u64) {
    assert_eq!(soon(bus.stream("S")).await.unwrap().messages, count);
    let mut follow = open(bus, &follow(Begin::At(1))).await;
    for number in 0..count {
        let message = coming(&mut follow).await.message;
        assert_eq!(message.headers.get("Nats-Msg-Id"), Some(&*number.to_string()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn posts_over_bad_connections_are_stored_once_and_in_order() {
    const COUNT: u64 = 8_000;
    let (server, direct) = on_server().await;
    with_stream(&*direct).await;
    let proxy = proxy_of(&server).await;
    let bus = through(&proxy).await;
    let troubles = async {
        for number in 0..TROUBLES {
            tokio::time::sleep(Duration::from_millis(40)).await;
            trouble(&proxy, number).await;
        }
    };
    tokio::join!(troubles, post_all(&bus, COUNT));
    assert_all_in_order(&*direct, COUNT).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn posts_to_a_server_that_is_killed_are_stored_once_and_in_order() {
    const COUNT: u64 = 4_000;
    let (mut server, bus) = on_server().await;
    with_stream(&*bus).await;
    let posting = tokio::spawn({
        let bus = Arc::clone(&bus);
        async move { post_all(&bus, COUNT).await }
    });
    for _ in 0..2 {
        let before = soon(bus.stream("S")).await.unwrap().messages;
        while soon(bus.stream("S")).await.unwrap().messages < before + 500 {
            tokio::task::yield_now().await;
        }
        tokio::task::block_in_place(|| server.restart()).unwrap();
        while soon(bus.flush()).await.is_err() {}
    }
    soon(posting).await.unwrap();
    assert_all_in_order(&*bus, COUNT).await;
}

#[tokio::test]
async fn a_connection_that_broke_is_told_by_its_number() {
    let (server, _direct) = on_server().await;
    let proxy = proxy_of(&server).await;
    let bus = through(&proxy).await;
    with_stream(&*bus).await;
    let first = bus.posting();
    let confirmation = soon(bus.post(message("in.a", "1"), OnlyIf::on(first))).await.unwrap();
    soon(confirmation).await.unwrap();
    proxy.cut();
    while bus.posting() == first {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let Err(error) = soon(bus.post(message("in.a", "2"), OnlyIf::on(first))).await else {
        panic!("it is gone")
    };
    assert!(error.is_transient(), "{error}");
    let confirmation = soon(bus.post(message("in.a", "2"), OnlyIf::on(bus.posting()))).await.unwrap();
    assert_eq!(soon(confirmation).await.unwrap().sequence, 2);
}
