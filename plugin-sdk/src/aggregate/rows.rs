//! The values themselves, up to a bound.

use serde::{Deserialize, Serialize};

use super::Aggregate;

/// The first `max` values, in the order they came; those after them are counted. JSON:
/// `{"n": max, "r": [values], "o": counted}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rows<T> {
    #[serde(rename = "n")]
    max: usize,
    #[serde(rename = "r")]
    rows: Vec<T>,
    #[serde(rename = "o")]
    over: u64,
}

impl<T> Rows<T> {
    /// Nothing yet, and room for `max` values.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { max, rows: Vec::new(), over: 0 }
    }

    /// Adds a value at the end; without room it is only counted.
    pub fn add(&mut self, row: T) {
        if self.rows.len() < self.max {
            self.rows.push(row);
        } else {
            self.over = self.over.saturating_add(1);
        }
    }

    /// The values kept.
    #[must_use]
    pub fn get(&self) -> &[T] {
        &self.rows
    }

    /// How many values found no room.
    #[must_use]
    pub fn over(&self) -> u64 {
        self.over
    }
}

impl<T: Clone> Aggregate for Rows<T> {
    fn merge(&mut self, other: &Self) {
        other.rows.iter().for_each(|row| self.add(row.clone()));
        self.over = self.over.saturating_add(other.over);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_finds_no_room_is_counted() {
        let mut rows = Rows::new(3);
        (1..=2).for_each(|row| rows.add(row));
        let mut other = Rows::new(3);
        (3..=6).for_each(|row| other.add(row));
        rows.merge(&other);
        assert_eq!((rows.get(), rows.over()), (&[1, 2, 3][..], 3));
        assert_eq!(serde_json::to_string(&rows).unwrap(), r#"{"n":3,"r":[1,2,3],"o":3}"#);
    }
}
