//! The labels of greatest score.

use serde::{Deserialize, Serialize};

use super::{Aggregate, cut};

/// A label and its score. JSON: `[label, score]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "(String, f64)", into = "(String, f64)")]
pub struct Scored {
    /// What it is.
    pub label: String,
    /// Its greatest score.
    pub score: f64,
}

impl From<(String, f64)> for Scored {
    fn from((label, score): (String, f64)) -> Self {
        Self { label, score }
    }
}

impl From<Scored> for (String, f64) {
    fn from(scored: Scored) -> Self {
        (scored.label, scored.score)
    }
}

/// The `n` labels of greatest score. A label stands once, with its greatest score, so that a corrected score that can
/// only grow, such as a count, replaces the one before. Labels of equal score are in the order of their bytes. JSON:
/// `{"n": n, "e": [[label, score], ...]}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Largest {
    #[serde(rename = "n")]
    most: usize,
    #[serde(rename = "e")]
    entries: Vec<Scored>,
}

impl Largest {
    /// Nothing yet, and room for `n` labels.
    #[must_use]
    pub fn new(n: usize) -> Self {
        Self { most: n, entries: Vec::new() }
    }

    /// Adds a label with its score; one that is not finite is left out.
    pub fn add(&mut self, label: &str, score: f64) {
        if !score.is_finite() {
            return;
        }
        let label = cut(label);
        match self.entries.iter_mut().find(|entry| entry.label == label) {
            Some(entry) => entry.score = entry.score.max(score),
            None => self.entries.push(Scored { label: label.to_owned(), score }),
        }
        self.entries.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.label.cmp(&b.label)));
        self.entries.truncate(self.most);
    }

    /// The labels, the greatest score first.
    #[must_use]
    pub fn get(&self) -> &[Scored] {
        &self.entries
    }

    /// The labels that share the greatest score.
    #[must_use]
    pub fn winners(&self) -> &[Scored] {
        let best = self.entries.first().map_or(0.0, |entry| entry.score);
        let end = self.entries.partition_point(|entry| entry.score >= best);
        self.entries.get(..end).unwrap_or_default()
    }
}

impl Aggregate for Largest {
    fn merge(&mut self, other: &Self) {
        other.entries.iter().for_each(|entry| self.add(&entry.label, entry.score));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_keeps_its_greatest_score() {
        let mut largest = Largest::new(3);
        for (label, score) in [("a", 1.0), ("b", 5.0), ("c", 2.0), ("a", 5.0), ("d", 2.0), ("b", 0.0)] {
            largest.add(label, score);
        }
        largest.add("e", f64::NAN);
        assert_eq!(
            serde_json::to_string(&largest).unwrap(),
            r#"{"n":3,"e":[["a",5.0],["b",5.0],["c",2.0]]}"#
        );
        assert_eq!(largest.winners().len(), 2);
        let mut other = Largest::new(3);
        other.add("z", 9.0);
        largest.merge(&other);
        assert_eq!(largest.winners(), &[Scored { label: "z".into(), score: 9.0 }]);
        assert!(Largest::new(0).winners().is_empty());
    }
}
