//! Streams followed in order, without acks.

use wasmill::bus::{Begin, BucketSpec, BusError, Follow, FollowSpec, Followed};

use super::*;

on_every_bus!(
    a_stream_is_followed_from_any_place,
    what_is_stored_later_follows,
    a_stream_is_followed_from_a_time,
    the_last_of_each_subject_comes_first,
    filters_choose_what_is_followed,
    what_is_followed_is_as_it_was_published,
    payloads_can_be_left_out,
    what_is_pending_is_counted_down,
    what_was_purged_is_not_pending,
    nothing_is_lost_by_who_gives_up_waiting,
    a_stream_that_goes_away_ends_its_followers,
    what_cannot_be_followed_is_refused,
    little_is_held_ahead_if_that_is_asked_for,
    a_closed_bus_ends_its_followers,
);

pub(super) fn follow(begin: Begin) -> FollowSpec {
    FollowSpec {
        stream: "S".into(),
        filters: Vec::new(),
        begin,
        headers_only: false,
        prefetch: 100,
        prefetch_bytes: 1_000_000,
    }
}

pub(super) type AnyFollow = Box<dyn Follow>;

pub(super) async fn open(bus: &dyn Bus, spec: &FollowSpec) -> AnyFollow {
    soon(bus.follow(spec)).await.unwrap()
}

pub(super) async fn coming(follow: &mut AnyFollow) -> Followed {
    soon(follow.next()).await.expect("the stream ended").unwrap()
}

pub(super) async fn some(follow: &mut AnyFollow, count: usize) -> Vec<(u64, String)> {
    let mut some = Vec::new();
    for _ in 0..count {
        let followed = coming(follow).await;
        let text = String::from_utf8(followed.message.payload.to_vec()).unwrap();
        some.push((followed.position.sequence, text));
    }
    some
}

async fn assert_none_comes(follow: &mut AnyFollow) {
    if let Ok(came) = tokio::time::timeout(LOOK, follow.next()).await {
        panic!("nothing was to come, but: {came:?}");
    }
}

async fn fill(bus: &dyn Bus, count: u64) {
    with_stream(bus).await;
    let texts: Vec<String> = (1..=count).map(|number| number.to_string()).collect();
    publish(bus, "in.a", texts.iter().map(String::as_str)).await;
}

fn numbered(sequences: impl IntoIterator<Item = u64>) -> Vec<(u64, String)> {
    sequences.into_iter().map(|sequence| (sequence, sequence.to_string())).collect()
}

async fn a_stream_is_followed_from_any_place(bus: AnyBus) {
    fill(&*bus, 300).await;
    for (first, count) in [(0, 300), (1, 300), (150, 151), (300, 1)] {
        let mut follow = open(&*bus, &follow(Begin::At(first))).await;
        assert_eq!(follow.pending(), count as u64);
        assert_eq!(some(&mut follow, count).await, numbered(first.max(1)..=300));
        assert_eq!(follow.pending(), 0);
        assert_none_comes(&mut follow).await;
    }
    // Beyond its end, what is between does not count.
    let mut beyond = open(&*bus, &follow(Begin::At(303))).await;
    publish(&*bus, "in.a", ["301", "302", "303"]).await;
    assert_eq!(some(&mut beyond, 1).await, numbered([303]));
}

async fn what_is_stored_later_follows(bus: AnyBus) {
    fill(&*bus, 3).await;
    let mut all = open(&*bus, &follow(Begin::At(1))).await;
    let mut new = open(&*bus, &follow(Begin::New)).await;
    assert_eq!((all.pending(), new.pending()), (3, 0));
    publish(&*bus, "in.b", ["4", "5"]).await;
    assert_eq!(some(&mut all, 5).await, numbered(1..=5));
    assert_eq!(some(&mut new, 2).await, numbered(4..=5));
    let (came, ()) = tokio::join!(some(&mut new, 1), publish(&*bus, "in.a", ["6"]));
    assert_eq!(came, numbered([6]));
}

async fn a_stream_is_followed_from_a_time(bus: AnyBus) {
    fill(&*bus, 2).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    publish(&*bus, "in.a", ["3", "4"]).await;
    let third = coming(&mut open(&*bus, &follow(Begin::At(3))).await).await.position.stored_ns;
    for (time, wanted) in [(third, 3..=4), (third - 1, 3..=4), (0, 1..=4)] {
        let mut follow = open(&*bus, &follow(Begin::Time(time))).await;
        let count = wanted.clone().count();
        assert_eq!(follow.pending(), count as u64);
        assert_eq!(some(&mut follow, count).await, numbered(wanted));
    }
    let mut later = open(&*bus, &follow(Begin::Time(third + 3_600_000_000_000))).await;
    assert_eq!(later.pending(), 0);
    assert_none_comes(&mut later).await;
}

