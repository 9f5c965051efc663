use super::*;

const LIMITS: StateLimits = StateLimits { record_bytes: 200, timers: 3 };

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn timer(due_ns: u64, setting: u64) -> Timer {
    Timer { due_ns, data: Bytes::new(), setting }
}

fn state() -> KeyState {
    let fields =
        [("b", "1"), ("a", "22"), ("b", "333"), ("", "")].map(|(name, value)| (name.into(), bytes(value)));
    KeyState::new(fields, [("late".into(), timer(9, 2)), ("soon".into(), timer(5, 1))], 2)
}

fn names(state: &KeyState) -> Vec<&str> {
    state.fields().map(|(name, _)| name.as_ref()).collect()
}

/// What a call leaves of a state.
fn after(mut state: KeyState, call: impl FnOnce(&mut Draft)) -> KeyState {
    let mut draft = Draft::new(state.clone(), LIMITS);
    call(&mut draft);
    for change in draft.into_changes() {
        state.apply(&change);
    }
    state
}

#[test]
fn a_state_is_sorted_and_of_two_the_later_holds() {
    let state = state();
    assert_eq!(names(&state), ["", "a", "b"]);
    assert_eq!(state.field("b"), Some(&bytes("333")));
    assert_eq!(state.field("c"), None);
    assert_eq!(state.names("a").map(AsRef::as_ref).collect::<Vec<&str>>(), ["a"]);
    assert_eq!(state.names("").count(), 3);
    assert_eq!(
        KeyState::new([], [("t".into(), timer(1, 7))], 2).settings(),
        7,
        "numbers are never given twice"
    );
}

#[test]
fn the_size_is_that_of_what_it_holds() {
    let full = state();
    let fields = "a22b333".len() + 3 * FIELD_COST_BYTES;
    assert_eq!(full.bytes(), fields + "latesoon".len() + 2 * TIMER_COST_BYTES);
    let empty = [
        Change::Delete { name: "a".into() },
        Change::Delete { name: "b".into() },
        Change::Delete { name: "".into() },
        Change::Delete { name: "never".into() },
        Change::CancelTimer { name: "soon".into() },
        Change::CancelTimer { name: "never".into() },
    ];
    let mut state = full.clone();
    empty.iter().for_each(|change| state.apply(change));
    assert_eq!(state.fire("late"), Some(timer(9, 2)));
    assert_eq!(state.fire("late"), None);
    assert!(state.is_empty() && state.bytes() == 0 && state.settings() == 2, "{state:?}");
    assert_eq!(full, self::state(), "a clone goes its own way");
}

#[test]
fn timers_come_by_due_time_and_then_as_they_were_set() {
    let mut state = KeyState::default();
    let mut set =
        |name: &str, due_ns| state.apply(&Change::SetTimer { name: name.into(), due_ns, data: Bytes::new() });
    for (name, due_ns) in [("z", 5), ("a", 5), ("later", 7), ("moved", 1), ("moved", 6)] {
        set(name, due_ns);
    }
    assert_eq!(state.timer("moved").map(|timer| timer.setting), Some(5), "it is a setting of its own");
    let mut fired = Vec::new();
    while let Some((name, timer)) = state.earliest().map(|(name, timer)| (name.clone(), timer.clone())) {
        assert_eq!(state.fire(&name), Some(timer.clone()));
        state.put_back(&name, timer.clone());
        assert_eq!(state.earliest(), Some((&name, &timer)), "put back, it is as it was");
        state.fire(&name);
        fired.push(name);
    }
    assert_eq!(fired.iter().map(AsRef::as_ref).collect::<Vec<&str>>(), ["z", "a", "moved", "later"]);
    assert!(state.is_empty());
}

