//! Queries 5, 7, 8, 11 and 12 of the NEXMark benchmark as keyed plugins, against a computation over the whole input.
//!
//! The stream is that of the `nexmark` crate: people, their auctions, and bids, in the proportion 1:3:46. The queries are
//! those of the NEXMark suite of Apache Beam and its SQL form for Apache Flink (github.com/nexmark/nexmark). Each is run
//! three times: with events out of order within the disorder that the windows allow, with late events that are taken as
//! corrections, and with late events that are dropped. `WINDOWS.md` says how each query maps to plugins.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests assert by panicking, helpers of theirs too"
)]

mod expected;
mod plugins;
mod run;
mod stream;

use std::collections::BTreeMap;

use expected::Clock;
use nexmark::event::{Bid, Event};
use run::{Run, Windowing};
use stream::Arrival;
use wasmill_sdk::testing::json;

/// How far out of order events come, beside the late ones, in ms.
const DISORDER_MS: u64 = 2_000;
/// By how much the late ones are late at most, in ms.
const LATEST_MS: u64 = 20_000;
const EVENTS: usize = 12_000;

const ON_TIME: Windowing = Windowing { disorder_ms: DISORDER_MS, lateness_ms: 0 };
const CORRECTED: Windowing = Windowing { disorder_ms: DISORDER_MS, lateness_ms: 2 * LATEST_MS };

fn on_time() -> Vec<Arrival> {
    stream::arrivals(EVENTS, DISORDER_MS, 0)
}

fn with_late_ones() -> Vec<Arrival> {
    stream::arrivals(EVENTS, DISORDER_MS, LATEST_MS)
}

fn bids(arrivals: &[Arrival]) -> impl Iterator<Item = (&Arrival, &Bid)> {
    arrivals.iter().filter_map(|arrival| match &arrival.event {
        Event::Bid(bid) => Some((arrival, bid)),
        _ => None,
    })
}

/// Query 5, hot items: the auctions with the most bids in the last 10 s, every 2 s.
mod q5 {
    use super::*;

    fn run(arrivals: &[Arrival], windowing: Windowing) -> (Run, Run) {
        let counts = run::Plugin::new(plugins::count, plugins::count_due)
            .windows(windowing.sliding(10_000, 2_000))
            .run(bids(arrivals).map(|(arrival, bid)| arrival.keyed(bid.auction, json!({}))));
        let winners = run::winners(&counts, windowing, 2_000);
        (counts, winners)
    }

    #[test]
    fn on_time() {
        let arrivals = super::on_time();
        let (counts, winners) = run(&arrivals, ON_TIME);
        assert_eq!((counts.late, counts.corrections, winners.late, winners.corrections), (0, 0, 0, 0));
        assert_eq!(counts.standing(), expected::counts(all(&arrivals), 10_000, 2_000));
        assert_eq!(winners.by_end(), expected::hottest(all(&arrivals), 10_000, 2_000));
        assert!(winners.told.len() > 50, "{}", winners.told.len());
    }

    #[test]
    fn late_events_correct() {
        let arrivals = with_late_ones();
        let (counts, winners) = run(&arrivals, CORRECTED);
        assert_eq!((counts.late, winners.late), (0, 0));
        assert!(counts.corrections > 300 && winners.corrections > 300);
        assert_eq!(counts.standing(), expected::counts(all(&arrivals), 10_000, 2_000));
        assert_eq!(winners.by_end(), expected::hottest(all(&arrivals), 10_000, 2_000));
    }

    #[test]
    fn late_events_are_dropped_and_counted() {
        let arrivals = with_late_ones();
        let (counts, _) = run(&arrivals, ON_TIME);
        let mut clock = Clock::new(DISORDER_MS);
        let (expected, late) = clock.counts(all(&arrivals), 10_000, 2_000);
        assert_eq!((counts.late, counts.corrections), (late, 0));
        assert_eq!(counts.standing(), expected);
        assert!(late > 50, "{late}");
    }

    fn all(arrivals: &[Arrival]) -> impl Iterator<Item = (String, u64)> {
        bids(arrivals).map(|(arrival, bid)| (bid.auction.to_string(), arrival.time_ms))
    }
}

