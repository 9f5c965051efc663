use std::collections::BTreeSet;

use super::*;

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

#[test]
fn bounds_are_included() {
    let join = Join::within(ms(5), ms(10)).unwrap().disorder(ms(100)).unwrap();
    let mut held = Held::default();
    assert!(join.left(&mut held, 100 * MS, 'a').pairs.is_empty());
    for (time, met) in [(94, false), (95, true), (100, true), (110, true), (111, false)] {
        assert_eq!(!join.right(&mut held, time * MS, time).pairs.is_empty(), met, "{time}");
    }
    let pairs = join.left(&mut held, 105 * MS, 'b').pairs;
    assert_eq!(pairs, [('b', 100), ('b', 110), ('b', 111)]);
    assert_eq!(
        serde_json::to_string(&held).unwrap(),
        r#"{"w":11,"a":[[100,"a",true],[105,"b",true]],"b":[[94,94,false],[95,95,true],[100,100,true],[110,110,true],[111,111,true]]}"#
    );
}

/// Any order within the disorder finds each pair of the whole input once, and each event without one once.
#[test]
fn any_order_within_the_disorder_finds_all_pairs() {
    for seed in 0..50 {
        let mut draw = draws(seed);
        let mut events: Vec<(u64, u64, bool)> = (0..200).map(|id| (draw(3_000), id, draw(2) == 0)).collect();
        events.sort_by_cached_key(|(time, ..)| *time + draw(100));
        let join = Join::within(ms(20), ms(40)).unwrap().disorder(ms(100)).unwrap();
        let (mut held, mut pairs, mut alone) = (Held::default(), Vec::new(), Vec::new());
        for (time, id, left) in &events {
            let joined = match left {
                true => join.left(&mut held, time * MS, *id),
                false => join.right(&mut held, time * MS, *id),
            };
            assert!(!joined.late);
            pairs.extend(joined.pairs);
            alone.extend(joined.unmatched);
            held = serde_json::from_str(&serde_json::to_string(&held).unwrap()).unwrap();
        }
        while let Some(due) = join.due(&held) {
            assert!(join.advance(&mut held, due - MS).is_empty());
            alone.extend(join.advance(&mut held, due));
        }
        assert_eq!((held.pieces(), held.evicted(), held.late()), (0, 0, 0));

        let mut expected = BTreeSet::new();
        for (time, left, _) in events.iter().filter(|event| event.2) {
            let met = |other: &&(u64, u64, bool)| !other.2 && other.0 + 20 >= *time && other.0 <= time + 40;
            expected.extend(events.iter().filter(met).map(|right| (*left, right.1)));
        }
        assert_eq!(pairs.len(), expected.len());
        let matched: BTreeSet<u64> = expected.iter().flat_map(|(left, right)| [*left, *right]).collect();
        assert_eq!(pairs.into_iter().collect::<BTreeSet<_>>(), expected);
        let unmatched = alone.iter().map(|side| match side {
            Side::Left(id) | Side::Right(id) => *id,
        });
        let mut unmatched: Vec<u64> = unmatched.collect();
        unmatched.sort_unstable();
        assert_eq!(unmatched, (0..200).filter(|id| !matched.contains(id)).collect::<Vec<_>>());
    }
}

#[test]
fn late_events_and_those_without_room_are_counted() {
    let join = Join::within(ms(10), ms(10)).unwrap().capacity(2);
    let mut held: Held<u64, u64> = Held::default();
    for time in 100..105 {
        let _ = join.left(&mut held, time * MS, time);
    }
    assert_eq!((held.evicted(), held.pieces()), (3, 2));
    assert!(join.right(&mut held, 103 * MS, 0).late);
    assert_eq!(join.right(&mut held, 104 * MS, 1).pairs, [(103, 1), (104, 1)]);
    assert_eq!((held.late(), held.watermark()), (1, Some(104 * MS)));
    let mut held: Held<u64, u64> = Held::default();
    for time in 100..105 {
        let _ = join.left(&mut held, time * MS, time);
    }
    let told = join.advance(&mut held, 200 * MS);
    assert_eq!(told, [Side::Left(103), Side::Left(104)], "what gave way is not told as unmatched");
}