async fn the_last_of_each_subject_comes_first(bus: AnyBus) {
    with_stream(&*bus).await;
    let mut empty = open(&*bus, &follow(Begin::LastPerSubject)).await;
    for (subject, text) in [("in.a", "1"), ("in.b", "2"), ("in.a", "3"), ("in.c", "4"), ("in.b", "5")] {
        publish(&*bus, subject, [text]).await;
    }
    assert_eq!(some(&mut empty, 5).await, numbered(1..=5));
    let mut last = open(&*bus, &follow(Begin::LastPerSubject)).await;
    assert_eq!(last.pending(), 3);
    publish(&*bus, "in.d", ["6", "7"]).await;
    assert_eq!(some(&mut last, 5).await, numbered(3..=7));
    let filtered =
        FollowSpec { filters: vec![pattern("in.a"), pattern("in.d")], ..follow(Begin::LastPerSubject) };
    assert_eq!(some(&mut open(&*bus, &filtered).await, 2).await, numbered([3, 7]));
    // In a bucket there is nothing else.
    soon(bus.ensure_bucket(&BucketSpec { name: "b".into(), replicas: 1 })).await.unwrap();
    for text in ["1", "2", "3"] {
        publish(&*bus, "$KV.b.x", [text]).await;
        publish(&*bus, &format!("$KV.b.{text}"), [text]).await;
    }
    let mut bucket =
        open(&*bus, &FollowSpec { stream: "KV_b".into(), ..follow(Begin::LastPerSubject) }).await;
    assert_eq!(bucket.pending(), 4);
    let texts: Vec<String> = some(&mut bucket, 4).await.into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, ["1", "2", "3", "3"]);
}

async fn filters_choose_what_is_followed(bus: AnyBus) {
    with_stream(&*bus).await;
    for number in 1..=100_u64 {
        let subject = match number {
            n if n.is_multiple_of(50) => "in.rare",
            n if n.is_multiple_of(2) => "in.even.x",
            _ => "in.odd",
        };
        publish(&*bus, subject, [&*number.to_string()]).await;
    }
    let under = |texts: &[&str]| FollowSpec {
        filters: texts.iter().map(|text| pattern(text)).collect(),
        ..follow(Begin::At(1))
    };
    for (filters, wanted) in [
        (&["in.rare"][..], numbered([50, 100])),
        (&["in.rare", "in.odd"], numbered((1..=100).filter(|n| n % 2 == 1 || n % 50 == 0))),
        (&["in.>"], numbered(1..=100)),
    ] {
        let mut follow = open(&*bus, &under(filters)).await;
        assert_eq!(follow.pending(), wanted.len() as u64);
        assert_eq!(some(&mut follow, wanted.len()).await, wanted);
    }
    let mut nothing = open(&*bus, &under(&["in.none"])).await;
    assert_eq!(nothing.pending(), 0);
    assert_none_comes(&mut nothing).await;
}

async fn what_is_followed_is_as_it_was_published(bus: AnyBus) {
    with_stream(&*bus).await;
    let mut sent = message("in.é", "");
    sent.payload = vec![0, 0xff, b'\r', b'\n'].into();
    for (name, value) in [("B", "1"), ("a", "2"), ("a", "3"), ("x-u", "ö: ä")] {
        sent.headers.push_received(name, value);
    }
    let stored = soon(bus.publish(sent.clone())).await.unwrap();
    let info = soon(bus.stream("S")).await.unwrap();
    let followed = coming(&mut open(&*bus, &follow(Begin::At(1))).await).await;
    assert_eq!(followed.message, sent);
    let position = followed.position;
    assert_eq!((position.stream.as_str(), position.sequence, position.attempt), ("S", stored.sequence, 1));
    assert_eq!(position.incarnation_ms, info.incarnation_ms);
    let read = soon(bus.last("S", &sent.subject)).await.unwrap().unwrap();
    assert_eq!((read.stored_ns, read.message), (position.stored_ns, sent));
}

async fn payloads_can_be_left_out(bus: AnyBus) {
    with_stream(&*bus).await;
    let mut sent = message("in.a", "12345");
    sent.headers.push("Name", "value");
    soon(bus.publish(sent)).await.unwrap();
    let spec = FollowSpec { headers_only: true, ..follow(Begin::At(1)) };
    let came = coming(&mut open(&*bus, &spec).await).await.message;
    assert_eq!((came.headers.get("Name"), came.headers.get("Nats-Msg-Size")), (Some("value"), Some("5")));
    assert!(came.payload.is_empty());
}

async fn what_is_pending_is_counted_down(bus: AnyBus) {
    fill(&*bus, 20).await;
    assert!(soon(bus.erase("S", 10)).await.unwrap());
    let mut follow = open(&*bus, &follow(Begin::At(1))).await;
    assert_eq!(follow.pending(), 19);
    for left in (0..19).rev() {
        assert_eq!(coming(&mut follow).await.pending, left);
        assert_eq!(follow.pending(), left);
    }
    publish(&*bus, "in.a", ["21"]).await;
    assert_eq!(coming(&mut follow).await.pending, 0);
}

