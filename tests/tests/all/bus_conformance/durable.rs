//! Durable consumers: what they deliver, to whom, how far ahead.

use std::collections::BTreeSet;

use super::*;

on_every_bus!(
    everything_comes_in_order_with_its_position,
    a_new_start_sees_only_what_comes_later,
    a_durable_goes_on_where_it_was,
    filters_choose,
    filters_can_be_changed,
    two_durables_both_get_everything,
    two_intakes_of_one_durable_share,
    a_slow_intake_holds_no_more_than_its_prefetch,
    a_slow_intake_holds_no_more_bytes_than_it_may,
    messages_of_every_size_arrive_whatever_the_bound,
    no_more_are_delivered_than_may_be_unsettled,
    what_a_dropped_intake_held_comes_back_at_once,
    intakes_may_come_and_go_while_much_comes_in,
    a_cancelled_wait_loses_nothing,
    another_start_is_for_new_consumers_only,
    closing_gives_back_what_was_held,
);

async fn everything_comes_in_order_with_its_position(bus: AnyBus) {
    with_stream(&*bus).await;
    let incarnation_ms = soon(bus.stream("S")).await.unwrap().incarnation_ms;
    publish(&*bus, "in.a", ["1", "2"]).await;
    let mut intake = soon(bus.consume(&durable())).await.unwrap();
    publish(&*bus, "in.b", ["3"]).await;
    let mut stored_ns = 0;
    for sequence in 1..=3 {
        let delivery = next(&mut intake).await;
        let position = delivery.position.clone().unwrap();
        assert_eq!(text(&delivery), sequence.to_string());
        assert_eq!((position.stream.as_str(), position.sequence, position.attempt), ("S", sequence, 1));
        assert_eq!(position.incarnation_ms, incarnation_ms);
        assert!(position.stored_ns >= stored_ns && position.stored_ns / 1_000_000 >= incarnation_ms);
        stored_ns = position.stored_ns;
    }
    assert_eq!(intake.dropped(), 0);
}

async fn a_new_start_sees_only_what_comes_later(bus: AnyBus) {
    with_stream(&*bus).await;
    publish(&*bus, "in.a", ["old"]).await;
    let spec = DurableSpec { start: Start::New, ..durable() };
    let mut intake = soon(bus.consume(&spec)).await.unwrap();
    publish(&*bus, "in.a", ["new"]).await;
    assert_eq!(take(&*bus, &mut intake, 1).await, ["new"]);
    drop(intake);
    publish(&*bus, "in.a", ["meanwhile"]).await;
    let mut intake = soon(bus.consume(&spec)).await.unwrap();
    assert_eq!(take(&*bus, &mut intake, 1).await, ["meanwhile"]);
}

async fn a_durable_goes_on_where_it_was(bus: AnyBus) {
    with_stream(&*bus).await;
    publish(&*bus, "in.a", ["1", "2", "3"]).await;
    let mut intake = soon(bus.consume(&durable())).await.unwrap();
    assert_eq!(take(&*bus, &mut intake, 2).await, ["1", "2"]);
    drop(intake);
    let mut intake = soon(bus.consume(&durable())).await.unwrap();
    assert_eq!(take(&*bus, &mut intake, 1).await, ["3"]);
}

async fn filters_choose(bus: AnyBus) {
    with_stream(&*bus).await;
    for (durable_name, filters, wanted) in [
        ("one", vec!["in.a"], vec!["in.a"]),
        ("two", vec!["in.a", "in.b.*"], vec!["in.a", "in.b.x"]),
        ("all", vec![], vec!["in.a", "in.b.x", "in.c", "in.b.x.y"]),
    ] {
        let spec = DurableSpec {
            durable: durable_name.into(),
            filters: filters.into_iter().map(pattern).collect(),
            start: Start::New,
            ..durable()
        };
        let mut intake = soon(bus.consume(&spec)).await.unwrap();
        for subject in ["in.a", "in.b.x", "in.c", "in.b.x.y"] {
            publish(&*bus, subject, [subject]).await;
        }
        assert_eq!(take(&*bus, &mut intake, wanted.len()).await, wanted);
        assert_quiet(&mut intake).await;
    }
}

