//! Subscriptions without a stream.

use wasmill::bus::{BusError, BusEvent, CoreSpec};

use super::*;

on_every_bus!(
    a_subscription_is_in_force_when_it_is_returned,
    a_queue_group_shares_and_others_get_all,
    what_does_not_fit_is_dropped_and_counted,
    streams_and_subscriptions_see_the_same_message,
    a_dropped_subscription_ends,
    flush_is_answered,
);

fn spec(subject: &str) -> CoreSpec {
    CoreSpec { subject: pattern(subject), queue_group: None, buffer: 1_000 }
}

async fn a_subscription_is_in_force_when_it_is_returned(bus: AnyBus) {
    for number in 0..20 {
        let subject = format!("core.{number}");
        let mut intake = soon(bus.subscribe(&spec(&subject))).await.unwrap();
        let mut question = message(&subject, "x");
        question.reply_to = Some(Subject::new("answers.here").unwrap());
        soon(bus.publish_core(question)).await.unwrap();
        let delivery = next(&mut intake).await;
        assert_eq!(delivery.message.reply_to.as_ref().map(Subject::as_str), Some("answers.here"));
        assert_eq!((delivery.position, delivery.receipt), (None, None));
    }
}

async fn a_queue_group_shares_and_others_get_all(bus: AnyBus) {
    let group = CoreSpec { queue_group: Some("g".into()), ..spec("core.*") };
    let mut first = soon(bus.subscribe(&group)).await.unwrap();
    let mut second = soon(bus.subscribe(&group)).await.unwrap();
    let mut other_group =
        soon(bus.subscribe(&CoreSpec { queue_group: Some("h".into()), ..group })).await.unwrap();
    let mut all = soon(bus.subscribe(&spec("core.a"))).await.unwrap();
    for number in 0..20 {
        soon(bus.publish_core(message("core.a", number.to_string()))).await.unwrap();
    }
    for number in 0..20 {
        assert_eq!(text(&next(&mut all).await), number.to_string());
        assert_eq!(text(&next(&mut other_group).await), number.to_string());
        let _one_of_them = tokio::select! {
            delivery = next(&mut first) => delivery,
            delivery = next(&mut second) => delivery,
        };
    }
    for intake in [&mut first, &mut second, &mut all, &mut other_group] {
        assert_quiet(intake).await;
        assert_eq!(intake.dropped(), 0);
    }
}

async fn what_does_not_fit_is_dropped_and_counted(bus: AnyBus) {
    let mut events = bus.events();
    let mut intake = soon(bus.subscribe(&CoreSpec { buffer: 4, ..spec("core.*") })).await.unwrap();
    for number in 0..10 {
        soon(bus.publish_core(message("core.a", number.to_string()))).await.unwrap();
    }
    let mut told = 0;
    while told < 6 {
        if let BusEvent::Dropped { subject, count } = soon(events.recv()).await.unwrap() {
            assert_eq!(subject, "core.*");
            told += count;
        }
    }
    assert_eq!((told, intake.dropped()), (6, 6));
    for number in 0..4 {
        assert_eq!(text(&next(&mut intake).await), number.to_string());
    }
    soon(bus.publish_core(message("core.a", "there is room again"))).await.unwrap();
    assert_eq!(text(&next(&mut intake).await), "there is room again");
}

async fn streams_and_subscriptions_see_the_same_message(bus: AnyBus) {
    with_stream(&*bus).await;
    let mut durable_intake = soon(bus.consume(&durable())).await.unwrap();
    let mut core_intake = soon(bus.subscribe(&spec("in.*"))).await.unwrap();
    publish(&*bus, "in.a", ["1"]).await;
    soon(bus.publish_core(message("in.a", "2"))).await.unwrap();
    for wanted in ["1", "2"] {
        assert_eq!(text(&next(&mut durable_intake).await), wanted);
        assert_eq!(text(&next(&mut core_intake).await), wanted);
    }
}

async fn a_dropped_subscription_ends(bus: AnyBus) {
    let intake = soon(bus.subscribe(&spec("core.a"))).await.unwrap();
    drop(intake);
    let mut intake = soon(bus.subscribe(&spec("core.a"))).await.unwrap();
    soon(bus.publish_core(message("core.a", "x"))).await.unwrap();
    assert_eq!(text(&next(&mut intake).await), "x");
}

async fn flush_is_answered(bus: AnyBus) {
    assert!(bus.is_connected());
    let all = (0..200).map(|_| bus.flush());
    for flushed in soon(futures::future::join_all(all)).await {
        flushed.unwrap();
    }
    soon(bus.close()).await.unwrap();
    let error = soon(bus.flush()).await.unwrap_err();
    assert!(matches!(error, BusError::Disconnected { .. }), "{error}");
}
