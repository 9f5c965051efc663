//! What the SDKs store, told in a line: windows, joins, patterns and sketches, as `plugin-sdk/WINDOWS.md` and
//! `plugin-sdk/PATTERNS.md` describe them.
//!
//! Nothing marks such a value, it is only known by its shape. So a shape has to fit to the last field, with times of this
//! century or the next, and whoever tells the words shows the value too.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{counted, told};

/// From the year 2000 up to 2200, milliseconds since the Unix epoch.
const PLAUSIBLE_MS: std::ops::Range<u64> = 946_684_800_000..7_258_118_400_000;
/// As many labels as are told.
const LABELS: usize = 5;
/// The base64 digits of a hash of eight bytes, and of all registers.
const HASH_DIGITS: usize = 11;
const REGISTERS: usize = 4_096;

/// What a value is, if it looks like one of the SDKs' own.
pub(super) fn words(bytes: &[u8]) -> Option<String> {
    if bytes.first() != Some(&b'{') {
        return None;
    }
    let shapes = [told_of::<Windows>, told_of::<Join>, told_of::<Pattern>, told_of::<Sketch>]
        .map(|shape| shape(bytes));
    shapes.into_iter().flatten().next()
}

trait Shape {
    fn words(&self) -> Option<String>;
}

fn told_of<'a, T: Shape + Deserialize<'a>>(bytes: &'a [u8]) -> Option<String> {
    serde_json::from_slice::<T>(bytes).ok()?.words()
}

/// Milliseconds since the Unix epoch.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "u64")]
struct Time(u64);

impl TryFrom<u64> for Time {
    type Error = &'static str;

    fn try_from(ms: u64) -> Result<Self, Self::Error> {
        if PLAUSIBLE_MS.contains(&ms) { Ok(Self(ms)) } else { Err("it is hardly a time") }
    }
}

impl std::fmt::Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&told::time(self.0.saturating_mul(1_000_000)))
    }
}

/// Open windows, or the buckets of a rolling aggregate: those have no watermark.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Windows {
    w: Option<Time>,
    #[serde(default)]
    l: u64,
    #[serde(default)]
    p: Vec<(Time, IgnoredAny)>,
    #[serde(default)]
    s: Vec<(Time, Time, IgnoredAny, Vec<Told>)>,
}

/// A window of a session that was told, from when to when.
type Told = (Time, Time);

impl Shape for Windows {
    fn words(&self) -> Option<String> {
        let mut parts = Vec::new();
        if let (Some((first, _)), Some((last, _))) = (self.p.first(), self.p.last()) {
            let noun = if self.w.is_some() { "pane" } else { "bucket" };
            parts.push(format!("{} from {first} to {last}", counted(self.p.len() as u64, noun)));
        }
        if let Some((start, end, ..)) = self.s.first() {
            let sessions = counted(self.s.len() as u64, "session");
            parts.push(format!("{sessions}, the first from {start} to {end}"));
        }
        if parts.is_empty() {
            return None;
        }
        watermark(&mut parts, self.w, self.l);
        Some(parts.join(", "))
    }
}