async fn filters_can_be_changed(bus: AnyBus) {
    with_stream(&*bus).await;
    let with = |filters: &[&str]| DurableSpec {
        filters: filters.iter().copied().map(pattern).collect(),
        max_ack_pending: 7,
        ..durable()
    };
    let mut intake = soon(bus.consume(&with(&["in.a"]))).await.unwrap();
    publish(&*bus, "in.a", ["1"]).await;
    assert_eq!(take(&*bus, &mut intake, 1).await, ["1"]);
    drop(intake);
    let mut intake = soon(bus.consume(&with(&["in.b", "in.c"]))).await.unwrap();
    for (subject, payload) in [("in.a", "2"), ("in.b", "3"), ("in.c", "4")] {
        publish(&*bus, subject, [payload]).await;
    }
    assert_eq!(take(&*bus, &mut intake, 2).await, ["3", "4"]);
}

async fn two_durables_both_get_everything(bus: AnyBus) {
    with_stream(&*bus).await;
    let mut first = soon(bus.consume(&durable())).await.unwrap();
    let mut second = soon(bus.consume(&DurableSpec { durable: "e".into(), ..durable() })).await.unwrap();
    publish(&*bus, "in.a", ["1", "2"]).await;
    assert_eq!(take(&*bus, &mut first, 2).await, ["1", "2"]);
    assert_eq!(take(&*bus, &mut second, 2).await, ["1", "2"]);
}

async fn two_intakes_of_one_durable_share(bus: AnyBus) {
    with_stream(&*bus).await;
    let spec = DurableSpec { prefetch: 4, ..durable() };
    let mut first = soon(bus.consume(&spec)).await.unwrap();
    let mut second = soon(bus.consume(&spec)).await.unwrap();
    let payloads: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    publish(&*bus, "in.a", payloads.iter().map(String::as_str)).await;
    let mut seen = BTreeSet::new();
    for _ in 0..payloads.len() {
        let delivery = tokio::select! {
            delivery = next(&mut first) => delivery,
            delivery = next(&mut second) => delivery,
        };
        settle(&*bus, &delivery, Settlement::Ack).await;
        assert!(seen.insert(text(&delivery)), "delivered twice: {delivery:?}");
    }
    assert_eq!(seen.len(), payloads.len());
}

