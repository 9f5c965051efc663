//! The labels of greatest total weight, in bounded room.

use serde::{Deserialize, Serialize};

use super::{Aggregate, cut};

/// A label and the weight counted for it. JSON: `[label, weight, error]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(String, u64, u64)", into = "(String, u64, u64)")]
pub struct Ranked {
    /// What it is.
    pub label: String,
    /// Its weight, or more.
    pub weight: u64,
    /// By how much `weight` may be too high; 0 means that it is exact.
    pub error: u64,
}

impl From<(String, u64, u64)> for Ranked {
    fn from((label, weight, error): (String, u64, u64)) -> Self {
        Self { label, weight, error }
    }
}

impl From<Ranked> for (String, u64, u64) {
    fn from(ranked: Ranked) -> Self {
        (ranked.label, ranked.weight, ranked.error)
    }
}

/// The labels of greatest total weight, such as the most frequent ones. Exact up to `capacity` different labels; past
/// that the Space-Saving summary (Metwally, Agrawal, El Abbadi 2005; merged as in Agarwal et al., "Mergeable Summaries",
/// 2012): a label whose weight is over 1/`capacity` of all is never missing, and each weight is told with its error.
/// Labels of equal weight are in the order of their bytes.
///
/// JSON: `{"c": capacity, "f": the most that a label not listed may weigh, "e": [[label, weight, error], ...]}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Top {
    #[serde(rename = "c")]
    capacity: usize,
    #[serde(rename = "f")]
    floor: u64,
    #[serde(rename = "e")]
    entries: Vec<Ranked>,
}

impl Top {
    /// Nothing yet, and room for `capacity` labels; take ten times as many as shall be told.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { capacity, floor: 0, entries: Vec::new() }
    }

    /// Adds weight to a label: 1 for each time it comes.
    pub fn add(&mut self, label: &str, weight: u64) {
        let label = cut(label);
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.label == label) {
            entry.weight = entry.weight.saturating_add(weight);
        } else {
            if self.entries.len() >= self.capacity {
                self.give_up_last();
            }
            let weight = weight.saturating_add(self.floor);
            self.entries.push(Ranked { label: label.to_owned(), weight, error: self.floor });
        }
        self.settle();
    }

    /// The first `n` labels, the heaviest first.
    #[must_use]
    pub fn get(&self, n: usize) -> &[Ranked] {
        self.entries.get(..n.min(self.entries.len())).unwrap_or_default()
    }

    /// Whether no label was ever given up, so that all weights are exact.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.floor == 0
    }

    /// A label given up may come again: it cannot have weighed more than this.
    fn give_up_last(&mut self) {
        if let Some(last) = self.entries.pop() {
            self.floor = self.floor.max(last.weight);
        }
    }

    fn settle(&mut self) {
        self.entries.sort_by(|a, b| b.weight.cmp(&a.weight).then_with(|| a.label.cmp(&b.label)));
        while self.entries.len() > self.capacity {
            self.give_up_last();
        }
    }

    fn find(&self, label: &str) -> Option<&Ranked> {
        self.entries.iter().find(|entry| entry.label == label)
    }
}

impl Aggregate for Top {
    fn merge(&mut self, other: &Self) {
        let new = other.entries.iter().filter(|entry| self.find(&entry.label).is_none());
        let new: Vec<Ranked> = new
            .map(|entry| Ranked {
                label: entry.label.clone(),
                weight: entry.weight.saturating_add(self.floor),
                error: entry.error.saturating_add(self.floor),
            })
            .collect();
        for entry in &mut self.entries {
            let (weight, error) = match other.find(&entry.label) {
                Some(also) => (also.weight, also.error),
                None => (other.floor, other.floor),
            };
            entry.weight = entry.weight.saturating_add(weight);
            entry.error = entry.error.saturating_add(error);
        }
        self.entries.extend(new);
        self.floor = self.floor.saturating_add(other.floor);
        self.settle();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Labels as in life: few frequent ones, many rare ones.
    fn labels(seed: u64, length: u64) -> Vec<String> {
        let mut bits = seed;
        let mut draw = || {
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            bits >> 33
        };
        (0..length).map(|_| format!("l{}", (draw() % 200) * (draw() % 200) / 200)).collect()
    }

    fn truth(labels: &[String]) -> BTreeMap<&str, u64> {
        labels.iter().fold(BTreeMap::new(), |mut counts, label| {
            *counts.entry(label.as_str()).or_default() += 1;
            counts
        })
    }

    fn check(top: &Top, truth: &BTreeMap<&str, u64>, total: u64) {
        for entry in top.get(usize::MAX) {
            let real = truth.get(entry.label.as_str()).copied().unwrap_or(0);
            assert!(entry.weight >= real && entry.weight - entry.error <= real, "{entry:?}, truly {real}");
        }
        for (label, real) in truth {
            assert!(top.find(label).is_some() || *real <= top.floor, "{label} is missing with {real}");
            assert!(top.find(label).is_some() || *real <= 2 * total / 50, "{label} is too heavy to miss");
        }
    }

    #[test]
    fn weights_are_within_their_error() {
        for seed in 0..20 {
            let (one, two) = (labels(seed, 3_000), labels(seed + 100, 2_000));
            let (mut top, mut other) = (Top::new(50), Top::new(50));
            one.iter().for_each(|label| top.add(label, 1));
            two.iter().for_each(|label| other.add(label, 1));
            check(&top, &truth(&one), 3_000);
            top.merge(&other);
            check(&top, &truth(&[one, two].concat()), 5_000);
            assert!(!top.is_exact());
        }
    }

    #[test]
    fn few_labels_are_exact() {
        let mut top = Top::new(3);
        for label in ["b", "a", "c", "a", "b"] {
            top.add(label, 1);
        }
        assert!(top.is_exact());
        assert_eq!(
            serde_json::to_string(&top).unwrap(),
            r#"{"c":3,"f":0,"e":[["a",2,0],["b",2,0],["c",1,0]]}"#
        );
        top.add("d", 1);
        assert_eq!(top.get(3)[2], Ranked { label: "d".into(), weight: 2, error: 1 });
        let mut none = Top::new(0);
        none.add("a", 1);
        assert!(none.get(1).is_empty());
    }
}
