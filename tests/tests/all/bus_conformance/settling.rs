//! Settlements: ack, nak with delay, term, ack wait, and those that mean nothing.

use wasmill::bus::memory::MemoryBus;

use super::*;

on_every_bus!(
    what_is_done_does_not_come_again,
    what_is_put_off_comes_again_in_its_time,
    what_is_not_settled_comes_again,
    attempts_are_counted,
    what_is_put_off_for_ever_does_not_come,
    settling_twice_is_harmless,
    a_strange_receipt_is_harmless,
);

/// An ack wait that ends soon.
const SHORT: Duration = Duration::from_millis(400);

fn impatient() -> DurableSpec {
    DurableSpec { ack_wait: SHORT, ..durable() }
}

async fn three(bus: &dyn Bus, spec: &DurableSpec) -> (Box<dyn Intake>, [Delivery; 3]) {
    with_stream(bus).await;
    publish(bus, "in.a", ["1", "2", "3"]).await;
    let mut intake = soon(bus.consume(spec)).await.unwrap();
    let first = next(&mut intake).await;
    let second = next(&mut intake).await;
    let third = next(&mut intake).await;
    (intake, [first, second, third])
}

async fn what_is_done_does_not_come_again(bus: AnyBus) {
    let (mut intake, [acked, termed, put_off]) = three(&*bus, &impatient()).await;
    settle(&*bus, &acked, Settlement::Ack).await;
    settle(&*bus, &termed, Settlement::Term).await;
    // It comes back after the ack wait of the other two, so they would have come before it.
    settle(&*bus, &put_off, Settlement::Nak(SHORT * 2)).await;
    let again = next(&mut intake).await;
    assert_eq!((text(&again).as_str(), attempt(&again)), ("3", 2));
}

async fn what_is_put_off_comes_again_in_its_time(bus: AnyBus) {
    let (mut intake, [later, soonest, sooner]) = three(&*bus, &durable()).await;
    settle(&*bus, &later, Settlement::Nak(Duration::from_millis(900))).await;
    settle(&*bus, &sooner, Settlement::Nak(Duration::from_millis(300))).await;
    settle(&*bus, &soonest, Settlement::Nak(Duration::ZERO)).await;
    assert_eq!(take(&*bus, &mut intake, 3).await, ["2", "3", "1"]);
}

async fn what_is_not_settled_comes_again(bus: AnyBus) {
    let (mut intake, [first, _, third]) = three(&*bus, &impatient()).await;
    settle(&*bus, &first, Settlement::Ack).await;
    settle(&*bus, &third, Settlement::Ack).await;
    let again = next(&mut intake).await;
    assert_eq!((text(&again).as_str(), attempt(&again)), ("2", 2));
}

async fn attempts_are_counted(bus: AnyBus) {
    with_stream(&*bus).await;
    publish(&*bus, "in.a", ["1"]).await;
    let mut intake = soon(bus.consume(&durable())).await.unwrap();
    // Far more often than any limit that the server would set by itself.
    for count in 1..=30 {
        let delivery = next(&mut intake).await;
        assert_eq!((text(&delivery).as_str(), attempt(&delivery)), ("1", count));
        settle(&*bus, &delivery, Settlement::Nak(Duration::ZERO)).await;
    }
}

async fn what_is_put_off_for_ever_does_not_come(bus: AnyBus) {
    let (mut intake, [first, second, third]) = three(&*bus, &durable()).await;
    settle(&*bus, &first, Settlement::Nak(Duration::MAX)).await;
    settle(&*bus, &second, Settlement::Nak(Duration::ZERO)).await;
    settle(&*bus, &third, Settlement::Ack).await;
    assert_eq!(take(&*bus, &mut intake, 1).await, ["2"]);
    assert_quiet(&mut intake).await;
}

async fn settling_twice_is_harmless(bus: AnyBus) {
    let (mut intake, deliveries) = three(&*bus, &durable()).await;
    for delivery in &deliveries {
        settle(&*bus, delivery, Settlement::Ack).await;
    }
    for settlement in [
        Settlement::Ack,
        Settlement::Nak(Duration::ZERO),
        Settlement::Nak(Duration::MAX),
        Settlement::Term,
        Settlement::InProgress,
    ] {
        settle(&*bus, &deliveries[0], settlement).await;
    }
    soon(bus.flush()).await.unwrap();
    publish(&*bus, "in.a", ["4"]).await;
    assert_eq!(take(&*bus, &mut intake, 1).await, ["4"]);
}

async fn a_strange_receipt_is_harmless(bus: AnyBus) {
    // A receipt of a bus that is not this one.
    let other = MemoryBus::new();
    let (_intake, [delivery, ..]) = three(&*other, &durable()).await;
    let receipt = delivery.receipt.unwrap();
    for settlement in [Settlement::Ack, Settlement::Nak(Duration::ZERO), Settlement::Term] {
        // Refused by name or passed over.
        let _ = soon(bus.settle(&receipt, settlement)).await;
    }
    soon(bus.flush()).await.unwrap();
    with_stream(&*bus).await;
    publish(&*bus, "in.a", ["1"]).await;
}

#[tokio::test(start_paused = true)]
async fn work_in_progress_starts_the_ack_wait_anew() {
    let bus = MemoryBus::new();
    let (mut intake, [first, _, _]) = three(&*bus, &impatient()).await;
    tokio::time::advance(SHORT / 2).await;
    settle(&*bus, &first, Settlement::InProgress).await;
    assert_eq!(take(&*bus, &mut intake, 3).await, ["2", "3", "1"]);
}