async fn a_slow_intake_holds_no_more_than_its_prefetch(bus: AnyBus) {
    with_stream(&*bus).await;
    let spec = DurableSpec { prefetch: 2, ..durable() };
    let mut slow = soon(bus.consume(&spec)).await.unwrap();
    publish(&*bus, "in.a", ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"]).await;
    let mut quick = soon(bus.consume(&spec)).await.unwrap();
    let mut seen: BTreeSet<String> = take(&*bus, &mut quick, 8).await.into_iter().collect();
    for _ in 8..10 {
        let delivery = tokio::select! {
            delivery = next(&mut slow) => delivery,
            delivery = next(&mut quick) => delivery,
        };
        assert!(seen.insert(text(&delivery)), "delivered twice: {delivery:?}");
    }
}

async fn a_slow_intake_holds_no_more_bytes_than_it_may(bus: AnyBus) {
    with_stream(&*bus).await;
    // The least bound that there is: one message of the largest size, so ten of these.
    let spec = DurableSpec { prefetch_bytes: 1, ..durable() };
    let mut slow = soon(bus.consume(&spec)).await.unwrap();
    let large = "x".repeat(bus.max_message_bytes() / 10);
    publish(&*bus, "in.a", [large.as_str(); 40]).await;
    let mut quick = soon(bus.consume(&spec)).await.unwrap();
    take(&*bus, &mut quick, 29).await;
    for _ in 29..40 {
        let delivery = tokio::select! {
            delivery = next(&mut slow) => delivery,
            delivery = next(&mut quick) => delivery,
        };
        assert_eq!(attempt(&delivery), 1);
        settle(&*bus, &delivery, Settlement::Ack).await;
    }
}

async fn messages_of_every_size_arrive_whatever_the_bound(bus: AnyBus) {
    with_stream(&*bus).await;
    let most = bus.max_message_bytes();
    let sizes: Vec<usize> = (0..60).map(|n| [most, 1, 50_000, 0, most / 2, most - 1][n % 6]).collect();
    for size in &sizes {
        publish(&*bus, "in.a", [&*"x".repeat(*size)]).await;
    }
    for (prefetch, prefetch_bytes) in [(100, 1), (1, 1), (7, 3 * most)] {
        let durable_name = format!("d{prefetch}");
        let spec = DurableSpec { durable: durable_name, prefetch, prefetch_bytes, ..durable() };
        let mut intake = soon(bus.consume(&spec)).await.unwrap();
        let came = take(&*bus, &mut intake, sizes.len()).await;
        assert_eq!(came.iter().map(String::len).collect::<Vec<_>>(), sizes);
    }
}

async fn no_more_are_delivered_than_may_be_unsettled(bus: AnyBus) {
    with_stream(&*bus).await;
    publish(&*bus, "in.a", ["1", "2", "3", "4"]).await;
    let mut intake = soon(bus.consume(&DurableSpec { max_ack_pending: 2, ..durable() })).await.unwrap();
    let (first, second) = (next(&mut intake).await, next(&mut intake).await);
    assert_quiet(&mut intake).await;
    settle(&*bus, &first, Settlement::Ack).await;
    assert_eq!(text(&next(&mut intake).await), "3");
    assert_quiet(&mut intake).await;
    settle(&*bus, &second, Settlement::Term).await;
    assert_eq!(text(&next(&mut intake).await), "4");
}

async fn what_a_dropped_intake_held_comes_back_at_once(bus: AnyBus) {
    with_stream(&*bus).await;
    let payloads: Vec<String> = (0..50).map(|number| number.to_string()).collect();
    publish(&*bus, "in.a", payloads.iter().map(String::as_str)).await;
    let mut seen = BTreeSet::new();
    // The ack wait does not end during this test, so whatever comes was given back.
    for taken in [0, 1, 10] {
        let mut intake = soon(bus.consume(&durable())).await.unwrap();
        seen.extend(take(&*bus, &mut intake, taken).await);
        drop(intake);
    }
    let mut intake = soon(bus.consume(&durable())).await.unwrap();
    while seen.len() < payloads.len() {
        seen.extend(take(&*bus, &mut intake, 1).await);
    }
    assert_quiet(&mut intake).await;
}

async fn intakes_may_come_and_go_while_much_comes_in(bus: AnyBus) {
    const ALL: usize = 20_000;
    with_stream(&*bus).await;
    let publisher = tokio::spawn({
        let bus = Arc::clone(&bus);
        async move {
            for some in (0..ALL).collect::<Vec<_>>().chunks(50) {
                let publishes = some.iter().map(|number| bus.publish(message("in.a", number.to_string())));
                futures::future::join_all(publishes).await;
            }
        }
    });
    let mut seen = BTreeSet::new();
    let spec = DurableSpec { prefetch: 200, ..durable() };
    for taken in 0..40 {
        let mut intake = soon(bus.consume(&spec)).await.unwrap();
        seen.extend(take(&*bus, &mut intake, taken).await);
    }
    // One message lost on its way to an intake that was dropped would not come again during this test.
    let mut intake = soon(bus.consume(&spec)).await.unwrap();
    while seen.len() < ALL {
        seen.extend(take(&*bus, &mut intake, 1).await);
    }
    soon(publisher).await.unwrap();
}

async fn a_cancelled_wait_loses_nothing(bus: AnyBus) {
    with_stream(&*bus).await;
    let mut intake = soon(bus.consume(&durable())).await.unwrap();
    let mut came = Vec::new();
    for number in 0..50 {
        soon(bus.publish(message("in.a", number.to_string()))).await.unwrap();
        // A wait that is polled once: it either has something or is given up.
        if let std::task::Poll::Ready(delivery) = futures::poll!(intake.next()) {
            came.push(text(&delivery.unwrap().unwrap()));
        }
    }
    while came.len() < 50 {
        came.push(text(&next(&mut intake).await));
    }
    assert_eq!(came, (0..50).map(|number| number.to_string()).collect::<Vec<_>>());
}

async fn another_start_is_for_new_consumers_only(bus: AnyBus) {
    with_stream(&*bus).await;
    publish(&*bus, "in.a", ["1", "2"]).await;
    let mut intake = soon(bus.consume(&durable())).await.unwrap();
    assert_eq!(take(&*bus, &mut intake, 1).await, ["1"]);
    drop(intake);
    let mut intake = soon(bus.consume(&DurableSpec { start: Start::New, ..durable() })).await.unwrap();
    assert_eq!(take(&*bus, &mut intake, 1).await, ["2"], "it goes on where it was");
}

async fn closing_gives_back_what_was_held(bus: AnyBus) {
    with_stream(&*bus).await;
    publish(&*bus, "in.a", ["1", "2", "3"]).await;
    let mut intake = soon(bus.consume(&durable())).await.unwrap();
    assert_eq!(take(&*bus, &mut intake, 1).await, ["1"]);
    drop(intake);
    soon(bus.close()).await.unwrap();
    assert!(bus.publish(message("in.a", "4")).await.is_err());
}
