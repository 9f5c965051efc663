//! How a call can end otherwise, and what the next one sees of it.

use wasmill::manifest::Isolation;

use super::values::{echo_of, whole};
use super::{Case, Step, Wanted, event};
use crate::languages::rows::{Can, Row};

fn only(token: &str, wanted: Wanted) -> Vec<Step> {
    vec![Step::new(event(token)).wants(wanted)]
}

pub(super) fn retry(_: Case<'_>) -> Vec<Step> {
    only("retry", Wanted::Retry(Some(1_500), "not yet: ü"))
}

pub(super) fn retry_default(_: Case<'_>) -> Vec<Step> {
    only("retry-default", Wanted::Retry(None, "whenever"))
}

pub(super) fn reject(_: Case<'_>) -> Vec<Step> {
    only("reject", Wanted::Rejected("never: ü".to_owned()))
}

pub(super) fn unknown(_: Case<'_>) -> Vec<Step> {
    let rejected =
        |token: &str| Step::new(event(token)).wants(Wanted::Rejected(format!("unknown token {token}")));
    vec![rejected("nonsense"), rejected("unbekannt-ü🦀"), rejected("Echo"), rejected("ech")]
}

/// An error that nobody catches: an exception where the language has such, else a trap. Either says what and where.
fn raised(row: &Row) -> Step {
    let step = Step::new(event("raise")).wants(Wanted::Says("boom"));
    let step = step.wants(Wanted::Traces(vec!["explode", row.file]));
    step.wants(Wanted::Fails(if row.can(Can::Raise) { &["exception"] } else { &["trap"] }))
}

fn trapped(row: &Row) -> Step {
    let name: &'static [&'static str] = match (row.can(Can::Trap), row.can(Can::Raise)) {
        (false, true) => &["exception"],
        _ => &["trap"],
    };
    Step::new(event("trap")).wants(Wanted::Fails(name))
}

pub(super) fn raise(case: Case<'_>) -> Vec<Step> {
    vec![raised(case.row)]
}

pub(super) fn trap(case: Case<'_>) -> Vec<Step> {
    vec![trapped(case.row)]
}

pub(super) fn endless(_: Case<'_>) -> Vec<Step> {
    only("loop", Wanted::Fails(&["cpu-limit"]))
}

pub(super) fn hog(_: Case<'_>) -> Vec<Step> {
    only("hog", Wanted::Fails(&["memory-limit"]))
}

pub(super) fn deep(_: Case<'_>) -> Vec<Step> {
    only("deep", Wanted::FailsSomehow)
}

/// Whether an instance outlives a failure.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Instance {
    Stays,
    Goes,
    /// As the language has it.
    Either,
}

/// Work, the failure, work, the failure again, work: whatever it was, the next event is handled as if it had not been.
fn around(case: Case<'_>, failing: impl Fn() -> Step, instance: Instance) -> Vec<Step> {
    let count = |calls: u8| Step::new(event("count")).answers(calls.to_string());
    let echo = || {
        let event = whole();
        let wanted = echo_of(&event);
        Step::new(event).wants(Wanted::Outputs(vec![wanted]))
    };
    let mut steps = vec![count(1), failing()];
    match (case.isolation, instance) {
        (Isolation::Reuse, Instance::Stays) => steps.push(count(2)),
        (Isolation::Reuse, Instance::Either) => {}
        _ => steps.push(count(1)),
    }
    steps.extend([echo(), failing(), echo()]);
    steps
}

pub(super) fn after_raise(case: Case<'_>) -> Vec<Step> {
    let instance = if case.row.can(Can::Raise) { Instance::Stays } else { Instance::Goes };
    around(case, || raised(case.row), instance)
}

pub(super) fn after_trap(case: Case<'_>) -> Vec<Step> {
    let stays = !case.row.can(Can::Trap) && case.row.can(Can::Raise);
    around(case, || trapped(case.row), if stays { Instance::Stays } else { Instance::Goes })
}

pub(super) fn after_endless(case: Case<'_>) -> Vec<Step> {
    let endless = || Step::new(event("loop")).wants(Wanted::Fails(&["cpu-limit"]));
    around(case, endless, Instance::Goes)
}

pub(super) fn after_hog(case: Case<'_>) -> Vec<Step> {
    let hog = || Step::new(event("hog")).wants(Wanted::Fails(&["memory-limit"]));
    around(case, hog, Instance::Either)
}

pub(super) fn after_deep(case: Case<'_>) -> Vec<Step> {
    around(case, || Step::new(event("deep")).wants(Wanted::FailsSomehow), Instance::Either)
}
