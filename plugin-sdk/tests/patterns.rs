//! Patterns against `vectors/patterns.json`, which every language runs, and against a matcher that knows nothing but the
//! definition in PATTERNS.md: it enumerates every sequence of events and keeps those that the rules allow.

#[path = "patterns/brute.rs"]
mod brute;
#[path = "patterns/case.rs"]
mod case;
#[path = "patterns/random.rs"]
mod random;

use std::collections::BTreeMap;

use case::{Case, Outcome, Vectors};
use wasmill_sdk::pattern::Error;

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("vectors/patterns.json")).unwrap()
}

/// The rows where something was said, as the file has them.
fn said(outcomes: Vec<Outcome>) -> BTreeMap<usize, Outcome> {
    outcomes.into_iter().enumerate().filter(|(_, outcome)| *outcome != Outcome::default()).collect()
}

#[test]
fn patterns_answer_as_the_table_says() {
    let vectors = vectors();
    let count: usize = vectors.groups.iter().map(|group| group.cases.len()).sum();
    assert!(count >= 60, "{count} cases");
    let mut wrong = Vec::new();
    for group in &vectors.groups {
        assert!(!group.source.is_empty(), "{}", group.name);
        for case in &group.cases {
            let (found, shape) = (said(case.run()), case.pattern.build().shape());
            if found != case.expect || shape != case.shape {
                wrong.push(format!("{}: {}: {shape}: {found:#?}", group.name, case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_definition_gives_the_table_too() {
    let mut wrong = Vec::new();
    for group in vectors().groups {
        for case in group.cases.iter().filter(|case| case.pattern.limit.is_none()) {
            let found = said(brute::run(case));
            if found != case.expect {
                wrong.push(format!("{}: {}: {found:#?}", group.name, case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn patterns_without_a_meaning_are_refused() {
    for invalid in vectors().invalid {
        let error = invalid.pattern.build().check().unwrap_err();
        let Error::Invalid(text) = error else { panic!("{}: {error}", invalid.name) };
        assert!(!text.is_empty(), "{}", invalid.name);
    }
}

#[test]
fn random_patterns_answer_as_the_definition_says() {
    let mut matches = 0;
    let mut timeouts = 0;
    for seed in 0..6_000 {
        let case: Case = random::case(seed);
        let (found, wanted) = (case.run(), brute::run(&case));
        assert_eq!(found, wanted, "seed {seed}: {}", serde_json::to_string(&case).unwrap());
        matches += found.iter().map(|outcome| outcome.matches.len()).sum::<usize>();
        timeouts += found.iter().map(|outcome| outcome.timeouts.len()).sum::<usize>();
    }
    assert!(matches > 5_000 && timeouts > 5_000, "the cases say too little: {matches}, {timeouts}");
}
