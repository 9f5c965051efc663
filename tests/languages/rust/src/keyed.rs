//! What needs a key: scripts over state, timers and lookup tables, and what an older version stored.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use wasmill_sdk::migrate::{Field, Migrated};
use wasmill_sdk::state::{self, Counter, List, Map, Set};
use wasmill_sdk::timers::{self, Timer};
use wasmill_sdk::{Failure, Output, RawEvent, clock, lookup, reject};

use super::{Answer, OUT};

/// What one command comes to: its answer, or the engine's refusal by name.
type Line = Result<String, Refusal>;

/// Why a command has no answer.
enum Refusal {
    /// The engine refuses an access: the script goes on.
    Named(String),
    /// The call fails.
    Fails(Failure),
}

impl From<state::Error> for Refusal {
    fn from(err: state::Error) -> Self {
        Self::Named(match err {
            state::Error::NoKey => "no-key".to_owned(),
            state::Error::TooLarge { limit_bytes, .. } => format!("too-large {limit_bytes}"),
            state::Error::BadName { .. } => "bad-name".to_owned(),
        })
    }
}

impl From<timers::Error> for Refusal {
    fn from(err: timers::Error) -> Self {
        Self::Named(match err {
            timers::Error::NoKey => "no-key".to_owned(),
            timers::Error::TooMany { limit, .. } => format!("too-many {limit}"),
            timers::Error::BadName { .. } => "bad-name".to_owned(),
        })
    }
}

impl From<lookup::Error> for Refusal {
    fn from(err: lookup::Error) -> Self {
        Self::Named(match err {
            lookup::Error::NotGranted { .. } => "not-granted".to_owned(),
            lookup::Error::NotReady { .. } => "not-ready".to_owned(),
        })
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Fails(failure)
    }
}

pub fn script(event: &RawEvent) -> Answer {
    Ok(vec![Output::bytes(OUT, run(event.raw())?)])
}

pub fn swap(event: RawEvent) -> Answer {
    let before = state::get("raw")?;
    let known = if before.is_some() { "yes" } else { "no" };
    state::set("raw", event.into_raw())?;
    Ok(vec![Output::bytes(OUT, before.unwrap_or_default()).with_header("x-before", known)])
}

pub fn on_timer(timer: Timer) -> Answer {
    let output = Output::bytes("conformance.out.timer", run(&timer.data)?)
        .with_header("x-name", timer.name)
        .with_header("x-key", timer.key)
        .with_header("x-due", timer.due.to_string())
        .with_header("x-now", clock::now().to_string());
    Ok(vec![output])
}

pub fn migrate(field: Field) -> Migrated {
    match field.name.as_str() {
        "drop" => Ok(None),
        "bad" => reject(format!("bad of {}", field.from_version)),
        _ => Ok(Some([field.from_version.as_bytes(), b":", &field.value].concat())),
    }
}

fn run(script: &[u8]) -> Result<String, Failure> {
    let script = String::from_utf8_lossy(script);
    let mut answers = Vec::new();
    for line in script.split('\n').filter(|_| !script.is_empty()) {
        answers.push(match command(line) {
            Ok(answer) => answer,
            Err(Refusal::Named(name)) => format!("error {name}"),
            Err(Refusal::Fails(failure)) => return Err(failure),
        });
    }
    Ok(answers.join("\n"))
}

fn command(line: &str) -> Line {
    let (first, rest) = word(line);
    match first {
        "get" => Ok(shown(state::get(rest)?)),
        "set" => {
            let (name, value) = word(rest);
            done(state::set(name, value)?)
        }
        "delete" => done(state::delete(rest)?),
        "names" => {
            let names = state::names(rest)?;
            Ok(names.iter().fold("names".to_owned(), |answer, name| answer + " " + name))
        }
        "at" => {
            let (name, due, data) = three(rest);
            done(timers::set(name, number(due)?, data)?)
        }
        "after" => {
            let (name, wait, data) = three(rest);
            done(timers::set_after(name, Duration::from_millis(number(wait)?), data)?)
        }
        "cancel" => done(timers::cancel(rest)?),
        "lookup" => {
            let (table, key) = word(rest);
            Ok(shown(lookup::get(table, key)?))
        }
        "fail" => Err(Failure::reject("never: ü").into()),
        _ => typed(first, rest),
    }
}

/// The commands that go through typed fields.
fn typed(first: &str, rest: &str) -> Line {
    match first {
        "count" => {
            let (name, amount) = word(rest);
            Ok(format!("value {}", Counter::named(name).add(number(amount)?)?))
        }
        "push" => {
            let (name, bound, value) = three(rest);
            let list = List::named(name, number(bound)?);
            Ok(format!("value {}", list.push(value.to_owned())?.len()))
        }
        "put" => {
            let (name, key, value) = three(rest);
            done(Map::named(name).set(key, &value.to_owned())?)
        }
        "add" => {
            let (name, member) = word(rest);
            let new = Set::named(name).insert(member)?;
            Ok(if new { "value new" } else { "value known" }.to_owned())
        }
        _ => Err(Failure::reject(format!("unknown command {first}")).into()),
    }
}

/// The first word and what follows it.
fn word(text: &str) -> (&str, &str) {
    text.split_once(' ').unwrap_or((text, ""))
}

/// Two words and what follows them.
fn three(text: &str) -> (&str, &str, &str) {
    let (first, rest) = word(text);
    let (second, rest) = word(rest);
    (first, second, rest)
}

fn number<N: FromStr<Err: Display>>(text: &str) -> Result<N, Failure> {
    text.parse().map_err(|err| Failure::reject(format!("{text:?}: {err}")))
}

fn shown(value: Option<Vec<u8>>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| format!("value {}", String::from_utf8_lossy(&value)))
}

/// The answer to what answers nothing.
fn done((): ()) -> Line {
    Ok("ok".to_owned())
}
