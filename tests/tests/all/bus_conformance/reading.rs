//! Streams read without a consumer, messages taken out, and work queues.

use wasmill::bus::{BusError, READ_BYTES, ReadSpec};

use super::*;

on_every_bus!(
    a_stream_is_read_in_order_some_at_a_time,
    what_is_read_is_as_it_was_published,
    filters_choose_what_is_read,
    gaps_are_passed_over,
    no_read_is_larger_than_its_bound,
    what_is_not_there_cannot_be_read_or_erased,
    a_work_queue_gives_each_message_once,
    a_work_queue_has_one_consumer_a_subject,
    an_erased_message_is_not_delivered,
);

fn from(from: u64) -> ReadSpec {
    ReadSpec { stream: "S".into(), from, filter: None, at_most: 1_000 }
}

/// Reads to the end, some at a time.
async fn all(bus: &dyn Bus, mut spec: ReadSpec) -> Vec<(u64, String)> {
    let mut all = Vec::new();
    loop {
        let page = soon(bus.read(&spec)).await.unwrap();
        assert!(page.len() <= spec.at_most);
        let Some(last) = page.last() else { return all };
        spec.from = last.sequence + 1;
        all.extend(
            page.into_iter()
                .map(|stored| (stored.sequence, String::from_utf8(stored.message.payload.to_vec()).unwrap())),
        );
    }
}

fn numbered(sequences: impl IntoIterator<Item = u64>) -> Vec<(u64, String)> {
    sequences.into_iter().map(|sequence| (sequence, sequence.to_string())).collect()
}

async fn fill(bus: &dyn Bus, subject: impl Fn(u64) -> &'static str, count: u64) {
    with_stream(bus).await;
    for sequence in 1..=count {
        soon(bus.publish(message(subject(sequence), sequence.to_string()))).await.unwrap();
    }
}

async fn a_stream_is_read_in_order_some_at_a_time(bus: AnyBus) {
    fill(&*bus, |_| "in.a", 200).await;
    for at_most in [1, 7, 64, 1_000] {
        assert_eq!(all(&*bus, ReadSpec { at_most, ..from(0) }).await, numbered(1..=200));
    }
    assert_eq!(all(&*bus, from(150)).await, numbered(150..=200));
    assert_eq!(all(&*bus, from(201)).await, []);
    assert_eq!(all(&*bus, from(u64::MAX)).await, []);
}

async fn what_is_read_is_as_it_was_published(bus: AnyBus) {
    with_stream(&*bus).await;
    let mut sent = message("in.é", "");
    sent.payload = vec![0, 0xff, b'\r', b'\n'].into();
    for (name, value) in [("B", "1"), ("a", "2"), ("a", "3"), ("x-u", "ö: ä")] {
        sent.headers.push_received(name, value);
    }
    soon(bus.publish(sent.clone())).await.unwrap();
    let read = soon(bus.read(&from(1))).await.unwrap();
    assert_eq!(read[0].message, sent);
    let mut intake = soon(bus.consume(&durable())).await.unwrap();
    let delivery = next(&mut intake).await;
    assert_eq!(delivery.message, read[0].message, "as a consumer has it");
    assert_eq!(delivery.position.unwrap().stored_ns, read[0].stored_ns);
}

async fn filters_choose_what_is_read(bus: AnyBus) {
    let subject = |sequence: u64| match sequence {
        n if n.is_multiple_of(50) => "in.rare",
        n if n.is_multiple_of(2) => "in.even.x",
        _ => "in.odd",
    };
    fill(&*bus, subject, 200).await;
    let under = |text: &str| ReadSpec { filter: Some(pattern(text)), at_most: 9, ..from(1) };
    assert_eq!(all(&*bus, under("in.rare")).await, numbered([50, 100, 150, 200]));
    assert_eq!(all(&*bus, under("in.even.*")).await.len(), 96);
    assert_eq!(all(&*bus, under("in.*")).await.len(), 104);
    assert_eq!(all(&*bus, under("in.none")).await, []);
}

async fn gaps_are_passed_over(bus: AnyBus) {
    fill(&*bus, |_| "in.a", 100).await;
    for sequence in (1..=90).filter(|sequence| sequence % 30 != 0) {
        assert!(soon(bus.erase("S", sequence)).await.unwrap());
    }
    assert_eq!(all(&*bus, from(0)).await, numbered([30, 60].into_iter().chain(90..=100)));
    assert_eq!(soon(bus.stream("S")).await.unwrap().messages, 13);
}

