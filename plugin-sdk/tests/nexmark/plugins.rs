//! The handlers: what a plugin of each query is.

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use wasmill_sdk::aggregate::{Aggregate, Count, Largest, Rows, Scored};
use wasmill_sdk::state::Value;
use wasmill_sdk::timers::Timer;
use wasmill_sdk::window::{Added, Closed, Open, Spec, Window, Windows};
use wasmill_sdk::{Event, Failure, Output, config};

/// More than may share the highest count or price.
const WINNERS: usize = 100;

#[derive(Deserialize)]
struct Settings {
    window: Spec,
}

/// What a plugin tells of one window of its key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Told {
    pub key: String,
    pub window: Window,
    pub replaces: Vec<Window>,
    pub value: Json,
}

fn windows<A>(empty: A) -> Result<Windows<A>, Failure> {
    Ok(config::load::<Settings>()?.window.of(empty)?)
}

/// An event may be late: that goes to an output of its own.
fn answer<A>(key: Option<&str>, added: Added<A>, value: impl Fn(&A) -> Json) -> Result<Vec<Output>, Failure> {
    let mut outputs = tell(key.unwrap_or_default(), added.closed, value)?;
    if added.late {
        outputs.push(Output::bytes("late", ""));
    }
    Ok(outputs)
}

/// A window without a value is not told.
fn tell<A>(key: &str, closed: Vec<Closed<A>>, value: impl Fn(&A) -> Json) -> Result<Vec<Output>, Failure> {
    let told = closed.into_iter().filter_map(|Closed { window, value: aggregate, replaces }| {
        let value = value(&aggregate);
        let told = Told { key: key.to_owned(), window, replaces, value };
        (!told.value.is_null()).then(|| Output::json("told", &told))
    });
    told.collect()
}

// Queries 5, 11 and 12: how many events of the key are in each window.

const COUNT: Value<Open<Count>> = Value::new("count");

fn counted(count: &Count) -> Json {
    json!(count.get())
}

pub fn count(event: Event) -> Result<Vec<Output>, Failure> {
    let added = windows(Count::default())?.on_event(&COUNT, event.time, |count| count.add(1))?;
    answer(event.key.as_deref(), added, counted)
}

pub fn count_due(timer: Timer) -> Result<Vec<Output>, Failure> {
    tell(&timer.key, windows(Count::default())?.on_timer(&COUNT)?, counted)
}

// Query 7, first stage: the highest bids of each auction.

const HIGHEST: Value<Open<Largest>> = Value::new("highest");

#[derive(Deserialize)]
pub struct Bid {
    label: String,
    price: f64,
}

fn winning(largest: &Largest) -> Json {
    json!(largest.winners())
}

pub fn highest(event: Event<Bid>) -> Result<Vec<Output>, Failure> {
    let windows = windows(Largest::new(WINNERS))?;
    let added =
        windows.on_event(&HIGHEST, event.time, |highest| highest.add(&event.data.label, event.data.price))?;
    answer(event.key.as_deref(), added, winning)
}

pub fn highest_due(timer: Timer) -> Result<Vec<Output>, Failure> {
    tell(&timer.key, windows(Largest::new(WINNERS))?.on_timer(&HIGHEST)?, winning)
}

// Queries 5 and 7, last stage: of what all keys of the first stage told of one window, the greatest. Keyed by the window's
// end, `key = { pointer = "/window/end_ms" }`.

/// The first stage's windows end where those of the last stage do.
fn inside(window: Window) -> u64 {
    window.end - 1_000_000
}

pub fn winners(event: Event<Told>) -> Result<Vec<Output>, Failure> {
    let told = &event.data;
    let scored: Vec<Scored> = match &told.value {
        Json::Array(_) => serde_json::from_value(told.value.clone())?,
        count => vec![Scored { label: told.key.clone(), score: count.as_f64().unwrap_or_default() }],
    };
    let added = windows(Largest::new(WINNERS))?.on_event(&HIGHEST, inside(told.window), |highest| {
        scored.iter().for_each(|scored| highest.add(&scored.label, scored.score));
    })?;
    answer(event.key.as_deref(), added, winning)
}

// Query 8: both sides of a join in the same window are the aggregate of that window.

/// Who registered, and the auctions opened.
#[derive(Clone, Serialize, Deserialize)]
struct Opened(Rows<String>, Rows<u64>);

impl Aggregate for Opened {
    fn merge(&mut self, other: &Self) {
        self.0.merge(&other.0);
        self.1.merge(&other.1);
    }
}

const OPENED: Value<Open<Opened>> = Value::new("opened");

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    Name(String),
    Auction(u64),
}

fn opened() -> Result<Windows<Opened>, Failure> {
    windows(Opened(Rows::new(1), Rows::new(100)))
}

fn joined(Opened(names, auctions): &Opened) -> Json {
    match names.get() {
        [name] if !auctions.get().is_empty() => json!(name),
        _ => Json::Null,
    }
}

pub fn new_users(event: Event<Side>) -> Result<Vec<Output>, Failure> {
    let Event { data, key, time, .. } = event;
    let added = opened()?.on_event(&OPENED, time, |opened| match data {
        Side::Name(name) => opened.0.add(name),
        Side::Auction(auction) => opened.1.add(auction),
    })?;
    answer(key.as_deref(), added, joined)
}

pub fn new_users_due(timer: Timer) -> Result<Vec<Output>, Failure> {
    tell(&timer.key, opened()?.on_timer(&OPENED)?, joined)
}