async fn what_was_purged_is_not_pending(bus: AnyBus) {
    fill(&*bus, 20).await;
    let few = FollowSpec { prefetch: 2, ..follow(Begin::At(1)) };
    let mut follow = open(&*bus, &few).await;
    coming(&mut follow).await;
    assert_eq!(soon(bus.purge("S", None)).await.unwrap(), 20);
    // What is on its way already may still come; then the server says that there is no more.
    let none = async {
        loop {
            if tokio::time::timeout(LOOK, follow.next()).await.is_err() && follow.pending() == 0 {
                return;
            }
        }
    };
    soon(none).await;
    publish(&*bus, "in.a", ["21"]).await;
    assert_eq!(some(&mut follow, 1).await, numbered([21]));
}

async fn nothing_is_lost_by_who_gives_up_waiting(bus: AnyBus) {
    with_stream(&*bus).await;
    let mut follow = open(&*bus, &FollowSpec { prefetch: 3, ..follow(Begin::New) }).await;
    let texts: Vec<String> = (1..=200).map(|number| number.to_string()).collect();
    let publishing = publish(&*bus, "in.a", texts.iter().map(String::as_str));
    let following = async {
        let mut came = Vec::new();
        while came.len() < 200 {
            // Given up at every point at which it waits, and taken up again.
            let mut next = Box::pin(follow.next());
            if let Some(next) = futures::FutureExt::now_or_never(next.as_mut()) {
                let followed = next.expect("the stream ended").unwrap();
                came.push(followed.position.sequence);
            } else {
                drop(next);
                tokio::task::yield_now().await;
            }
        }
        came
    };
    let ((), came) = tokio::join!(publishing, soon(following));
    assert_eq!(came, (1..=200).collect::<Vec<u64>>());
}

async fn a_stream_that_goes_away_ends_its_followers(bus: AnyBus) {
    fill(&*bus, 2).await;
    let mut gone = open(&*bus, &follow(Begin::At(1))).await;
    assert_eq!(some(&mut gone, 2).await, numbered(1..=2));
    assert!(soon(bus.delete_stream("S")).await.unwrap());
    let error = soon(gone.next()).await.unwrap().unwrap_err();
    assert!(matches!(&error, BusError::StreamMissing(name) if name == "S"), "{error}");
    assert!(soon(gone.next()).await.is_none());

    fill(&*bus, 2).await;
    let mut replaced = open(&*bus, &follow(Begin::At(1))).await;
    assert_eq!(some(&mut replaced, 2).await, numbered(1..=2));
    assert!(soon(bus.delete_stream("S")).await.unwrap());
    fill(&*bus, 5).await;
    let error = soon(replaced.next()).await.unwrap().unwrap_err();
    assert!(matches!(&error, BusError::StreamReplaced { stream, .. } if stream == "S"), "{error}");
    assert!(soon(replaced.next()).await.is_none());
}

async fn what_cannot_be_followed_is_refused(bus: AnyBus) {
    let Err(error) = soon(bus.follow(&follow(Begin::New))).await else { panic!("there is no stream") };
    assert!(matches!(&error, BusError::StreamMissing(name) if name == "S"), "{error}");
    let strange = FollowSpec { stream: "a.b".into(), ..follow(Begin::New) };
    let Err(error) = soon(bus.follow(&strange)).await else { panic!("it is no name") };
    assert!(matches!(error, BusError::Refused { .. }), "{error}");
    let queue = StreamSpec { retention: Retention::WorkQueue, ..stream() };
    soon(bus.ensure_stream(&queue)).await.unwrap();
    let Err(error) = soon(bus.follow(&follow(Begin::New))).await else { panic!("it wants acks") };
    assert!(matches!(error, BusError::Refused { .. }), "{error}");
}

async fn little_is_held_ahead_if_that_is_asked_for(bus: AnyBus) {
    with_stream(&*bus).await;
    let large = "x".repeat(bus.max_message_bytes());
    for _ in 0..10 {
        publish(&*bus, "in.a", [large.as_str(), "small"]).await;
    }
    for (prefetch, prefetch_bytes) in [(1, 1), (1, usize::MAX), (1_000, 1), (usize::MAX, 3_000_000)] {
        let spec = FollowSpec { prefetch, prefetch_bytes, ..follow(Begin::At(1)) };
        let mut follow = open(&*bus, &spec).await;
        for number in 0..20 {
            let length = coming(&mut follow).await.message.payload.len();
            assert_eq!(length, if number % 2 == 0 { large.len() } else { 5 });
        }
    }
}

async fn a_closed_bus_ends_its_followers(bus: AnyBus) {
    fill(&*bus, 1).await;
    let mut follow = open(&*bus, &follow(Begin::New)).await;
    let (ended, closed) = tokio::join!(soon(follow.next()), soon(bus.close()));
    closed.unwrap();
    assert!(ended.is_none(), "{ended:?}");
    assert!(soon(follow.next()).await.is_none());
}
