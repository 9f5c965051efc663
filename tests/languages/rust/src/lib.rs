//! The conformance plugin in Rust: `tests/languages/README.md` says what it does.

mod ends;
mod keyed;

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use wasmill_sdk::{Failure, Output, RawEvent, clock, config, log, plugin, random, reject};

const OUT: &str = "conformance.out";

static CALLS: AtomicU64 = AtomicU64::new(0);

type Answer = Result<Vec<Output>, Failure>;

plugin! {
    handler: handle,
    timers: keyed::on_timer,
    migrate: keyed::migrate,
    subjects: ["conformance.in.>"],
    emits: ["conformance.out.>"],
}

fn handle(event: RawEvent) -> Answer {
    let subject = event.subject.clone();
    match subject.rsplit('.').next().unwrap_or_default() {
        "echo" => Ok(vec![echo(event)]),
        "plain" => Ok(vec![Output::bytes(OUT, "plain")]),
        "transform" => transform(&event.json()?),
        "many" => many(&event.json()?),
        "none" => Ok(Vec::new()),
        "config" => Ok(vec![settings()]),
        "log" => Ok(lines()),
        "print" => Ok(ends::print()),
        "clock" => Ok(vec![Output::bytes(OUT, clock::now().to_string())]),
        "random" => Ok(vec![Output::bytes(OUT, drawn())]),
        "count" => {
            let calls = CALLS.fetch_add(1, Ordering::Relaxed) + 1;
            Ok(vec![Output::bytes(OUT, calls.to_string())])
        }
        "script" => keyed::script(&event),
        "swap" => keyed::swap(event),
        token => ends::of(token),
    }
}

fn echo(event: RawEvent) -> Output {
    let mut output = Output::bytes(OUT, Vec::new())
        .with_type(event.kind.as_str())
        .with_header("x-id", event.id.as_str())
        .with_header("x-source", event.source.as_str())
        .with_header("x-type", event.kind.as_str())
        .with_header("x-subject", event.subject.as_str())
        .with_header("x-time", event.time.to_string());
    if let Some(key) = &event.key {
        output = output.with_header("x-key", key.as_str());
    }
    output = output.with_header("x-attempt", event.attempt.to_string());
    if let Some(reply_to) = &event.reply_to {
        output = output.with_header("x-reply-to", reply_to.as_str());
    }
    for (name, value) in &event.headers {
        output = output.with_header(format!("x-h-{name}"), value.as_str());
    }
    output.data = event.into_raw();
    output
}

#[derive(Deserialize)]
struct Order {
    id: String,
    amount: f64,
    name: String,
    tags: Vec<String>,
}

#[derive(Serialize)]
struct Transformed<'a> {
    id: &'a str,
    doubled: f64,
    name: &'a str,
    tags: Vec<&'a str>,
    count: usize,
}

fn transform(order: &Order) -> Answer {
    let transformed = Transformed {
        id: &order.id,
        doubled: order.amount * 2.0,
        name: &order.name,
        tags: order.tags.iter().rev().map(String::as_str).collect(),
        count: order.tags.len(),
    };
    Ok(vec![Output::json(OUT, &transformed)?])
}

#[derive(Deserialize)]
struct Many {
    count: u32,
}

fn many(wanted: &Many) -> Answer {
    Ok((0..wanted.count).map(|i| Output::bytes(format!("{OUT}.{i}"), i.to_string())).collect())
}

fn settings() -> Output {
    let table: Result<serde_json::Value, Failure> = config::load();
    Output::bytes(OUT, table.map(|table| table.to_string()).unwrap_or_default())
        .with_header("x-limit", config::get("limit").unwrap_or_default())
        .with_header("x-missing", config::get("missing").unwrap_or_else(|| "none".to_owned()))
}

fn lines() -> Vec<Output> {
    log::trace!(n = 1, lang = "rust", "line ü");
    log::debug!(n = 2, lang = "rust", "line ü");
    log::info!(n = 3, lang = "rust", "line ü");
    log::warn!(n = 4, lang = "rust", "line ü");
    log::error!(n = 5, lang = "rust", "line ü");
    Vec::new()
}

fn drawn() -> String {
    let numbers = format!("{:016x} {:016x} ", random::next(), random::next());
    random::bytes(8).iter().fold(numbers, |drawn, byte| drawn + &format!("{byte:02x}"))
}

/// The rejection of what no part of this plugin knows.
fn unknown(token: &str) -> Answer {
    reject(format!("unknown token {token}"))
}
