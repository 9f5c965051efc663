//! Windows against a computation over the whole input, in any order of events.

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::aggregate::{Aggregate, Rows};

const MS: u64 = 1_000_000;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Numbers that look random and are always the same.
fn draws(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut bits = seed;
    move |below| {
        bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (bits >> 33) % below
    }
}

/// Which events are in which window, both in ms.
type Told = BTreeMap<(u64, u64), Vec<u64>>;

/// Times in the order of arrival: each up to `disorder` late.
fn times(seed: u64, count: u64, range: u64, disorder: u64) -> Vec<u64> {
    let mut draw = draws(seed);
    let mut times: Vec<u64> = (0..count).map(|_| 10_000 + draw(range)).collect();
    times.sort_by_cached_key(|time| *time + draw(disorder + 1));
    times
}

struct Run {
    told: Told,
    late: Vec<u64>,
    corrections: usize,
}

/// Feeds all, with a round trip through JSON between any two, and then lets the timers fire.
fn run(spec: Spec, times: &[u64]) -> Run {
    let windows = spec.of(Rows::new(10_000)).unwrap();
    let (mut open, mut run) = (Open::default(), Run { told: Told::new(), late: Vec::new(), corrections: 0 });
    for time in times {
        let added = windows.add(&mut open, time * MS + 7, |rows| rows.add(*time));
        note(&mut run, added.closed);
        run.late.extend(added.late.then_some(*time));
        open = serde_json::from_str(&serde_json::to_string(&open).unwrap()).unwrap();
    }
    assert_eq!(open.late(), run.late.len() as u64);
    while let Some(due) = windows.due(&open) {
        assert!(windows.advance(&mut open, due - MS).is_empty());
        note(&mut run, windows.advance(&mut open, due));
    }
    assert_eq!(open.pieces(), 0);
    run
}

/// What was told is what stands: a window is told anew only if it says so.
fn note(run: &mut Run, closed: Vec<Closed<Rows<u64>>>) {
    for Closed { window, value, replaces } in closed {
        for before in &replaces {
            assert!(
                run.told.remove(&(before.start / MS, before.end / MS)).is_some(),
                "{before:?} was not told"
            );
        }
        run.corrections += usize::from(!replaces.is_empty());
        let mut times = value.get().to_vec();
        times.sort_unstable();
        let before = run.told.insert((window.start / MS, window.end / MS), times);
        assert_eq!(before, None, "{window:?} was told twice");
    }
}

fn sliding(times: &[u64], size: u64, slide: u64, offset: u64) -> Told {
    let mut told = Told::new();
    for time in times {
        let starts = (0..=time / slide).map(|step| step * slide + offset % slide);
        for start in starts.filter(|start| start <= time && *time < start + size) {
            told.entry((start, start + size)).or_default().push(*time);
        }
    }
    told.values_mut().for_each(|times| times.sort_unstable());
    told
}

fn sessions(times: &[u64], gap: u64) -> Told {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let parts = sorted.chunk_by(|a, b| b - a < gap);
    parts.map(|part| ((part[0], part[part.len() - 1] + gap), part.to_vec())).collect()
}

const SLIDING: [(u64, u64, u64); 6] =
    [(100, 100, 0), (100, 100, 30), (100, 20, 0), (100, 30, 10), (70, 50, 0), (64, 1, 0)];

#[test]
fn disorder_within_the_bound_changes_nothing() {
    for seed in 0..10 {
        let times = times(seed, 300, 3_000, 90);
        for (size, slide, offset) in SLIDING {
            let spec = Spec::sliding(ms(size), ms(slide)).offset(ms(offset)).disorder(ms(90));
            let run = run(spec, &times);
            assert_eq!((run.late.len(), run.corrections), (0, 0));
            assert_eq!(run.told, sliding(&times, size, slide, offset), "{size} {slide} {offset}");
        }
        for gap in [1, 10, 25, 60] {
            let run = run(Spec::session(ms(gap)).disorder(ms(90)), &times);
            assert_eq!((run.late.len(), run.corrections), (0, 0));
            assert_eq!(run.told, sessions(&times, gap), "{gap}");
        }
    }
}

#[test]
fn corrections_make_good_for_late_events() {
    let mut corrections = 0;
    for seed in 0..10 {
        let times = times(seed, 300, 3_000, 200);
        for (size, slide, offset) in SLIDING {
            let spec = Spec::sliding(ms(size), ms(slide)).offset(ms(offset)).disorder(ms(20));
            let run = run(spec.lateness(ms(180)), &times);
            assert!(run.late.is_empty());
            corrections += run.corrections;
            assert_eq!(run.told, sliding(&times, size, slide, offset), "{size} {slide} {offset}");
        }
        for gap in [1, 10, 25, 60] {
            let run = run(Spec::session(ms(gap)).disorder(ms(20)).lateness(ms(180)), &times);
            assert!(run.late.is_empty());
            corrections += run.corrections;
            assert_eq!(run.told, sessions(&times, gap), "{gap}");
        }
    }
    assert!(corrections > 3_000, "{corrections}");
}