async fn no_read_is_larger_than_its_bound(bus: AnyBus) {
    with_stream(&*bus).await;
    let payload = "x".repeat(bus.max_message_bytes());
    for _ in 0..12 {
        soon(bus.publish(message("in.a", payload.as_str()))).await.unwrap();
    }
    let page = soon(bus.read(&from(1))).await.unwrap();
    let bytes: usize = page.iter().map(|stored| stored.message.payload.len()).sum();
    assert!((READ_BYTES..2 * READ_BYTES).contains(&bytes), "{bytes}");
    assert_eq!(all(&*bus, from(1)).await.len(), 12);
}

async fn what_is_not_there_cannot_be_read_or_erased(bus: AnyBus) {
    let missing = |error: BusError| assert!(matches!(error, BusError::StreamMissing(_)), "{error}");
    missing(soon(bus.read(&from(1))).await.unwrap_err());
    missing(soon(bus.erase("S", 1)).await.unwrap_err());
    fill(&*bus, |_| "in.a", 2).await;
    for (sequence, was_there) in [(2, true), (2, false), (7, false), (1, true)] {
        assert_eq!(soon(bus.erase("S", sequence)).await.unwrap(), was_there, "{sequence}");
    }
    let strange = ReadSpec { stream: "a.b".into(), ..from(1) };
    assert!(matches!(soon(bus.read(&strange)).await, Err(BusError::Refused { .. })));
    assert!(matches!(soon(bus.erase("a b", 1)).await, Err(BusError::Refused { .. })));
}

async fn with_queue(bus: &dyn Bus) {
    let spec = StreamSpec { retention: Retention::WorkQueue, ..stream() };
    soon(bus.ensure_stream(&spec)).await.unwrap();
}

/// One consumer for each subject of the queue.
fn worker(subject: &str) -> DurableSpec {
    DurableSpec {
        durable: subject.replace(['.', '*'], "-"),
        filters: vec![pattern(subject)],
        ack_wait: Duration::from_millis(400),
        ..durable()
    }
}

async fn a_work_queue_gives_each_message_once(bus: AnyBus) {
    with_queue(&*bus).await;
    publish(&*bus, "in.a", ["1", "2", "3"]).await;
    publish(&*bus, "in.nobody", ["4"]).await;
    let mut intake = soon(bus.consume(&worker("in.a"))).await.unwrap();
    let (first, second, third) = (next(&mut intake).await, next(&mut intake).await, next(&mut intake).await);
    settle(&*bus, &first, Settlement::Ack).await;
    settle(&*bus, &second, Settlement::Term).await;
    settle(&*bus, &third, Settlement::Nak(Duration::ZERO)).await;
    let again = next(&mut intake).await;
    assert_eq!((text(&again), attempt(&again)), ("3".to_owned(), 2));
    settle(&*bus, &again, Settlement::Ack).await;
    while soon(bus.stream("S")).await.unwrap().messages > 1 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(all(&*bus, from(1)).await, [(4, "4".to_owned())], "what nobody asks for is kept");
    let repeat = soon(bus.publish(with_id("in.a", "x"))).await.unwrap();
    assert!(!repeat.duplicate);
    settle(&*bus, &next(&mut intake).await, Settlement::Ack).await;
    let repeat = soon(bus.publish(with_id("in.a", "x"))).await.unwrap();
    assert!(repeat.duplicate, "what was done is remembered");
    assert_quiet(&mut intake).await;
}

async fn a_work_queue_has_one_consumer_a_subject(bus: AnyBus) {
    with_queue(&*bus).await;
    let _a = soon(bus.consume(&worker("in.a"))).await.unwrap();
    let _b = soon(bus.consume(&worker("in.b"))).await.unwrap();
    let error = soon(bus.consume(&worker("in.*"))).await.err().unwrap();
    assert!(error.to_string().contains("not unique"), "{error}");
    let known = async |durable| soon(bus.has_durable("S", durable)).await.unwrap();
    assert!(known("in-a").await && !known("in-c").await);
    assert!(matches!(soon(bus.has_durable("T", "in-a")).await, Err(BusError::StreamMissing(_))));
    let _again = soon(bus.consume(&worker("in.a"))).await.unwrap();
}

async fn an_erased_message_is_not_delivered(bus: AnyBus) {
    fill(&*bus, |_| "in.a", 3).await;
    assert!(soon(bus.erase("S", 2)).await.unwrap());
    let mut intake = soon(bus.consume(&durable())).await.unwrap();
    assert_eq!(take(&*bus, &mut intake, 2).await, ["1", "3"]);
    assert_quiet(&mut intake).await;
}
