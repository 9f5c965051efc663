//! The table's form: patterns, conditions and input as data.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wasmill_sdk::pattern::{Error, Found, Pattern, Seen, Skip, State};

#[derive(Deserialize)]
pub struct Vectors {
    pub groups: Vec<Group>,
    pub invalid: Vec<Invalid>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    pub name: String,
    pub source: String,
    pub cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invalid {
    pub name: String,
    pub pattern: Spec,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub name: String,
    pub shape: String,
    pub pattern: Spec,
    pub input: Vec<Row>,
    pub expect: BTreeMap<usize, Outcome>,
    /// After these rows, when a timer is needed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub due: BTreeMap<usize, Option<u64>>,
    /// After these rows, what is stored.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub state: BTreeMap<usize, Value>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Spec {
    pub stages: Vec<StageSpec>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skip: Option<SkipSpec>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub evict: bool,
}

#[derive(Serialize, Deserialize, Clone, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum SkipSpec {
    None,
    ToNext,
    PastLast,
    ToFirst(String),
    ToLast(String),
}

#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "kebab-case")]
pub enum LinkSpec {
    Next,
    FollowedBy,
    FollowedByAny,
    NotNext,
    NotFollowedBy,
}

#[derive(Serialize, Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub struct StageSpec {
    /// None for the first stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkSpec>,
    /// The variable; of a negation, only what its condition may default to.
    pub name: String,
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub condition: Option<Vec<Clause>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub or: Vec<StageSpec>,
    /// From and to; null is no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<(u32, Option<u32>)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inner: Option<LinkSpec>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub greedy: bool,
}

/// Field, operator, operand.
#[derive(Serialize, Deserialize, Clone)]
pub struct Clause(pub String, pub String, pub Operand);

#[derive(Serialize, Deserialize, Clone)]
#[serde(untagged)]
pub enum Operand {
    Number(f64),
    Text(String),
    Reference {
        /// `first`, `last`, `sum` or `count`, and the variable; `*` for the event taken last, of any name.
        of: (String, String),
        #[serde(default = "one")]
        factor: f64,
        #[serde(default)]
        plus: f64,
    },
}

fn one() -> f64 {
    1.0
}

/// An event with its time, its id and maybe a value; or only a time, which is a timer.
#[derive(Serialize, Deserialize, Clone)]
#[serde(untagged)]
pub enum Row {
    Value(u64, String, f64),
    Event(u64, String),
    Timer((u64,)),
}

#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub struct Item {
    pub id: String,
    /// The id without its number.
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
}

#[derive(Serialize, Deserialize, Default, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    #[serde(default, rename = "match", skip_serializing_if = "Vec::is_empty")]
    pub matches: Vec<String>,
    #[serde(default, rename = "timeout", skip_serializing_if = "Vec::is_empty")]
    pub timeouts: Vec<String>,
    #[serde(default, rename = "evicted", skip_serializing_if = "Vec::is_empty")]
    pub evicted: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Row {
    pub fn item(&self) -> Option<Item> {
        let (id, value) = match self {
            Self::Value(_, id, value) => (id, Some(*value)),
            Self::Event(_, id) => (id, None),
            Self::Timer(_) => return None,
        };
        let name = id.trim_end_matches(|letter: char| letter.is_ascii_digit()).to_owned();
        Some(Item { id: id.clone(), name, value })
    }

    pub fn time(&self) -> u64 {
        match self {
            Self::Value(time, ..) | Self::Event(time, _) | Self::Timer((time,)) => *time,
        }
    }
}

impl Clause {
    /// `seen`: name and item of each event taken so far.
    pub fn holds(&self, item: &Item, seen: &[(&str, &Item)]) -> bool {
        match &self.2 {
            Operand::Text(text) => match self.1.as_str() {
                "=" => item.name == *text,
                "!=" => item.name != *text,
                "has" => item.name.contains(text.as_str()),
                other => panic!("no operator of text: {other}"),
            },
            Operand::Number(number) => self.compares(item, Some(*number)),
            Operand::Reference { of, factor, plus } => {
                self.compares(item, resolve(of, seen).map(|number| number * factor + plus))
            }
        }
    }

    fn compares(&self, item: &Item, other: Option<f64>) -> bool {
        assert_eq!(self.0, "value");
        let (Some(value), Some(other)) = (item.value, other) else { return false };
        match self.1.as_str() {
            "=" => value == other,
            "!=" => value != other,
            "<" => value < other,
            "<=" => value <= other,
            ">" => value > other,
            ">=" => value >= other,
            operator => panic!("no operator of numbers: {operator}"),
        }
    }
}

fn resolve((what, name): &(String, String), seen: &[(&str, &Item)]) -> Option<f64> {
    let mut values = seen.iter().filter(|(of, _)| name == "*" || of == name).map(|(_, item)| item.value);
    match what.as_str() {
        "first" => values.next().flatten(),
        "last" => values.next_back().flatten(),
        "sum" => Some(values.flatten().sum()),
        "count" => Some(values.count() as f64),
        other => panic!("nothing is the {other} of events"),
    }
}

impl StageSpec {
    pub fn negates(&self) -> bool {
        matches!(self.link, Some(LinkSpec::NotNext | LinkSpec::NotFollowedBy))
    }

