//! Patterns against `vectors/patterns.json`, which every language runs, and against a matcher that knows nothing but the
//! definition in PATTERNS.md: it enumerates every sequence of events and keeps those that the rules allow.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, also in its helpers"
)]

#[path = "patterns/brute.rs"]
mod brute;
#[path = "patterns/case.rs"]
mod case;
#[path = "patterns/random.rs"]
mod random;

use std::collections::BTreeMap;

use case::{Case, Item, Outcome, Vectors};
use serde_json::Value;
use wasmill_sdk::pattern::{Error, Pattern, State};

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

fn ab() -> Pattern<Item> {
    Pattern::begin("a", |item: &Item, _| item.name == "a").followed_by("b", |item, _| item.name == "b")
}

fn item(id: &str) -> Item {
    Item { id: id.to_owned(), name: id.to_owned(), value: None }
}

#[test]
fn a_state_of_another_pattern_is_refused() {
    let mut state = State::default();
    ab().advance(&mut state, item("a"), 1).unwrap();
    let before = state.clone();
    let other = ab().optional();
    let error = other.advance(&mut state, item("b"), 2).unwrap_err();
    assert_eq!(error, Error::Changed { stored: "a ~b".into(), now: "a ~b?".into() });
    assert_eq!(other.on_time(&mut state, 2).unwrap_err(), error);
    assert_eq!(state, before);
    assert_eq!(ab().advance(&mut state, item("b"), 2).unwrap().matches.len(), 1);
    assert!(state.is_idle());
    assert_eq!(other.advance(&mut state, item("a"), 3).unwrap().matches.len(), 1);
}

#[test]
fn a_state_that_contradicts_itself_is_refused() {
    let event = r#"{"id":"a","name":"a"}"#;
    for (events, runs) in [
        (format!("[[0,\"1\",{event}]]"), "[[2,false,[]]]"),
        (format!("[[0,\"1\",{event}]]"), "[[2,false,[[0,1]]]]"),
        (format!("[[0,\"1\",{event}]]"), "[[2,false,[[2,0]]]]"),
        (format!("[[7,\"1\",{event}]]"), "[[2,false,[[0,7]]]]"),
        (format!("[[1,\"1\",{event}],[0,\"1\",{event}]]"), "[[2,false,[[0,0]]]]"),
        (format!("[[0,\"1\",{event}],[1,\"1\",{event}]]"), "[[2,false,[[1,0],[0,1]]]]"),
    ] {
        let stored = format!(r#"{{"p":"a ~b","n":2,"t":"1","e":{events},"r":{runs}}}"#);
        let mut state: State<Item> = serde_json::from_str(&stored).unwrap();
        assert_eq!(ab().advance(&mut state, item("b"), 2), Err(Error::Corrupt), "{stored}");
    }
}

/// Whatever stands in a record, a plugin answers; it does not end.
#[test]
fn a_state_with_any_numbers_ends_nothing() {
    for seed in 0..500 {
        let case = random::case(seed);
        let pattern = case.pattern.build();
        let mut state = State::default();
        for row in &case.input {
            let Some(item) = row.item() else { continue };
            pattern.advance(&mut state, item.clone(), row.time()).unwrap();
            let mut stored = serde_json::to_value(&state).unwrap();
            spoil(&mut stored, &mut random::Random::new(seed));
            let Ok(mut spoilt) = serde_json::from_value::<State<Item>>(stored) else { continue };
            let _ = pattern.due(&spoilt);
            let _ = pattern.advance(&mut spoilt, item, row.time());
            let _ = pattern.on_time(&mut spoilt, u64::MAX);
        }
    }
}

/// Changes some of the numbers.
fn spoil(value: &mut Value, random: &mut random::Random) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(|value| spoil(value, random)),
        Value::Object(map) => map.values_mut().for_each(|value| spoil(value, random)),
        Value::Number(number) if random.one_in(8) => {
            *value = match random.below(4) {
                0 => u64::MAX.into(),
                1 => u32::MAX.into(),
                _ => number.as_u64().unwrap_or(0).wrapping_add(random.below(3)).wrapping_sub(1).into(),
            }
        }
        _ => {}
    }
}
