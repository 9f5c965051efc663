//! Any of the aggregates, as a vector names it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wasmill_sdk::aggregate::{Aggregate, Count, Distinct, Largest, Max, Mean, Min, Quantile, Rows, Sum, Top};

/// The fractions that a vector of a quantile has answers for.
const FRACTIONS: [f64; 7] = [0.0, 0.01, 0.25, 0.5, 0.9, 0.99, 1.0];

/// One of them; its JSON is that of the aggregate itself.
#[derive(Clone)]
pub enum Any {
    Count(Count),
    Sum(Sum),
    Mean(Mean),
    Min(Min),
    Max(Max),
    Distinct(Distinct),
    Quantile(Quantile),
    Top(Top),
    Largest(Largest),
    Rows(Rows<Value>),
}

impl Any {
    pub fn new(aggregate: &Value) -> Self {
        let bound = |name: &str| usize::try_from(aggregate[name].as_u64().unwrap()).unwrap();
        match aggregate["kind"].as_str().unwrap() {
            "count" => Self::Count(Count::default()),
            "sum" => Self::Sum(Sum::default()),
            "mean" => Self::Mean(Mean::default()),
            "min" => Self::Min(Min::default()),
            "max" => Self::Max(Max::default()),
            "distinct" => Self::Distinct(Distinct::default()),
            "quantile" => Self::Quantile(Quantile::default()),
            "top" => Self::Top(Top::new(bound("capacity"))),
            "largest" => Self::Largest(Largest::new(bound("n"))),
            "rows" => Self::Rows(Rows::new(bound("n"))),
            other => panic!("no aggregate is called {other}"),
        }
    }

    pub fn add(&mut self, value: &Value) {
        let number = || value.as_f64().unwrap();
        match self {
            Self::Count(count) => count.add(value.as_u64().unwrap()),
            Self::Sum(sum) => sum.add(number()),
            Self::Mean(mean) => mean.add(number()),
            Self::Min(min) => min.add(number()),
            Self::Max(max) => max.add(number()),
            Self::Distinct(distinct) => distinct.add(value.as_str().unwrap()),
            Self::Quantile(quantile) => quantile.add(number()),
            Self::Top(top) => top.add(value[0].as_str().unwrap(), value[1].as_u64().unwrap()),
            Self::Largest(largest) => largest.add(value[0].as_str().unwrap(), value[1].as_f64().unwrap()),
            Self::Rows(rows) => rows.add(value.clone()),
        }
    }

    fn answers(&self) -> Value {
        match self {
            Self::Count(count) => json!(count.get()),
            Self::Sum(sum) => json!(sum.get()),
            Self::Mean(mean) => json!(mean.get()),
            Self::Min(min) => json!(min.get()),
            Self::Max(max) => json!(max.get()),
            Self::Distinct(distinct) => json!({"count": distinct.get(), "exact": distinct.is_exact()}),
            Self::Quantile(quantile) => FRACTIONS.map(|q| json!([q, quantile.get(q)])).into(),
            Self::Top(top) => json!({"first": top.get(2), "exact": top.is_exact()}),
            Self::Largest(largest) => json!({"winners": largest.winners()}),
            Self::Rows(rows) => json!({"rows": rows.get(), "over": rows.over()}),
        }
    }

    /// The same aggregate as its JSON gives it back.
    fn read(&mut self, json: &Value) {
        fn get<'a, T: Deserialize<'a>>(json: &'a Value) -> T {
            T::deserialize(json).unwrap()
        }
        match self {
            Self::Count(count) => *count = get(json),
            Self::Sum(sum) => *sum = get(json),
            Self::Mean(mean) => *mean = get(json),
            Self::Min(min) => *min = get(json),
            Self::Max(max) => *max = get(json),
            Self::Distinct(distinct) => *distinct = get(json),
            Self::Quantile(quantile) => *quantile = get(json),
            Self::Top(top) => *top = get(json),
            Self::Largest(largest) => *largest = get(json),
            Self::Rows(rows) => *rows = get(json),
        }
    }
}