#[test]
fn an_event_is_late_only_if_all_its_windows_are_past() {
    let mut dropped = 0;
    for seed in 0..10 {
        let times = times(seed, 300, 3_000, 200);
        let tumbling = run(Spec::tumbling(ms(100)).disorder(ms(20)), &times);
        let (mut highest, mut expected, mut kept) = (0, Vec::new(), Vec::new());
        for time in &times {
            let late = time / 100 * 100 + 100 + 20 <= highest;
            if late { &mut expected } else { &mut kept }.push(*time);
            highest = highest.max(*time);
        }
        assert_eq!((tumbling.late.clone(), tumbling.corrections), (expected, 0));
        assert_eq!(tumbling.told, sliding(&kept, 100, 100, 0));
        dropped += tumbling.late.len();

        let times = self::times(seed, 300, 30_000, 200);
        let session = run(Spec::session(ms(15)).disorder(ms(20)), &times);
        assert_eq!(session.told.values().map(Vec::len).sum::<usize>() + session.late.len(), times.len());
        for late in &session.late {
            let came = times.iter().rposition(|time| time == late).unwrap();
            let highest = times.iter().take(came).max().unwrap();
            assert!(late + 15 + 20 <= *highest, "{late} came after {highest}");
        }
        dropped += session.late.len();
    }
    assert!(dropped > 200, "{dropped}");
}

#[test]
fn a_late_event_joins_what_was_told_to_what_is_open() {
    let windows = Spec::session(ms(10)).lateness(ms(100)).of(Rows::new(9)).unwrap();
    let mut open = Open::default();
    let mut add = |time: u64| windows.add(&mut open, time * MS, |rows| rows.add(time));
    assert!(add(100).closed.is_empty());
    assert_eq!(add(118).closed[0].window, Window::of(100, 110));
    let joined = add(109);
    assert!(joined.closed.is_empty() && !joined.late);
    let corrected = add(80);
    assert_eq!((corrected.closed[0].window, corrected.closed[0].replaces.len()), (Window::of(80, 90), 0));
    let closed = add(200).closed;
    assert_eq!((closed[0].window, closed[0].value.get()), (Window::of(100, 128), &[100, 118, 109][..]));
    assert_eq!(closed[0].replaces, [Window::of(100, 110)]);
    assert_eq!(windows.peek(&open, 205 * MS)[0].0, Window::of(200, 210));
    assert!(windows.peek(&open, 210 * MS).is_empty());
    assert_eq!(
        serde_json::to_string(&open).unwrap(),
        r#"{"w":200,"s":[[100,128,{"n":9,"r":[100,118,109],"o":0},[[100,128]]],[200,210,{"n":9,"r":[200],"o":0},[]]],"c":"gap 10"}"#
    );
}

#[test]
fn pieces_stay_within_what_the_definition_allows() {
    let mut draw = draws(1);
    let spec = Spec::sliding(ms(60), ms(20)).disorder(ms(50)).lateness(ms(100));
    let (panes, sessions) =
        (spec.of(Rows::new(0)).unwrap(), Spec::session(ms(10)).lateness(ms(95)).of(Rows::new(0)).unwrap());
    let (mut open, mut sessions_open) = (Open::default(), Open::default());
    for step in 0..20_000 {
        let time = (step + 1_000 - draw(900)) * MS;
        let _ = panes.add(&mut open, time, |rows| rows.add(()));
        let _ = sessions.add(&mut sessions_open, time, |rows| rows.add(()));
        assert!(open.pieces() <= 210 / 20 + 2, "{}", open.pieces());
        assert!(sessions_open.pieces() <= 105 / 10 + 2, "{}", sessions_open.pieces());
    }
}

#[test]
fn the_value_so_far_is_that_of_all_windows_around_a_time() {
    let windows = Spec::sliding(ms(100), ms(50)).of(Rows::new(9)).unwrap();
    let mut open = Open::default();
    for time in [110, 160] {
        let _ = windows.add(&mut open, time * MS, |rows| rows.add(time));
    }
    let told: Vec<_> =
        windows.peek(&open, 120 * MS).iter().map(|(w, rows)| (w.end / MS, rows.get().len())).collect();
    assert_eq!(told, [(150, 1), (200, 2)]);
    let json = serde_json::to_string(&Window::of(-5, 100)).unwrap();
    assert_eq!(json, r#"{"start_ms":0,"end_ms":100}"#);
    assert_eq!(serde_json::from_str::<Window>(&json).unwrap(), Window::of(0, 100));
}

/// Merging is all that windows ask of an aggregate.
#[test]
fn an_own_aggregate_works_too() {
    #[derive(Clone, Default)]
    struct Longest(String);
    impl Aggregate for Longest {
        fn merge(&mut self, other: &Self) {
            if other.0.len() > self.0.len() {
                self.0.clone_from(&other.0);
            }
        }
    }
    let windows = Spec::sliding(ms(20), ms(10)).of(Longest::default()).unwrap();
    let mut open = Open::default();
    let _ = windows.add(&mut open, 1_000 * MS, |longest| longest.0 = "a".into());
    let _ = windows.add(&mut open, 1_010 * MS, |longest| longest.0 = "bcd".into());
    assert_eq!(windows.advance(&mut open, 1_020 * MS)[0].value.0, "bcd");
}
