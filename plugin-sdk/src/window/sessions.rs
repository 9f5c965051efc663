//! Session windows.

use super::open::{Open, Session};
use super::{Added, Closed, Window};
use crate::aggregate::Aggregate;

/// Adds an event to the session it belongs to, which may join two or be a new one.
pub fn add<A: Aggregate>(
    open: &mut Open<A>,
    gap: i64,
    lateness: i64,
    time: i64,
    empty: &A,
    change: impl FnOnce(&mut A),
) -> Added<A> {
    let from = open.sessions.partition_point(|session| session.end <= time);
    let to = open.sessions.partition_point(|session| session.start < time + gap);
    let past = |end: i64| open.watermark.is_some_and(|watermark| end <= watermark);
    if from == to && past(time + gap + lateness) {
        open.late = open.late.saturating_add(1);
        return Added { closed: Vec::new(), late: true };
    }
    let mut merged = Session { start: time, end: time + gap, value: empty.clone(), told: Vec::new() };
    for (number, part) in open.sessions.drain(from..to).enumerate() {
        merged.start = merged.start.min(part.start);
        merged.end = merged.end.max(part.end);
        merged.told.extend(part.told);
        match number {
            0 => merged.value = part.value,
            _ => merged.value.merge(&part.value),
        }
    }
    change(&mut merged.value);
    let corrects = open.watermark.is_some_and(|watermark| merged.end <= watermark);
    let closed = if corrects { vec![tell(&mut merged)] } else { Vec::new() };
    open.sessions.insert(from, merged);
    Added { closed, late: false }
}

/// Closes the sessions that end after the watermark before and up to the one now, and drops those that can change no more.
pub fn close<A: Aggregate>(open: &mut Open<A>, lateness: i64, before: Option<i64>) -> Vec<Closed<A>> {
    let Some(watermark) = open.watermark else { return Vec::new() };
    let is_due = |session: &&mut Session<A>| {
        session.end <= watermark && before.is_none_or(|before| session.end > before)
    };
    let closed = open.sessions.iter_mut().filter(is_due).map(tell).collect();
    open.sessions.retain(|session| session.end + lateness > watermark);
    closed
}

/// When the next session closes, else when the oldest one can be dropped.
pub fn due<A>(open: &Open<A>, lateness: i64) -> Option<i64> {
    let is_open = |session: &&Session<A>| open.watermark.is_none_or(|watermark| session.end > watermark);
    let next = open.sessions.iter().find(is_open).map(|session| session.end);
    next.or_else(|| open.sessions.first().map(|session| session.end + lateness))
}

/// The session that holds `time`, with its value so far.
pub fn peek<A: Aggregate>(open: &Open<A>, time: i64) -> Vec<(Window, A)> {
    let holds = |session: &&Session<A>| session.start <= time && time < session.end;
    let session = open.sessions.iter().find(holds);
    session
        .map(|session| (Window::of(session.start, session.end), session.value.clone()))
        .into_iter()
        .collect()
}

fn tell<A: Clone>(session: &mut Session<A>) -> Closed<A> {
    let now = (session.start, session.end);
    let before = std::mem::replace(&mut session.told, vec![now]);
    let replaces = before.into_iter().map(|(start, end)| Window::of(start, end)).collect();
    Closed { window: Window::of(now.0, now.1), value: session.value.clone(), replaces }
}