    /// Without a condition, an event of the variable's name.
    pub fn holds(&self, item: &Item, seen: &[(&str, &Item)]) -> bool {
        match &self.condition {
            Some(clauses) => clauses.iter().all(|clause| clause.holds(item, seen)),
            None => item.name == self.name,
        }
    }

    fn condition(&self, names: &[String]) -> impl Fn(&Item, &Seen<'_, Item>) -> bool + 'static {
        let (stage, names) = (self.clone(), names.to_vec());
        move |item, seen| {
            // Events of different names come in the order of the stages, so that names give the order back.
            let taken: Vec<(&str, &Item)> =
                names.iter().flat_map(|name| seen.all(name).map(move |item| (name.as_str(), item))).collect();
            let latest = seen.latest().map(|item| ("*", item));
            let asks_latest = stage.condition.iter().flatten().any(
                |clause| matches!(&clause.2, Operand::Reference { of, .. } if of.0 == "last" && of.1 == "*"),
            );
            match latest {
                Some(latest) if asks_latest => stage.holds(item, &[taken, vec![latest]].concat()),
                _ => stage.holds(item, &taken),
            }
        }
    }
}

impl Spec {
    pub fn build(&self) -> Pattern<Item> {
        let names: Vec<String> = self
            .stages
            .iter()
            .filter(|stage| !stage.negates())
            .flat_map(|stage| std::iter::once(stage).chain(&stage.or))
            .map(|stage| stage.name.clone())
            .collect();
        let (first, rest) = self.stages.split_first().unwrap();
        let mut pattern = Pattern::begin(&first.name, first.condition(&names));
        pattern = quantify(pattern, first, &names);
        for stage in rest {
            let condition = stage.condition(&names);
            pattern = match stage.link.unwrap() {
                LinkSpec::Next => pattern.next(&stage.name, condition),
                LinkSpec::FollowedBy => pattern.followed_by(&stage.name, condition),
                LinkSpec::FollowedByAny => pattern.followed_by_any(&stage.name, condition),
                LinkSpec::NotNext => pattern.not_next(condition),
                LinkSpec::NotFollowedBy => pattern.not_followed_by(condition),
            };
            pattern = quantify(pattern, stage, &names);
        }
        if let Some(within) = self.within {
            pattern = pattern.within(Duration::from_nanos(within));
        }
        if let Some(limit) = self.limit {
            pattern = pattern.limit(limit);
        }
        if self.evict {
            pattern = pattern.evict_oldest();
        }
        match self.skip.clone() {
            None => pattern,
            Some(SkipSpec::None) => pattern.skip(Skip::None),
            Some(SkipSpec::ToNext) => pattern.skip(Skip::ToNext),
            Some(SkipSpec::PastLast) => pattern.skip(Skip::PastLast),
            Some(SkipSpec::ToFirst(name)) => pattern.skip(Skip::ToFirst(name)),
            Some(SkipSpec::ToLast(name)) => pattern.skip(Skip::ToLast(name)),
        }
    }
}

fn quantify(mut pattern: Pattern<Item>, stage: &StageSpec, names: &[String]) -> Pattern<Item> {
    for other in &stage.or {
        pattern = pattern.or(&other.name, other.condition(names));
    }
    if let Some((min, max)) = stage.times {
        pattern = match max {
            Some(max) => pattern.between(min, max),
            None => pattern.at_least(min),
        };
    }
    pattern = match stage.inner {
        Some(LinkSpec::Next) => pattern.consecutive(),
        Some(LinkSpec::FollowedByAny) => pattern.combinations(),
        _ => pattern,
    };
    if stage.optional {
        pattern = pattern.optional();
    }
    if stage.greedy {
        pattern = pattern.greedy();
    }
    pattern
}

/// When it was decided, and its events by name.
fn text(found: &Found<Item>) -> String {
    let events = found.events.iter().map(|taken| format!("{}:{}", taken.name, taken.event.id));
    format!("{} {}", found.at, events.collect::<Vec<_>>().join(" "))
}

impl Case {
    /// What each row brings about. The state is written and read back after every row.
    pub fn run(&self) -> Vec<Outcome> {
        let pattern = self.pattern.build();
        let mut state = State::default();
        let mut outcomes = Vec::new();
        for (index, row) in self.input.iter().enumerate() {
            let before = state.clone();
            let step = match row.item() {
                Some(item) => pattern.advance(&mut state, item, row.time()),
                None => pattern.on_time(&mut state, row.time()),
            };
            outcomes.push(match step {
                Ok(step) => Outcome {
                    matches: step.matches.iter().map(text).collect(),
                    timeouts: step.timeouts.iter().map(text).collect(),
                    evicted: step.evicted.iter().map(text).collect(),
                    error: None,
                },
                Err(error) => {
                    assert_eq!(state, before, "{}: an error changed the state", self.name);
                    let Error::Full { .. } = error else { panic!("{}: {error}", self.name) };
                    Outcome { error: Some("full".into()), ..Outcome::default() }
                }
            });
            let stored = serde_json::to_string(&state).unwrap();
            let read: State<Item> = serde_json::from_str(&stored).unwrap();
            assert_eq!(read, state, "{}: {stored}", self.name);
            if let Some(wanted) = self.state.get(&index) {
                assert_eq!(serde_json::from_str::<Value>(&stored).unwrap(), *wanted, "{}", self.name);
            }
            if let Some(wanted) = self.due.get(&index) {
                assert_eq!(pattern.due(&state), *wanted, "{}: due after row {index}", self.name);
            }
        }
        outcomes
    }
}
