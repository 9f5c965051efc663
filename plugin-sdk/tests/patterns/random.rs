//! Cases by chance: small patterns whose conditions overlap, and short inputs.

use serde_json::{Value, json};

use crate::case::Case;

/// SplitMix64 (Steele, Lea, Flood 2014).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }
}

/// The case of a seed; its pattern has a meaning.
pub fn case(seed: u64) -> Case {
    let mut random = Random::new(seed);
    loop {
        let value = json!({
            "name": format!("seed {seed}"),
            "shape": "",
            "pattern": pattern(&mut random),
            "input": input(&mut random),
            "expect": {},
        });
        let case: Case = serde_json::from_value(value).unwrap();
        if case.pattern.build().check().is_ok() {
            return case;
        }
    }
}

fn pattern(random: &mut Random) -> Value {
    let names = ["p", "q", "r", "s"];
    let count = usize::try_from(1 + random.below(4)).unwrap();
    let mut stages = Vec::new();
    for (index, name) in names.iter().take(count).enumerate() {
        let mut stage = json!({"name": name, "where": condition(random)});
        if index > 0 {
            if random.one_in(4) {
                stages.push(negation(random));
            }
            stage["link"] = random.pick(&["next", "followed-by", "followed-by", "followed-by-any"]).into();
        }
        if random.one_in(3) {
            let min = 1 + random.below(2);
            stage["times"] = match random.below(3) {
                0 => json!([min, min + 1]),
                1 => json!([min, null]),
                _ => json!([2, 2]),
            };
            if random.one_in(2) {
                stage["inner"] = random.pick(&["next", "followed-by-any"]).into();
            }
        }
        stage["greedy"] = random.one_in(3).into();
        stage["optional"] = random.one_in(4).into();
        if random.one_in(6) {
            stage["or"] = json!([{"name": format!("{name}2"), "where": condition(random)}]);
        }
        stages.push(stage);
    }
    if random.one_in(4) {
        stages.push(negation(random));
    }
    let mut pattern = json!({"stages": stages});
    if !random.one_in(4) {
        pattern["within"] = (2 + random.below(8)).into();
    }
    let named = names[usize::try_from(random.below(count as u64)).unwrap()];
    pattern["skip"] = match random.below(5) {
        0 => json!("none"),
        1 => json!("to-next"),
        2 => json!("past-last"),
        3 => json!({"to-first": named}),
        _ => json!({"to-last": named}),
    };
    pattern
}

fn negation(random: &mut Random) -> Value {
    let link = random.pick(&["not-next", "not-followed-by"]);
    json!({"link": link, "name": "not", "where": condition(random)})
}

/// Conditions overlap: one event can be several stages.
fn condition(random: &mut Random) -> Value {
    match random.below(6) {
        0 => json!([["value", ">", {"of": ["last", "*"]}]]),
        1 => json!([["name", "has", random.pick(&["a", "b", "c"])], ["value", ">", random.below(3)]]),
        2 => json!([["value", "<", {"of": ["sum", "p"], "factor": -1, "plus": 5}]]),
        _ => json!([["name", "has", random.pick(&["a", "b", "c"])]]),
    }
}

fn input(random: &mut Random) -> Value {
    let mut time = 0;
    let mut rows = Vec::new();
    for number in 0..4 + random.below(5) {
        time += random.below(4);
        if random.one_in(6) {
            rows.push(json!([time]));
        }
        let name = random.pick(&["a", "b", "c", "ab", "bc", "x"]);
        rows.push(json!([time, format!("{name}{number}"), random.below(4)]));
    }
    rows.push(json!([time + random.below(12)]));
    Value::Array(rows)
}
