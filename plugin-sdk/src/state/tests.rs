//! Fields as the store holds them.

use serde_json::json;

use super::*;
use crate::testing::Test;

fn stored(name: &str) -> Option<String> {
    get(name).unwrap().map(|bytes| String::from_utf8(bytes).unwrap())
}

#[test]
fn every_type_is_stored_as_the_table_says() {
    let _ = Test::new().key();
    Value::new("v").set(&json!({"a": [1, 2.5, "ü"]})).unwrap();
    Counter::new("n").add(-3).unwrap();
    List::new("l", 2).set(vec![1, 2, 3]).unwrap();
    Map::new("m").set("a/b", &"x".to_owned()).unwrap();
    Set::new("s").insert("ü").unwrap();
    assert_eq!(names("").unwrap(), ["l", "m/a/b", "n", "s/ü", "v"]);
    for (name, wanted) in
        [("v", "{\"a\":[1,2.5,\"ü\"]}"), ("n", "-3"), ("l", "[2,3]"), ("m/a/b", "\"x\""), ("s/ü", "true")]
    {
        assert_eq!(stored(name).as_deref(), Some(wanted), "{name}");
    }
}

#[test]
fn a_value_is_set_replaced_changed_and_taken() {
    let _ = Test::new().key();
    let value: Value<Vec<u8>> = Value::named(format!("v{}", 1));
    assert_eq!(value.get(), Ok(None));
    assert_eq!(value.take(), Ok(None));
    assert_eq!(value.replace(&vec![1]), Ok(None));
    assert_eq!(value.replace(&vec![2]), Ok(Some(vec![1])));
    assert_eq!(
        value.update(|bytes| {
            bytes.push(3);
            bytes.len()
        }),
        Ok(2)
    );
    assert_eq!(stored("v1").as_deref(), Some("[2,3]"));
    assert_eq!(value.take(), Ok(Some(vec![2, 3])));
    assert_eq!(stored("v1"), None);
    assert_eq!(value.update(|bytes| bytes.len()), Ok(0), "from the default");
}

#[test]
fn a_counter_refuses_to_overflow() {
    let _ = Test::new().key();
    let counter = Counter::new("n");
    assert_eq!((counter.get(), counter.add(2), counter.add(-5)), (Ok(0), Ok(2), Ok(-3)));
    counter.set(i64::MAX).unwrap();
    let failure = counter.add(1).unwrap_err();
    assert!(!failure.is_retry() && failure.reason().contains("counter `n`"), "{failure}");
    assert_eq!(counter.get(), Ok(i64::MAX));
    counter.delete().unwrap();
    assert_eq!(counter.get(), Ok(0));
}

#[test]
fn a_list_keeps_the_last() {
    let _ = Test::new().key();
    let list = List::new("l", 3);
    let pushed: Vec<_> = (1..=5).map(|n| list.push(n).unwrap()).collect();
    assert_eq!(pushed[2..], [vec![1, 2, 3], vec![2, 3, 4], vec![3, 4, 5]]);
    assert_eq!(list.retain(|n| n % 2 == 1), Ok(vec![3, 5]));
    assert_eq!(list.get(), Ok(vec![3, 5]));
    // A bound that a new version lowers holds from the next change.
    assert_eq!(List::new("l", 1).push(9), Ok(vec![9]));
    assert_eq!(List::new("none", 0).push(1), Ok(vec![]));
    list.delete().unwrap();
    assert_eq!(list.get(), Ok(vec![]));
}

#[test]
fn maps_and_sets_see_their_own_entries_only() {
    let _ = Test::new().key();
    let (map, longer): (Map<u32>, Map<u32>) = (Map::new("m"), Map::new("mm"));
    assert_eq!(map.is_empty(), Ok(true));
    longer.set("x", &7).unwrap();
    set("m", "beside").unwrap();
    assert_eq!(
        map.update("b", |n| {
            *n += 2;
            *n
        }),
        Ok(2)
    );
    map.set("a/c", &1).unwrap();
    map.set("", &0).unwrap();
    assert_eq!(map.entries(), Ok(vec![("".into(), 0), ("a/c".into(), 1), ("b".into(), 2)]));
    assert_eq!((map.len(), map.contains("b"), map.contains("c")), (Ok(3), Ok(true), Ok(false)));
    map.remove("b").unwrap();
    map.remove("never there").unwrap();
    assert_eq!(map.keys(), Ok(vec!["".into(), "a/c".into()]));
    map.clear().unwrap();
    assert_eq!(names("").unwrap(), ["m", "mm/x"]);

    let set = Set::named("s");
    assert_eq!([set.insert("x"), set.insert("x"), set.insert("a")], [Ok(true), Ok(false), Ok(true)]);
    assert_eq!((set.members(), set.contains("x")), (Ok(vec!["a".into(), "x".into()]), Ok(true)));
    set.remove("x").unwrap();
    assert_eq!((set.len(), set.contains("x"), set.is_empty()), (Ok(1), Ok(false), Ok(false)));
    set.clear().unwrap();
    assert_eq!(set.is_empty(), Ok(true));
}

#[test]
fn refusals_are_named_and_change_nothing() {
    let _ = Test::new();
    assert_eq!(get("a"), Err(Error::NoKey));
    assert_eq!(names(""), Err(Error::NoKey));
    let failure = Counter::new("n").add(1).unwrap_err();
    assert!(failure.is_retry() && failure.reason().contains("set `key`"), "{failure}");

    let _ = Test::new().key().limits(1, 10);
    let long = "x".repeat(257);
    for name in ["", long.as_str()] {
        let bad = Error::BadName { name: name.into() };
        assert_eq!(get(name), Err(bad.clone()));
        assert_eq!(set(name, ""), Err(bad.clone()));
        assert_eq!(delete(name), Err(bad));
    }
    let longest = "x".repeat(256);
    set(&longest, "").unwrap();
    delete(&longest).unwrap();

    set("a", [0; 1_015]).unwrap();
    set("a", [1; 1_015]).unwrap();
    let too_large = Error::TooLarge { name: "a".into(), limit_bytes: 1_024 };
    assert_eq!(set("a", [2; 1_016]), Err(too_large));
    assert!(matches!(set("b", ""), Err(Error::TooLarge { .. })));
    assert_eq!(get("a").unwrap().unwrap(), [1; 1_015]);
    let failure = Value::new("b").set(&1).unwrap_err();
    assert!(!failure.is_retry() && failure.reason().contains("limit of 1024 bytes"), "{failure}");
    delete("a").unwrap();
    set("b", [0; 1_015]).unwrap();
    // What a lowered limit leaves too large may still shrink.
    let _ = Test {}.limits(0, 10);
    set("b", [0; 1_014]).unwrap();
    assert!(set("b", [0; 1_015]).is_err());
}

#[test]
fn a_field_of_another_shape_asks_for_a_new_version() {
    let _ = Test::new().key();
    set("v", "{\"a\":\"x\"}").unwrap();
    let failure = Value::<std::collections::BTreeMap<String, u8>>::new("v").get().unwrap_err();
    assert!(failure.is_retry());
    assert!(failure.reason().starts_with("state field `v`: `a`: invalid type: string"), "{failure}");
    assert!(failure.reason().ends_with("migrate it, or delete it"), "{failure}");
    let no_json = Value::new("w").set(&std::collections::BTreeMap::from([((1, 2), 3)])).unwrap_err();
    assert!(!no_json.is_retry() && no_json.reason().contains("`w` has no JSON form"), "{no_json}");
}