/// Query 7, highest bid: the bids of the highest price in each 10 s.
mod q7 {
    use super::*;

    fn run(arrivals: &[Arrival], windowing: Windowing) -> (Run, Run) {
        let highest = run::Plugin::new(plugins::highest, plugins::highest_due)
            .windows(windowing.tumbling(10_000))
            .run(bids(arrivals).map(|(arrival, bid)| {
                arrival.keyed(bid.auction, json!({"label": label(bid), "price": bid.price}))
            }));
        let winners = run::winners(&highest, windowing, 10_000);
        (highest, winners)
    }

    fn label(bid: &Bid) -> String {
        format!("{} {} {}", bid.auction, bid.bidder, bid.date_time)
    }

    fn all(arrivals: &[Arrival]) -> impl Iterator<Item = (String, u64, u64)> {
        bids(arrivals).map(|(arrival, bid)| (label(bid), bid.price as u64, arrival.time_ms))
    }

    #[test]
    fn on_time() {
        let arrivals = super::on_time();
        let (highest, winners) = run(&arrivals, ON_TIME);
        assert_eq!((highest.late, highest.corrections, winners.late, winners.corrections), (0, 0, 0, 0));
        assert_eq!(winners.by_end(), expected::highest(all(&arrivals), 10_000));
        assert!(winners.told.len() > 10, "{}", winners.told.len());
    }

    #[test]
    fn late_events_correct() {
        let arrivals = with_late_ones();
        let (highest, winners) = run(&arrivals, CORRECTED);
        assert_eq!((highest.late, winners.late), (0, 0));
        assert!(highest.corrections > 50 && winners.corrections > 50);
        assert_eq!(winners.by_end(), expected::highest(all(&arrivals), 10_000));
    }

    #[test]
    fn late_events_are_dropped_and_counted() {
        let arrivals = with_late_ones();
        let (highest, _) = run(&arrivals, ON_TIME);
        let keyed = bids(&arrivals).map(|(arrival, bid)| (bid.auction.to_string(), arrival.time_ms));
        let (kept, late) = Clock::new(DISORDER_MS).counts(keyed, 10_000, 10_000);
        assert_eq!((highest.late, highest.corrections), (late, 0));
        assert_eq!(highest.told.len(), kept.len());
        assert!(late > 50, "{late}");
    }
}

/// Query 8, new users: who registered and opened an auction within the same 10 s.
mod q8 {
    use super::*;

    fn run(arrivals: &[Arrival], windowing: Windowing) -> Run {
        let plugin = run::Plugin::new(plugins::new_users, plugins::new_users_due);
        plugin.windows(windowing.tumbling(10_000)).run(arrivals.iter().filter_map(|arrival| {
            match &arrival.event {
                Event::Person(person) => Some(arrival.keyed(person.id, json!({"name": person.name}))),
                Event::Auction(auction) => {
                    Some(arrival.keyed(auction.seller, json!({"auction": auction.id})))
                }
                Event::Bid(_) => None,
            }
        }))
    }

    #[test]
    fn on_time() {
        let arrivals = super::on_time();
        let run = run(&arrivals, ON_TIME);
        assert_eq!((run.late, run.corrections), (0, 0));
        assert_eq!(run.standing(), expected::new_users(&arrivals, 10_000));
        assert!(run.told.len() > 20, "{}", run.told.len());
    }

    #[test]
    fn late_events_correct() {
        let arrivals = with_late_ones();
        let run = run(&arrivals, CORRECTED);
        assert_eq!(run.late, 0);
        assert!(run.corrections > 3, "{}", run.corrections);
        assert_eq!(run.standing(), expected::new_users(&arrivals, 10_000));
    }