#[test]
fn a_draft_reads_what_it_wrote_and_leaves_one_change_each() {
    let state = state();
    let mut draft = Draft::new(state.clone(), LIMITS);
    for value in ["x", "yy"] {
        draft.set("new", bytes(value)).unwrap();
    }
    draft.delete("a").unwrap();
    draft.delete("never").unwrap();
    draft.set("gone", bytes("again")).unwrap();
    draft.delete("gone").unwrap();
    draft.set_timer("late", 1, bytes("t")).unwrap();
    draft.set_timer("fleeting", 1, Bytes::new()).unwrap();
    draft.cancel_timer("fleeting").unwrap();
    draft.cancel_timer("soon").unwrap();
    draft.cancel_timer("never").unwrap();
    assert_eq!(draft.get("new"), Ok(Some(&bytes("yy"))));
    assert_eq!((draft.get("a"), draft.get("gone")), (Ok(None), Ok(None)));
    assert_eq!(draft.names(""), ["", "b", "new"]);
    assert_eq!(draft.names("n"), ["new"]);
    let (name, value) = ("new".into(), bytes("yy"));
    assert_eq!(
        draft.into_changes(),
        [
            Change::Delete { name: "a".into() },
            Change::Set { name, value },
            Change::SetTimer { name: "late".into(), due_ns: 1, data: bytes("t") },
            Change::CancelTimer { name: "soon".into() },
        ]
    );
    assert_eq!(state, self::state(), "the draft is beside it");
}

#[test]
fn drafts_count_as_states_do() {
    let left = after(state(), |draft| {
        draft.set("a", bytes("longer")).unwrap();
        draft.delete("b").unwrap();
        draft.set_timer("soon", 3, bytes("data")).unwrap();
        draft.cancel_timer("late").unwrap();
    });
    let again = KeyState::new(
        left.fields().map(|(name, value)| (name.clone(), value.clone())),
        left.timers().map(|(name, timer)| (name.clone(), timer.clone())),
        left.settings(),
    );
    assert_eq!(left, again);
    assert_eq!(left.timer("soon").map(|timer| timer.setting), Some(3));
}

#[test]
fn what_a_call_may_not_do_is_refused_and_changes_nothing() {
    let mut draft = Draft::new(state(), LIMITS);
    let long = "n".repeat(MAX_STATE_NAME_BYTES + 1);
    for name in ["", &long] {
        assert_eq!(draft.set(name, Bytes::new()), Err(Refused::Name(BadName)));
        assert_eq!(draft.get(name), Err(BadName));
        assert_eq!((draft.delete(name), draft.cancel_timer(name)), (Err(BadName), Err(BadName)));
        assert_eq!(draft.set_timer(name, 1, Bytes::new()), Err(TimerRefused::State(Refused::Name(BadName))));
    }
    let size = Oversize { bytes: state().bytes() + 108, limit: 200 };
    let zeros = Bytes::from(vec![0; 99]);
    assert_eq!(draft.set("z", zeros.clone()), Err(Refused::Size(size)));
    draft.set_timer("third", 1, Bytes::new()).unwrap();
    assert_eq!(draft.set_timer("fourth", 1, Bytes::new()), Err(TimerRefused::TooMany { limit: 3 }));
    assert!(matches!(draft.set_timer("third", 1, zeros), Err(TimerRefused::State(Refused::Size(_)))));
    draft.cancel_timer("soon").unwrap();
    draft.set_timer("fourth", 1, Bytes::new()).unwrap();
    assert_eq!(draft.into_changes().len(), 3);
}

#[test]
fn a_state_over_its_limit_may_shrink() {
    let limits = StateLimits { record_bytes: 20, timers: 0 };
    let mut draft = Draft::new(state(), limits);
    draft.set("b", bytes("1")).unwrap();
    draft.set("b", bytes("2")).unwrap();
    assert!(draft.set("b", bytes("33")).is_err());
    draft.delete("b").unwrap();
    assert_eq!(draft.set_timer("late", 1, Bytes::new()), Ok(()), "it is set already");
    assert_eq!(draft.set_timer("third", 1, Bytes::new()), Err(TimerRefused::TooMany { limit: 0 }));
}
