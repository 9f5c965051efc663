//! Where a field is in a JSON value.

use std::fmt;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::Failure;

/// The place of a field: a name (`amount`), names joined by dots (`card.country`, `items.0.sku`), or a JSON pointer
/// (`/card/country`, RFC 6901), which also reaches names that hold dots.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct FieldPath {
    text: String,
    tokens: Vec<String>,
}

impl FieldPath {
    /// Reads a path.
    ///
    /// # Errors
    /// Says what a path may be.
    pub fn new(text: impl Into<String>) -> Result<Self, String> {
        let text = text.into();
        let tokens: Vec<String> = match text.strip_prefix('/') {
            Some(pointer) => {
                pointer.split('/').map(|token| token.replace("~1", "/").replace("~0", "~")).collect()
            }
            None => text.split('.').map(ToOwned::to_owned).collect(),
        };
        if tokens.iter().any(String::is_empty) {
            return Err(format!(
                "{text:?} is no path to a field: write amount, card.country or /card/country"
            ));
        }
        Ok(Self { text, tokens })
    }

    /// Its names and indices, outermost first.
    #[must_use]
    pub fn tokens(&self) -> &[String] {
        &self.tokens
    }

    /// The field's value, if it is there.
    #[must_use]
    pub fn get<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        self.tokens.iter().try_fold(value, |value, token| match value {
            Value::Object(map) => map.get(token),
            Value::Array(list) => list.get(index(token)?),
            _ => None,
        })
    }

    /// The field's value for changing, if it is there.
    #[must_use]
    pub fn get_mut<'a>(&self, value: &'a mut Value) -> Option<&'a mut Value> {
        self.tokens.iter().try_fold(value, |value, token| child_mut(value, token))
    }

    /// Sets the field, and makes the objects on the way that are missing.
    ///
    /// # Errors
    /// A reject if something on the way is no object.
    pub fn set(&self, value: &mut Value, new: Value) -> Result<(), Failure> {
        let mut place = value;
        for token in &self.tokens {
            if let Value::Object(map) = place {
                place = map.entry(token.as_str()).or_insert_with(|| Value::Object(Map::new()));
            } else {
                place = child_mut(place, token).ok_or_else(|| self.blocked(token))?;
            }
        }
        *place = new;
        Ok(())
    }

    /// Takes the field out, if it is there. An element of an array leaves no gap.
    pub fn remove(&self, value: &mut Value) -> Option<Value> {
        let (last, parents) = self.tokens.split_last()?;
        match parents.iter().try_fold(value, |value, token| child_mut(value, token))? {
            Value::Object(map) => map.remove(last),
            Value::Array(list) => {
                let index = index(last).filter(|&index| index < list.len())?;
                Some(list.remove(index))
            }
            _ => None,
        }
    }

    #[cold]
    fn blocked(&self, token: &str) -> Failure {
        Failure::reject(format!("payload: `{}` cannot be set: what holds `{token}` is no object", self.text))
    }
}

impl TryFrom<String> for FieldPath {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::new(text)
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn child_mut<'a>(value: &'a mut Value, token: &str) -> Option<&'a mut Value> {
    match value {
        Value::Object(map) => map.get_mut(token),
        Value::Array(list) => list.get_mut(index(token)?),
        _ => None,
    }
}

/// An array index as RFC 6901 has it: no sign, no leading zero.
fn index(token: &str) -> Option<usize> {
    let plain = token.bytes().all(|b| b.is_ascii_digit()) && (token == "0" || !token.starts_with('0'));
    if plain { token.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn path(text: &str) -> FieldPath {
        FieldPath::new(text).unwrap()
    }

    #[test]
    fn names_dots_and_pointers_reach_fields() {
        let value =
            json!({"amount": 1, "card": {"country": "DE"}, "a.b": 2, "c/d~": 3, "items": [{"sku": "x"}]});
        for (text, wanted) in [
            ("amount", Some(json!(1))),
            ("/amount", Some(json!(1))),
            ("card.country", Some(json!("DE"))),
            ("/card/country", Some(json!("DE"))),
            ("/a.b", Some(json!(2))),
            ("/c~1d~0", Some(json!(3))),
            ("items.0.sku", Some(json!("x"))),
            ("items.00.sku", None),
            ("items.+0.sku", None),
            ("items.1", None),
            ("amount.x", None),
            ("none", None),
        ] {
            assert_eq!(path(text).get(&value), wanted.as_ref(), "{text}");
        }
    }

    #[test]
    fn empty_names_are_refused() {
        for text in ["", "/", "a..b", ".a", "a.", "/a//b"] {
            assert!(FieldPath::new(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn fields_are_set_and_taken() {
        let mut value = json!({"a": {"b": 1}, "l": [1, 2]});
        path("a.c.d").set(&mut value, json!(2)).unwrap();
        path("l.1").set(&mut value, json!(3)).unwrap();
        assert_eq!(path("a.b").remove(&mut value), Some(json!(1)));
        assert_eq!(path("l.0").remove(&mut value), Some(json!(1)));
        assert_eq!(path("l.7").remove(&mut value), None);
        assert_eq!(path("x.y").remove(&mut value), None);
        assert_eq!(value, json!({"a": {"c": {"d": 2}}, "l": [3]}));
        *path("l.0").get_mut(&mut value).unwrap() = json!("z");
        assert_eq!(value["l"], json!(["z"]));
        for text in ["l.5", "a.c.d.e"] {
            let failure = path(text).set(&mut value, json!(0)).unwrap_err();
            assert!(!failure.is_retry() && failure.reason().contains(text), "{failure}");
        }
    }
}
