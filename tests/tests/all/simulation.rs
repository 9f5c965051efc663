//! Delivery under faults, from seeds: the promises hold, and a run is a function of its seed.

use std::collections::BTreeSet;
use std::time::Duration;

use wasmill_tests::simulation::hunt::hunt;
use wasmill_tests::simulation::keyed::replay::effects_of;
use wasmill_tests::simulation::{Plan, Report, Subject, keyed, minimal, minimal_keyed, run, run_plan};

/// Seeds of an ordinary test run. `cargo xtask simulate` runs as many more as one likes.
const SEEDS: u64 = 300;
/// The same for keyed delivery, of which a run takes longer.
const KEYED_SEEDS: u64 = 300;

#[test]
fn the_promises_hold_under_every_kind_of_fault() {
    let hunt = hunt(Subject::Unkeyed, 0..SEEDS, 2, false).unwrap();
    if let Some(broken) = hunt.broken {
        let (faults, report) = minimal(broken.seed).unwrap();
        panic!("{}\nwith these faults alone: {faults:?}", report.story());
    }
    assert_eq!(hunt.ran, SEEDS);
}

#[test]
fn a_run_is_a_function_of_its_seed() {
    let hunt = hunt(Subject::Unkeyed, 0..50, 2, true).unwrap();
    assert!(hunt.broken.is_none(), "{}", hunt.broken.unwrap().story());
    let hashes: BTreeSet<u64> = (0..20).map(|seed| run(seed).unwrap().trace.hash()).collect();
    assert_eq!(hashes.len(), 20, "each seed is a run of its own");
}

/// A simulation in which nothing happens finds nothing: what it is made of must be there.
#[test]
fn seeds_bring_about_what_promises_are_about() {
    let reports: Vec<Report> = (0..200).map(|seed| run(seed).unwrap()).collect();
    for what in [
        "is dead",
        "goes on",
        "has stopped",
        "swaps to version",
        "subscribes for probes, concurrency",
        "has drained after an error",
        "the line is cut, for ms",
        "a stream is full, for ms",
        "a stream has no leader, for ms",
        "time leaps, by ms",
        "  lost",
        "  late",
        "  stored",
        "  dropped as a repeat",
        "  the delivery is lost",
        "  waits in the engine",
        "  as a batch of",
        "  not as a batch",
        "publishes its dead letter, after attempts",
        "a question is not answered",
        "is at work",
        "gives back, for ms",
        "terminates",
    ] {
        let runs = reports.iter().filter(|report| report.trace.count(what) > 0).count();
        assert!(runs >= 5, "{what:?} happens in {runs} of {} runs", reports.len());
    }
}

/// The promise that nothing is emitted twice rests on the streams. That it is looked for at all shows when they do not keep
/// their part.
#[test]
fn a_window_that_is_too_short_shows_as_repeats() {
    let short = |seed| Plan::from_seed(seed).with_duplicate_window(Duration::from_millis(50));
    let broken = (0..100).filter_map(|seed| run_plan(short(seed)).unwrap().broken);
    let twice = broken.filter(|broken| broken.promise == "nothing-is-emitted-twice").count();
    assert!(twice >= 10, "{twice} of 100 seeds show it");
}

#[test]
fn without_faults_nothing_is_done_twice() {
    for seed in 0..50 {
        let mut plan = Plan::from_seed(seed);
        plan.storm.faults.clear();
        let report = run_plan(plan).unwrap();
        assert_eq!(report.broken, None, "{}", report.story());
        assert_eq!(report.trace.count("  dropped as a repeat"), 0, "{}", report.story());
        assert_eq!(report.trace.count("is dead"), 0);
    }
}

#[test]
fn the_promises_of_keyed_delivery_hold_under_every_kind_of_fault() {
    let hunt = hunt(Subject::Keyed, 0..KEYED_SEEDS, 2, false).unwrap();
    if let Some(broken) = hunt.broken {
        let (faults, report) = minimal_keyed(broken.seed).unwrap();
        panic!("{}\nwith these faults alone: {faults:?}", report.story());
    }
    assert_eq!(hunt.ran, KEYED_SEEDS);
}

#[test]
fn a_keyed_run_is_a_function_of_its_seed() {
    let hunt = hunt(Subject::Keyed, 0..50, 2, true).unwrap();
    assert!(hunt.broken.is_none(), "{}", hunt.broken.unwrap().story());
}

#[test]
fn seeds_bring_about_what_keyed_promises_are_about() {
    let reports: Vec<Report> = (0..100).map(|seed| keyed::run(seed).unwrap()).collect();
    for what in [
        "is dead",
        "goes on",
        "has stopped",
        "swaps to version",
        "the server restarts, for ms",
        "has its line cut, for ms",
        "a stream takes nothing, for ms",
        "the clock leaps",
        "a reading breaks off",
        "a question is not answered",
        "a timer of it fires",
        "  refused, as somebody else wrote",
        "  dropped as a repeat",
        "  a post is told of an error",
        "publishes its dead letter",
    ] {
        let runs = reports.iter().filter(|report| report.trace.count(what) > 0).count();
        assert!(runs >= 5, "{what:?} happens in {runs} of {} runs", reports.len());
    }
}

/// One history per key, whenever its events are read: live, with timers that fire while nothing comes, or all at once.
#[test]
fn a_replay_gives_the_same_effects_as_the_live_run() {
    for seed in 0..100 {
        let (live, replayed) = (effects_of(seed, true).unwrap(), effects_of(seed, false).unwrap());
        assert_eq!(live, replayed, "seed {seed}");
    }
}
