//! What the engine offers a handler, and that it is the same at every replay.

use serde_json::json;
use tracing::Level;
use wasmill::event::Event;
use wasmill::manifest::Isolation;
use wasmill::sandbox::About;

use super::values::whole;
use super::{Case, Data, Step, TIME_NS, Wanted, WantedLine, WantedOutput, event, event_with};
use crate::languages::loaded::config_json;
use crate::languages::play::Told;
use crate::languages::rows::Can;

/// What the event of [`drawing`] draws in a plugin named `conformance`. A replay in years to come must draw it too, so
/// it is written down here and not asked of the engine.
const DRAWN: &str = "406e9de10f262871 ac9283812c6df458 92f81608c8efd1b7";

pub(super) fn config(_: Case<'_>) -> Vec<Step> {
    let mut output = WantedOutput::of("").header("x-limit", "220").header("x-missing", "none");
    output.data = Data::Json(config_json());
    output.may_be_json = true;
    vec![Step::new(event("config")).wants(Wanted::Outputs(vec![output]))]
}

pub(super) fn log(case: Case<'_>) -> Vec<Step> {
    let levels = [Level::TRACE, Level::DEBUG, Level::INFO, Level::WARN, Level::ERROR];
    let line = |(level, n): (&Level, usize)| WantedLine {
        level: *level,
        message: "line ü",
        fields: vec![("n", n.to_string()), ("lang", case.row.folder.to_owned())],
    };
    let lines = || levels.iter().zip(1..).map(line).collect();
    let step = || Step::new(event("log")).wants(Wanted::Outputs(Vec::new())).wants(Wanted::Logs(lines()));
    vec![step(), step()]
}

pub(super) fn print(_: Case<'_>) -> Vec<Step> {
    let step =
        || Step::new(event("print")).wants(Wanted::Outputs(Vec::new())).wants(Wanted::Prints("printed ü"));
    vec![step(), step()]
}

/// The clock is the event's, not the day's, and not that of the event before.
pub(super) fn clock(_: Case<'_>) -> Vec<Step> {
    let at = |time_ns: u64| Step::new(Event { time_ns, ..event("clock") }).answers(time_ns.to_string());
    vec![at(TIME_NS), at(1), at(u64::MAX)]
}

fn drawing(id: &str, source: &str) -> Step {
    Step::new(Event { id: id.to_owned(), source: source.to_owned(), ..event("random") })
        .wants(Wanted::Judged(three_numbers))
}

/// Three numbers of 16 digits, each unlike the others.
fn three_numbers(told: &Told) -> Result<(), String> {
    let data = told.only_data()?;
    let text = String::from_utf8_lossy(data);
    let parts: Vec<_> = text.split(' ').collect();
    let is_number = |part: &&str| {
        part.len() == 16 && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    match parts.as_slice() {
        [a, b, c] if parts.iter().all(is_number) && a != b && b != c && a != c => Ok(()),
        _ => Err(format!("three different numbers of 16 hexadecimal digits were wanted, {text:?} came")),
    }
}

pub(super) fn random(_: Case<'_>) -> Vec<Step> {
    vec![
        drawing("e-1", "s").answers(DRAWN),
        drawing("e-1", "s").wants(Wanted::AsStep(0)),
        drawing("e-2", "s").wants(Wanted::UnlikeStep(0)),
        drawing("e-1", "t").wants(Wanted::UnlikeStep(0)),
        drawing("e-1", "s").wants(Wanted::AsStep(0)),
    ]
}

pub(super) fn count(case: Case<'_>) -> Vec<Step> {
    let next = |calls: u8| if case.isolation == Isolation::Fresh { 1 } else { calls };
    (1..=3).map(|calls| Step::new(event("count")).answers(next(calls).to_string())).collect()
}

pub(super) fn description(_: Case<'_>) -> Vec<Step> {
    vec![Step::Describes(About {
        name: "conformance".to_owned(),
        version: "1.2.3".to_owned(),
        summary: "Does what every language must".to_owned(),
        subjects: vec!["conformance.in.>".to_owned()],
        emits: vec!["conformance.out.>".to_owned()],
    })]
}

/// Everything twice: another delivery of the same event has the same effects, bit for bit.
pub(super) fn replay(case: Case<'_>) -> Vec<Step> {
    let order = json!({"id": "o", "amount": 0.1, "name": "ü", "tags": ["a", "b"]}).to_string();
    let mut events = vec![
        whole(),
        event_with("transform", order),
        event_with("transform", "{\"id\": "),
        event_with("many", "{\"count\": 20}"),
    ];
    events.extend(["config", "log", "print", "clock", "random", "retry", "unknown-ü"].map(event));
    if case.row.can(Can::Raise) {
        events.push(event("raise"));
    }
    let once = events.iter().map(|event| Step::new(event.clone()).wants(Wanted::Judged(|_| Ok(()))));
    let again =
        events.iter().enumerate().map(|(at, event)| Step::new(event.clone()).wants(Wanted::AsStep(at)));
    once.chain(again).collect()
}