fn watermark(parts: &mut Vec<String>, watermark: Option<Time>, late: u64) {
    parts.extend(watermark.map(|time| format!("watermark {time}")));
    if late > 0 {
        parts.push(format!("{} came late", counted(late, "event")));
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Join {
    w: Time,
    #[serde(default)]
    l: u64,
    #[serde(default)]
    e: u64,
    #[serde(default)]
    a: Vec<(Time, IgnoredAny, bool)>,
    #[serde(default)]
    b: Vec<(Time, IgnoredAny, bool)>,
}

impl Shape for Join {
    fn words(&self) -> Option<String> {
        if self.a.is_empty() && self.b.is_empty() {
            return None;
        }
        let left = counted(self.a.len() as u64, "event");
        let mut parts = vec![format!("{left} of the left side, {} of the right", self.b.len())];
        watermark(&mut parts, Some(self.w), self.l);
        if self.e > 0 {
            parts.push(format!("{} dropped for want of room", counted(self.e, "event")));
        }
        Some(parts.join(", "))
    }
}

/// The number of a variable, and of the event that it took.
type Take = (u64, u64);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pattern {
    p: String,
    #[serde(rename = "n")]
    _next: u64,
    t: String,
    #[serde(rename = "e")]
    _events: Vec<(u64, String, IgnoredAny)>,
    r: Vec<(u64, bool, Vec<Take>)>,
    #[serde(default)]
    h: Vec<(String, Vec<Take>)>,
}

impl Shape for Pattern {
    fn words(&self) -> Option<String> {
        let latest_ns: u64 = self.t.parse().ok()?;
        let latest = Time::try_from(latest_ns / 1_000_000).ok()?;
        let mut text = format!("{} of {:?}", counted(self.r.len() as u64, "unfinished sequence"), self.p);
        if !self.h.is_empty() {
            text.push_str(&format!(", {} waiting", if self.h.len() == 1 { "1 match" } else { "matches" }));
        }
        Some(format!("{text}, latest event {latest}"))
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Sketch {
    Top(Top),
    Largest(Largest),
    Hashes(Hashes),
    Registers(Registers),
    Quantile(Quantile),
    Rows(Rows),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Top {
    c: u64,
    #[serde(rename = "f")]
    _floor: u64,
    e: Vec<(String, u64, u64)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Largest {
    n: u64,
    e: Vec<(String, f64)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hashes {
    h: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Registers {
    r: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Quantile {
    m: (f64, f64),
    b: Vec<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rows {
    n: u64,
    r: Vec<IgnoredAny>,
    o: u64,
}

impl Shape for Sketch {
    fn words(&self) -> Option<String> {
        match self {
            Self::Top(Top { c, e, .. }) => {
                let entries = e.iter().map(|(label, weight, error)| match error {
                    0 => format!("{label} {weight}"),
                    error => format!("{label} {weight} (at most {error} too many)"),
                });
                Some(ranked(&format!("top {} of at most {c}", e.len()), entries))
            }
            Self::Largest(Largest { n, e }) => {
                let entries = e.iter().map(|(label, score)| format!("{label} {score}"));
                Some(ranked(&format!("largest {} of at most {n}", e.len()), entries))
            }
            Self::Hashes(Hashes { h }) => (h.len().is_multiple_of(HASH_DIGITS) && digits(h))
                .then(|| format!("{} distinct", h.len() / HASH_DIGITS)),
            Self::Registers(Registers { r }) => {
                (r.len() == REGISTERS && digits(r)).then(|| "a sketch of more than 256 distinct".to_owned())
            }
            Self::Quantile(Quantile { m: (least, greatest), b }) => {
                let counts =
                    b.iter().skip(1).step_by(2).try_fold(0_u64, |sum, count| {
                        Some(sum.saturating_add(u64::try_from(*count).ok()?))
                    })?;
                let values = counted(counts, "value");
                b.len().is_multiple_of(2).then(|| format!("{values} from {least} to {greatest}"))
            }
            Self::Rows(Rows { n, r, o: 0 }) => {
                Some(format!("{} of at most {n}", counted(r.len() as u64, "row")))
            }
            Self::Rows(Rows { r, o, .. }) => {
                Some(format!("{}, {o} more had no room", counted(r.len() as u64, "row")))
            }
        }
    }
}

fn ranked(head: &str, entries: impl ExactSizeIterator<Item = String>) -> String {
    let more = entries.len().saturating_sub(LABELS);
    let mut shown: Vec<_> = entries.take(LABELS).collect();
    if more > 0 {
        shown.push("…".to_owned());
    }
    if shown.is_empty() { head.to_owned() } else { format!("{head}: {}", shown.join(", ")) }
}

fn digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/')
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const NS: &str = "1700000000000000000";

    #[test]
    fn what_the_sdks_store_is_told_in_words() {
        for (stored, wanted) in [
            (
                r#"{"w":1700000060000,"l":2,"p":[[1700000000000,[3,[1.5,0.0]]],[1700000060000,[1,[1,0]]]]}"#,
                "2 panes from 2023-11-14T22:13:20.000Z to 2023-11-14T22:14:20.000Z, watermark 2023-11-14T22:14:20.000Z, 2 events came late",
            ),
            (
                r#"{"w":1700000060000,"s":[[1700000000000,1700000090000,17,[]]]}"#,
                "1 session, the first from 2023-11-14T22:13:20.000Z to 2023-11-14T22:14:50.000Z, watermark 2023-11-14T22:14:20.000Z",
            ),
            (
                r#"{"p":[[1700000000000,4]]}"#,
                "1 bucket from 2023-11-14T22:13:20.000Z to 2023-11-14T22:13:20.000Z",
            ),
            (
                r#"{"w":1700000000000,"e":1,"b":[[1700000000000,{"id":7},false],[1700000000001,"x",true]]}"#,
                "0 events of the left side, 2 of the right, watermark 2023-11-14T22:13:20.000Z, 1 event dropped for want of room",
            ),
            (
                &format!(
                    r#"{{"p":"a ~b{{1,}}~","n":3,"t":"{NS}","e":[[0,"{NS}",{{"id":"a"}}]],"r":[[2,true,[[0,0],[1,1]]]]}}"#
                ),
                "1 unfinished sequence of \"a ~b{1,}~\", latest event 2023-11-14T22:13:20.000Z",
            ),
            (
                r#"{"c":4,"f":1,"e":[["a",12,0],["b",3,1]]}"#,
                "top 2 of at most 4: a 12, b 3 (at most 1 too many)",
            ),
        ] {
            assert_eq!(words(stored.as_bytes()).as_deref(), Some(wanted), "{stored}");
        }
    }

    #[test]
    fn sketches_are_known_as_every_sdk_stores_them() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../plugin-sdk/tests/vectors/windows.json");
        let vectors: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let mut known = std::collections::BTreeSet::new();
        for case in vectors["aggregates"].as_array().unwrap() {
            let kind = case["aggregate"]["kind"].as_str().unwrap();
            let told = words(case["state"].to_string().as_bytes());
            assert_eq!(told.is_some(), case["state"].is_object(), "{case}: {told:?}");
            known.extend(told.map(|_| kind));
        }
        assert_eq!(known.into_iter().collect::<Vec<_>>(), ["distinct", "largest", "quantile", "rows", "top"]);
    }

    #[test]
    fn what_only_resembles_it_is_left_as_it_is() {
        for stored in [
            "17",
            "[1]",
            "{}",
            r#"{"w":640}"#,
            r#"{"w":1700000000000}"#,
            r#"{"w":640,"p":[[1,2]]}"#,
            r#"{"p":[[1,2],[3,4]]}"#,
            r#"{"p":[[1700000000000,4]],"x":1}"#,
            r#"{"h":"hello"}"#,
            r#"{"r":"red"}"#,
            r#"{"m":[1,2],"b":[1]}"#,
            r#"{"p":"a","n":1,"t":"soon","e":[],"r":[]}"#,
        ] {
            assert_eq!(words(stored.as_bytes()), None, "{stored}");
        }
    }
}
