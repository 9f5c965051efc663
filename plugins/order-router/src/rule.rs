//! One rule: a field, a condition on it, and where events go that meet it.

use serde::Deserialize;
use serde_json::{Number, Value};
use wasmill_sdk::json::{Comparison, FieldPath};

/// A rule, checked when the config is read.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Table")]
pub struct Rule {
    field: FieldPath,
    condition: Condition,
    output: String,
}

#[derive(Debug)]
enum Condition {
    Exists(bool),
    In(Vec<Value>),
    Compares(Comparison, Number),
}

/// A rule as an operator writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    field: FieldPath,
    output: String,
    equals: Option<Value>,
    #[serde(rename = "in")]
    one_of: Option<Vec<Value>>,
    comparison: Option<Comparison>,
    value: Option<Number>,
    exists: Option<bool>,
}

impl TryFrom<Table> for Rule {
    type Error = String;

    fn try_from(table: Table) -> Result<Self, String> {
        let Table { field, output, equals, one_of, comparison, value, exists } = table;
        let condition = match (equals, one_of, comparison, value, exists) {
            (Some(equals), None, None, None, None) => Condition::In(vec![equals]),
            (None, Some(one_of), None, None, None) => Condition::In(one_of),
            (None, None, Some(comparison), Some(value), None) => Condition::Compares(comparison, value),
            (None, None, None, None, Some(exists)) => Condition::Exists(exists),
            _ => {
                return Err(format!(
                    "the rule for field `{field}` needs exactly one of: equals, in, exists, or comparison with value"
                ));
            }
        };
        Ok(Self { field, condition, output })
    }
}

impl Rule {
    /// Where events go that meet the condition.
    pub fn output(&self) -> &str {
        &self.output
    }

    /// Whether a payload meets the condition. A missing field meets `exists = false` only.
    pub fn matches(&self, payload: &Value) -> bool {
        let value = self.field.get(payload);
        match (&self.condition, value) {
            (Condition::Exists(wanted), _) => value.is_some() == *wanted,
            (Condition::In(list), Some(value)) => list.iter().any(|wanted| equal(value, wanted)),
            (Condition::Compares(comparison, limit), Some(Value::Number(number))) => {
                comparison.holds(number, limit)
            }
            (Condition::In(_) | Condition::Compares(..), _) => false,
        }
    }
}

/// Numbers are equal by value, so that 1 and 1.0 are; all else as JSON has it.
fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => Comparison::Equal.holds(left, right),
        _ => left == right,
    }
}