    #[test]
    fn late_events_are_dropped_and_counted() {
        let arrivals = with_late_ones();
        let run = run(&arrivals, ON_TIME);
        let keyed = arrivals.iter().filter_map(|arrival| match &arrival.event {
            Event::Person(person) => Some((person.id.to_string(), arrival.time_ms)),
            Event::Auction(auction) => Some((auction.seller.to_string(), arrival.time_ms)),
            Event::Bid(_) => None,
        });
        let (_, late) = Clock::new(DISORDER_MS).counts(keyed, 10_000, 10_000);
        assert_eq!((run.late, run.corrections), (late, 0));
        assert!(late > 5, "{late}");
    }
}

/// Query 11, user sessions: how many bids each bidder made in a row, with less than 10 s between them.
mod q11 {
    use super::*;

    fn run(arrivals: &[Arrival], windowing: Windowing) -> Run {
        run::Plugin::new(plugins::count, plugins::count_due)
            .windows(windowing.session(10_000))
            .run(bids(arrivals).map(|(arrival, bid)| arrival.keyed(bid.bidder, json!({}))))
    }

    fn all(arrivals: &[Arrival]) -> impl Iterator<Item = (String, u64)> {
        bids(arrivals).map(|(arrival, bid)| (bid.bidder.to_string(), arrival.time_ms))
    }

    #[test]
    fn on_time() {
        let arrivals = super::on_time();
        let run = run(&arrivals, ON_TIME);
        assert_eq!((run.late, run.corrections), (0, 0));
        assert_eq!(run.standing(), expected::sessions(all(&arrivals), 10_000));
        assert!(run.told.len() > 500, "{}", run.told.len());
    }

    #[test]
    fn late_events_correct() {
        let arrivals = with_late_ones();
        let run = run(&arrivals, CORRECTED);
        assert_eq!(run.late, 0);
        assert!(run.corrections > 10, "{}", run.corrections);
        assert_eq!(run.standing(), expected::sessions(all(&arrivals), 10_000));
    }

    #[test]
    fn late_events_are_dropped_and_counted() {
        let arrivals = with_late_ones();
        let run = run(&arrivals, ON_TIME);
        let told: u64 = run.standing().values().map(|count| count.as_u64().unwrap()).sum();
        assert_eq!((told + run.late, run.corrections), (bids(&arrivals).count() as u64, 0));
        assert!(run.late > 5, "{}", run.late);
    }
}

/// Query 12: how many bids each bidder made in each 10 s of processing time.
#[test]
fn q12() {
    let arrivals = with_late_ones();
    let processed: Vec<(String, u64)> = bids(&arrivals)
        .enumerate()
        .map(|(number, (_, bid))| (bid.bidder.to_string(), stream::BASE_MS + number as u64 * 7))
        .collect();
    let run = run::Plugin::new(plugins::count, plugins::count_due)
        .windows(Windowing { disorder_ms: 0, lateness_ms: 0 }.tumbling(10_000))
        .run(processed.iter().map(|(bidder, time_ms)| stream::keyed(bidder, *time_ms, json!({}))));
    assert_eq!((run.late, run.corrections), (0, 0));
    assert_eq!(run.standing(), expected::counts(processed.into_iter(), 10_000, 10_000));
}

/// What the input is like, so that the tests above say something.
#[test]
fn the_input_is_out_of_order_and_late() {
    let behind = |arrivals: &[Arrival], by: u64| {
        let mut highest = 0;
        let late = arrivals.iter().filter(|arrival| {
            let late = arrival.time_ms + by < highest;
            highest = highest.max(arrival.time_ms);
            late
        });
        late.count()
    };
    let (on_time, late) = (on_time(), with_late_ones());
    assert!(behind(&on_time, 0) > EVENTS / 2);
    assert_eq!((behind(&on_time, DISORDER_MS), behind(&late, LATEST_MS + DISORDER_MS)), (0, 0));
    assert!(behind(&late, DISORDER_MS) > EVENTS / 50);
    let kinds = on_time.iter().fold(BTreeMap::new(), |mut kinds, arrival| {
        *kinds.entry(format!("{:?}", arrival.event.event_type())).or_insert(0) += 1;
        kinds
    });
    assert_eq!(
        kinds,
        BTreeMap::from([("Auction".into(), 720), ("Bid".into(), 11_040), ("Person".into(), 240)])
    );
}