impl Aggregate for Any {
    fn merge(&mut self, other: &Self) {
        match (self, other) {
            (Self::Count(a), Self::Count(b)) => a.merge(b),
            (Self::Sum(a), Self::Sum(b)) => a.merge(b),
            (Self::Mean(a), Self::Mean(b)) => a.merge(b),
            (Self::Min(a), Self::Min(b)) => a.merge(b),
            (Self::Max(a), Self::Max(b)) => a.merge(b),
            (Self::Distinct(a), Self::Distinct(b)) => a.merge(b),
            (Self::Quantile(a), Self::Quantile(b)) => a.merge(b),
            (Self::Top(a), Self::Top(b)) => a.merge(b),
            (Self::Largest(a), Self::Largest(b)) => a.merge(b),
            (Self::Rows(a), Self::Rows(b)) => a.merge(b),
            _ => panic!("aggregates of two kinds"),
        }
    }
}

impl Serialize for Any {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Count(count) => count.serialize(serializer),
            Self::Sum(sum) => sum.serialize(serializer),
            Self::Mean(mean) => mean.serialize(serializer),
            Self::Min(min) => min.serialize(serializer),
            Self::Max(max) => max.serialize(serializer),
            Self::Distinct(distinct) => distinct.serialize(serializer),
            Self::Quantile(quantile) => quantile.serialize(serializer),
            Self::Top(top) => top.serialize(serializer),
            Self::Largest(largest) => largest.serialize(serializer),
            Self::Rows(rows) => rows.serialize(serializer),
        }
    }
}

/// What is stored does not say what it is, so a stored one is recognised by its shape.
impl<'de> Deserialize<'de> for Any {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Value::deserialize(deserializer)?;
        let kind = match &json {
            Value::Number(_) => "count",
            Value::Array(_) => "sum",
            Value::Object(fields) if fields.contains_key("r") && fields.contains_key("n") => "rows",
            _ => "distinct",
        };
        let mut any = Self::new(&json!({"kind": kind, "n": 0}));
        any.read(&json);
        Ok(any)
    }
}

/// The values that are added: as they stand, or so many that a rule says.
fn values(rules: &Value, of_strings: bool) -> Vec<Value> {
    let rules = rules.as_array().unwrap().iter();
    let each = rules.flat_map(|rule| -> Vec<Value> {
        if let Some([from, to]) = rule["range"].as_array().map(Vec::as_slice) {
            let range = from.as_i64().unwrap()..to.as_i64().unwrap();
            range.map(|i| if of_strings { json!(i.to_string()) } else { json!(i as f64) }).collect()
        } else if let Some([base, from, to]) = rule["powers"].as_array().map(Vec::as_slice) {
            powers(base.as_f64().unwrap(), from.as_u64().unwrap(), to.as_u64().unwrap())
        } else {
            vec![rule.clone()]
        }
    });
    each.collect()
}

/// The powers of a number by repeated multiplication, which all languages round alike; of a negative one those of its size,
/// negative.
fn powers(base: f64, from: u64, to: u64) -> Vec<Value> {
    let mut power = 1.0;
    let mut powers = Vec::new();
    for exponent in 0..to {
        if exponent >= from {
            powers.push(json!(if base < 0.0 { -power } else { power }));
        }
        power *= base.abs();
    }
    powers
}

pub fn case(mut case: Value) -> Value {
    let of_strings = case["aggregate"]["kind"] == "distinct";
    let empty = Any::new(&case["aggregate"]);
    let filled = |rules: &Value| {
        let mut any = empty.clone();
        values(rules, of_strings).iter().for_each(|value| any.add(value));
        any
    };
    let mut any = filled(&case["add"]);
    if !case["merge"].is_null() {
        any.merge(&filled(&case["merge"]));
    } else if let Some(fields) = case.as_object_mut() {
        fields.remove("merge");
    }
    case["state"] = json!(any);
    any.read(&case["state"].clone());
    case["answers"] = any.answers();
    case
}
