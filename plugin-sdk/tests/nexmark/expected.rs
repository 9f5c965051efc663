//! The same answers, from the whole input at once.

use std::collections::{BTreeMap, BTreeSet};

use nexmark::event::Event;
use serde_json::{Value as Json, json};

use super::run::Place;
use super::stream::Arrival;

type Winners = BTreeMap<u64, BTreeSet<(String, u64)>>;

/// Start and end of the windows that hold a time.
fn around(time: u64, size: u64, slide: u64) -> impl Iterator<Item = (u64, u64)> {
    let last = time / slide * slide;
    (0..size.div_ceil(slide))
        .map(move |back| last - back * slide)
        .filter_map(move |start| (time < start + size).then_some((start, start + size)))
}

fn as_json(counts: BTreeMap<Place, u64>) -> BTreeMap<Place, Json> {
    counts.into_iter().map(|(place, count)| (place, json!(count))).collect()
}

/// How many events each key has in each window.
pub fn counts(events: impl Iterator<Item = (String, u64)>, size: u64, slide: u64) -> BTreeMap<Place, Json> {
    let mut counts = BTreeMap::new();
    for (key, time) in events {
        for (start, end) in around(time, size, slide) {
            *counts.entry((key.clone(), start, end)).or_insert(0) += 1;
        }
    }
    as_json(counts)
}

/// The keys with the most events in each window, by its end.
pub fn hottest(events: impl Iterator<Item = (String, u64)>, size: u64, slide: u64) -> Winners {
    let counted = counts(events, size, slide).into_iter();
    greatest(counted.map(|((key, _, end), count)| (end, key, count.as_u64().unwrap())))
}

/// The labels of the highest price in each window, by its end.
pub fn highest(events: impl Iterator<Item = (String, u64, u64)>, size: u64) -> Winners {
    greatest(events.map(|(label, price, time)| (time / size * size + size, label, price)))
}

fn greatest(scores: impl Iterator<Item = (u64, String, u64)>) -> Winners {
    let mut by_end: BTreeMap<u64, Vec<(String, u64)>> = BTreeMap::new();
    for (end, label, score) in scores {
        by_end.entry(end).or_default().push((label, score));
    }
    let best = |scores: Vec<(String, u64)>| {
        let most = scores.iter().map(|(_, score)| *score).max().unwrap_or_default();
        scores.into_iter().filter(|(_, score)| *score == most).collect()
    };
    by_end.into_iter().map(|(end, scores)| (end, best(scores))).collect()
}

/// The names of those who registered and opened an auction in the same window.
pub fn new_users(arrivals: &[Arrival], size: u64) -> BTreeMap<Place, Json> {
    let window = |arrival: &Arrival| arrival.time_ms / size * size;
    let opened: BTreeSet<(usize, u64)> = arrivals
        .iter()
        .filter_map(|arrival| match &arrival.event {
            Event::Auction(auction) => Some((auction.seller, window(arrival))),
            _ => None,
        })
        .collect();
    let registered = arrivals.iter().filter_map(|arrival| match &arrival.event {
        Event::Person(person) => Some((person, window(arrival))),
        _ => None,
    });
    registered
        .filter(|(person, start)| opened.contains(&(person.id, *start)))
        .map(|(person, start)| ((person.id.to_string(), start, start + size), json!(person.name)))
        .collect()
}

/// How many events each key has in a row, with less than `gap` between them.
pub fn sessions(events: impl Iterator<Item = (String, u64)>, gap: u64) -> BTreeMap<Place, Json> {
    let mut times: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for (key, time) in events {
        times.entry(key).or_default().push(time);
    }
    let mut counts = BTreeMap::new();
    for (key, mut times) in times {
        times.sort_unstable();
        for session in times.chunk_by(|a, b| b - a < gap) {
            let place = (key.clone(), session[0], session[session.len() - 1] + gap);
            counts.insert(place, session.len() as u64);
        }
    }
    as_json(counts)
}

/// Which windows of a key are closed when an event arrives: those that the key's own events are past, and those that the
/// plugin clock, the highest event time of all keys, is past, if the key has events in them and so a timer.
pub struct Clock {
    disorder: u64,
    highest: u64,
    closed_to: BTreeMap<String, u64>,
}

impl Clock {
    pub fn new(disorder: u64) -> Self {
        Self { disorder, highest: 0, closed_to: BTreeMap::new() }
    }

    /// How many events each key has in each window that was open when they came, and how many events came to none.
    pub fn counts(
        &mut self,
        events: impl Iterator<Item = (String, u64)>,
        size: u64,
        slide: u64,
    ) -> (BTreeMap<Place, Json>, u64) {
        let (mut counts, mut late) = (BTreeMap::<Place, u64>::new(), 0);
        for (key, time) in events {
            self.highest = self.highest.max(time);
            let mine =
                counts.range((key.clone(), 0, 0)..=(key.clone(), u64::MAX, 0)).map(|(place, _)| place.2);
            let fired = mine.filter(|end| end + self.disorder <= self.highest).max();
            let closed_to = self.closed_to.entry(key.clone()).or_default();
            *closed_to = (*closed_to).max(fired.unwrap_or(0));
            let open: Vec<_> = around(time, size, slide).filter(|(_, end)| *end > *closed_to).collect();
            late += u64::from(open.is_empty());
            for (start, end) in open {
                *counts.entry((key.clone(), start, end)).or_insert(0) += 1;
            }
            *closed_to = (*closed_to).max(time - self.disorder);
        }
        (as_json(counts), late)
    }
}
