//! Reads one number out of a JSON document without building the rest. The whole document is still checked, so that
//! what is passed on is JSON.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

/// What stands at the place looked at.
#[derive(Debug, PartialEq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// A number.
    Number(Number),
    /// A string.
    Text(String),
    /// Something else: its kind.
    Other(&'static str),
}

/// Looks for the value at a path.
///
/// # Errors
/// The document is no JSON, or the field stands in it twice: readers differ in which of the two they take, so a rule
/// that took one could be got around.
pub fn pick(document: &str, path: &[String]) -> serde_json::Result<Found> {
    let mut json = serde_json::Deserializer::from_str(document);
    let found = Pick(path).deserialize(&mut json)?;
    json.end()?;
    Ok(found)
}

struct Pick<'a>(&'a [String]);

impl Pick<'_> {
    fn scalar<E>(&self, found: Found) -> Result<Found, E> {
        Ok(if self.0.is_empty() { found } else { Found::Nothing })
    }
}

impl<'de> DeserializeSeed<'de> for Pick<'_> {
    type Value = Found;
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Found, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Pick<'_> {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Found, E> {
        self.scalar(Found::Other("a boolean"))
    }

    fn visit_unit<E>(self) -> Result<Found, E> {
        self.scalar(Found::Other("null"))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Found, E> {
        self.scalar(Found::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Found, E> {
        self.scalar(Found::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Found, E> {
        self.scalar(Number::from_f64(value).map_or(Found::Other("no finite number"), Found::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Found, E> {
        // Only the text at the end of the path is worth a copy.
        if self.0.is_empty() { Ok(Found::Text(value.to_owned())) } else { Ok(Found::Nothing) }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found, A::Error> {
        let Some((name, rest)) = self.0.split_first() else {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(Found::Other("an object"));
        };
        let mut found = None;
        while let Some(here) = map.next_key_seed(IsName(name))? {
            if !here {
                map.next_value::<IgnoredAny>()?;
            } else if found.is_some() {
                return Err(A::Error::custom("the field stands there twice"));
            } else {
                found = Some(map.next_value_seed(Pick(rest))?);
            }
        }
        Ok(found.unwrap_or(Found::Nothing))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Found, A::Error> {
        let Some((token, rest)) = self.0.split_first() else {
            while list.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(Found::Other("an array"));
        };
        // A name that is no index of an array is reached by no element.
        let wanted =
            if token.len() > 1 && token.starts_with('0') { None } else { token.parse::<usize>().ok() };
        let mut found = Found::Nothing;
        for index in 0_usize.. {
            if Some(index) == wanted {
                match list.next_element_seed(Pick(rest))? {
                    Some(element) => found = element,
                    None => break,
                }
            } else if list.next_element::<IgnoredAny>()?.is_none() {
                break;
            }
        }
        Ok(found)
    }
}

/// Whether a key is the one looked for; compared where it stands, without a copy.
struct IsName<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for IsName<'_> {
    type Value = bool;
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<bool, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for IsName<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<bool, E> {
        Ok(key == self.0)
    }
}
