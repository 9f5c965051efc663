//! How close the answers are, when the sketch goes through the store between any two values as it does in a plugin.

use super::*;
use crate::state::{self, Value};
use crate::testing::Test;

/// Numbers that differ and come in no order: multiples of an odd number, modulo a power of two.
fn scattered(count: u64) -> impl Iterator<Item = u64> {
    (1..=count).map(|n| n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 24)
}

fn stored(name: &str) -> serde_json::Value {
    serde_json::from_slice(&state::get(name).unwrap().unwrap()).unwrap()
}

#[test]
fn few_are_counted_exactly_and_many_closely() {
    let _ = Test::new().key();
    let field: Value<Distinct> = Value::new("d");
    let mut largest = 0;
    for (seen, n) in (1_u64..).zip(scattered(20_000)) {
        let count = field
            .update(|distinct| {
                distinct.insert(n.to_string());
                distinct.insert(n.to_string());
                distinct.count()
            })
            .unwrap();
        let error = count.abs_diff(seen);
        assert!(if seen < 100 { error == 0 } else { error * 25 < seen }, "{count} of {seen}");
        largest = largest.max(state::get("d").unwrap().unwrap().len());
    }
    assert!(largest <= 3 * 1_024, "{largest} bytes");
    assert_eq!(stored("d")["count"], field.get().unwrap().unwrap().count());
}

#[test]
fn counts_of_two_places_come_together() {
    let [mut a, mut b] = [Distinct::new(), Distinct::default()];
    for n in 0..3_000 {
        a.insert(format!("{n}"));
        b.insert(format!("{}", n + 2_000));
    }
    a.merge(&b);
    assert!(a.count().abs_diff(5_000) < 200, "{a:?}");
    a.merge(&Distinct::new());
    assert!(a.count().abs_diff(5_000) < 200, "{a:?}");
}

#[test]
fn ranks_are_close_however_often_the_sketch_is_stored() {
    let _ = Test::new().key();
    let field: Value<Quantiles> = Value::new("q");
    let mut all = Vec::new();
    let mut largest = 0;
    for n in scattered(20_000) {
        // A long tail, as amounts of money and delays have it.
        let number = 1.0 / (1.0 - (n % 1_000_000) as f64 / 1_000_001.0);
        all.push(number);
        field.update(|quantiles| quantiles.insert(number)).unwrap();
        largest = largest.max(state::get("q").unwrap().unwrap().len());
    }
    all.sort_by(f64::total_cmp);
    let quantiles = field.get().unwrap().unwrap();
    for (rank, within) in
        [(0.001, 0.001), (0.01, 0.002), (0.5, 0.01), (0.9, 0.005), (0.99, 0.002), (0.999, 0.001)]
    {
        let number = quantiles.at(rank).unwrap();
        let truth = all.partition_point(|n| *n < number) as f64 / all.len() as f64;
        assert!((truth - rank).abs() < within, "rank {rank} has {number}, which is at {truth}");
        assert!((quantiles.rank(number).unwrap() - rank).abs() < within);
    }
    assert_eq!((quantiles.at(0.0), quantiles.at(1.0)), (all.first().copied(), all.last().copied()));
    assert_eq!((quantiles.min(), quantiles.max()), (all.first().copied(), all.last().copied()));
    assert!(largest <= 5 * 1_024, "{largest} bytes");
    assert_eq!(stored("q")["count"], 20_000);
}

#[test]
fn odd_numbers_and_ranks_do_no_harm() {
    let mut quantiles = Quantiles::default();
    assert_eq!(
        (quantiles.at(0.5), quantiles.rank(1.0), quantiles.min(), quantiles.count()),
        (None, None, None, 0)
    );
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        quantiles.insert(number);
    }
    assert_eq!(quantiles.count(), 0);
    let empty = serde_json::to_string(&quantiles).unwrap();
    assert!(empty.starts_with("{\"count\":0,\"min\":null"), "{empty}");
    let mut quantiles: Quantiles = serde_json::from_str(&empty).unwrap();
    quantiles.insert(-2.5);
    assert_eq!([f64::NAN, -1.0, 0.5, 2.0].map(|rank| quantiles.at(rank)), [Some(-2.5); 4]);
    let mut other = Quantiles::new();
    other.insert(7.5);
    quantiles.merge(&other);
    assert_eq!((quantiles.count(), quantiles.max()), (2, Some(7.5)));
}

#[test]
fn what_is_no_sketch_is_told() {
    for text in ["{}", "{\"hll\":\"&\"}", "{\"hll\":\"AAAA\"}", "{\"hll\":\"\"}", "7"] {
        assert!(serde_json::from_str::<Distinct>(text).is_err(), "{text}");
        assert!(serde_json::from_str::<Quantiles>(&text.replace("hll", "tdigest")).is_err(), "{text}");
    }
}
