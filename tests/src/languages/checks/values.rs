//! What goes through a handler and comes out again.

use serde_json::{Value, json};
use wasmill::event::Event;

use super::{Case, Data, Step, Wanted, WantedOutput, event, event_with};
use crate::languages::rows::Can;

/// What a rejection of bad JSON says of the place.
const PLACE: &[&str] = &["line", "column", "offset", "position", "byte", "char"];

/// What the token `echo` makes of an event.
pub(super) fn echo_of(event: &Event) -> WantedOutput {
    let mut output = WantedOutput::of(event.data.to_vec());
    output.kind = Some(event.kind.clone());
    output = output
        .header("x-id", &event.id)
        .header("x-source", &event.source)
        .header("x-type", &event.kind)
        .header("x-subject", &event.subject)
        .header("x-time", &event.time_ns.to_string());
    if let Some(key) = &event.key {
        output = output.header("x-key", key);
    }
    output = output.header("x-attempt", &event.attempt.to_string());
    if let Some(reply_to) = &event.reply_to {
        output = output.header("x-reply-to", reply_to);
    }
    for (name, value) in &event.headers {
        output = output.header(&format!("x-h-{name}"), value);
    }
    output
}

fn echoes(event: Event) -> Step {
    let wanted = echo_of(&event);
    Step::new(event).wants(Wanted::Outputs(vec![wanted]))
}

/// An event with everything, and one name of a header in several spellings.
pub(super) fn whole() -> Event {
    Event {
        key: Some("customer-7".to_owned()),
        reply_to: Some("_INBOX.abc.1".to_owned()),
        attempt: 3,
        headers: [("a", "1"), ("B", "2"), ("b", "3"), ("a", "4"), ("Content-Type", "text/plain")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
        ..event_with("echo", "plain text")
    }
}

pub(super) fn echo(_: Case<'_>) -> Vec<Step> {
    vec![echoes(whole()), echoes(Event { reply_to: None, ..whole() }), echoes(Event { key: None, ..whole() })]
}

pub(super) fn bare(_: Case<'_>) -> Vec<Step> {
    vec![echoes(event("echo"))]
}

/// The largest numbers, and texts that are there but empty.
pub(super) fn extremes(case: Case<'_>) -> Vec<Step> {
    let largest = Event { time_ns: u64::MAX, attempt: u32::MAX, ..event("echo") };
    let empty = Event {
        key: case.row.can(Can::EmptyKey).then(String::new),
        source: String::new(),
        headers: vec![("empty".to_owned(), String::new())],
        time_ns: 0,
        ..event("echo")
    };
    vec![echoes(largest), echoes(empty)]
}

pub(super) fn unicode(_: Case<'_>) -> Vec<Step> {
    let text = "grüße, 世界, 🦀𝒳, e\u{301}\u{200d}";
    vec![echoes(Event {
        id: format!("id {text}"),
        source: format!("/quelle/{text}"),
        kind: format!("art.{text}"),
        subject: "conformance.in.grüße.世界.🦀𝒳.echo".to_owned(),
        key: Some(text.to_owned()),
        headers: vec![("text".to_owned(), text.to_owned())],
        ..event_with("echo", text)
    })]
}

pub(super) fn any_bytes(_: Case<'_>) -> Vec<Step> {
    let all: Vec<u8> = (0..=u8::MAX).collect();
    // Cut off in the middle of a character, an overlong form, a lone surrogate: each is what UTF-8 forbids.
    let not_text = [0xf0, 0x9f, 0xa6, 0xc0, 0x80, 0xed, 0xa0, 0x80, 0xff, 0, 0];
    vec![
        echoes(event_with("echo", all)),
        echoes(event_with("echo", not_text)),
        echoes(event_with("echo", [0])),
    ]
}

/// Bytes without a pattern that somebody could fall into step with.
fn noise(bytes: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    (0..bytes).map(|_| random.u8(..)).collect()
}

pub(super) fn kib_64(_: Case<'_>) -> Vec<Step> {
    vec![echoes(event_with("echo", noise(65_536))), echoes(event_with("echo", "x".repeat(65_536)))]
}

pub(super) fn mib_1(_: Case<'_>) -> Vec<Step> {
    // Twice: what one call leaves behind must not be missing in the next.
    (0..2).map(|_| echoes(event_with("echo", noise(1_048_576)))).collect()
}

pub(super) fn many_headers(_: Case<'_>) -> Vec<Step> {
    let headers = (0..60).map(|i| (format!("name-{i}"), format!("value {i} ").repeat(10).trim().to_owned()));
    vec![echoes(Event { headers: headers.collect(), ..event("echo") })]
}

/// What the token `transform` makes of an order.
fn transforms(text: &str, order: &Value) -> Step {
    let amount = order.get("amount").and_then(Value::as_f64).unwrap_or_default();
    let tags: Vec<_> = order.get("tags").and_then(Value::as_array).into_iter().flatten().rev().collect();
    let mut output = WantedOutput::of("").header("content-type", "application/json");
    output.data = Data::Json(json!({
        "id": order.get("id"), "doubled": amount * 2.0, "name": order.get("name"), "tags": tags, "count": tags.len(),
    }));
    Step::new(event_with("transform", text)).wants(Wanted::Outputs(vec![output]))
}

fn transforms_value(order: &Value) -> Step {
    transforms(&order.to_string(), order)
}

pub(super) fn transform(_: Case<'_>) -> Vec<Step> {
    let order = |amount: f64, name: &str, tags: &[&str]| {
        transforms_value(&json!({"id": "o-1", "amount": amount, "name": name, "tags": tags}))
    };
    let spaced = " {\r\n\t\"tags\" : [ ] ,\n \"amount\" : -0.5e1 , \"name\":\"\" , \"id\" : \"\", \"more\": {\"amount\": [null]} } ";
    let escaped = r#"{"id":"\u00e9\ud83e\udd80\/","amount":1E2,"name":"\"\\\b\f\n\r\t\u0000\u001f","tags":["\\\"","\u2028"]}"#;
    vec![
        order(12.5, "Ada", &["a", "b", "c"]),
        order(0.0, "", &[]),
        order(-1_234.0, "grüße, 世界, 🦀𝒳", &["🦀", "𝒳", "e\u{301}"]),
        order(0.1, "quotes \" and \\ and / and \u{7f}", &["\n", "\u{1}"]),
        order(9_007_199_254_740_991.0, "2^53 - 1", &[""]),
        order(1.797e300, "large", &["x"]),
        order(2.5e-300, "small", &["x"]),
        transforms(spaced, &json!({"id": "", "amount": -5, "name": "", "tags": []})),
        transforms(
            escaped,
            &json!({"id": "é🦀/", "amount": 100, "name": "\"\\\u{8}\u{c}\n\r\t\0\u{1f}", "tags": ["\\\"", "\u{2028}"]}),
        ),
    ]
}

/// Over 64 KiB of text and a thousand tags.
pub(super) fn large_json(_: Case<'_>) -> Vec<Step> {
    let tags: Vec<String> = (0..1_000).map(|i| format!("tag-{i}-ü🦀")).collect();
    vec![transforms_value(&json!({"id": "o", "amount": 1, "name": "grüße 🦀 ".repeat(4_000), "tags": tags}))]
}

pub(super) fn bad_json(_: Case<'_>) -> Vec<Step> {
    let rejected =
        |data: &[u8], groups| Step::new(event_with("transform", data)).wants(Wanted::RejectedNaming(groups));
    let placed: &'static [&'static [&'static str]] = &[&["json", "data", "payload"], PLACE];
    let mut steps: Vec<_> =
        ["{\"id\": \"o\", \"amount\": }", "{\n  \"id\": nope\n}", "{\"id\": \"cut", "[1, 2", "{} x"]
            .into_iter()
            .map(|text| rejected(text.as_bytes(), placed))
            .collect();
    steps.push(rejected(b"", &[]));
    steps.push(rejected(b"{\"id\": \"\xff\", \"amount\": 1, \"name\": \"\", \"tags\": []}", &[]));
    steps.push(rejected(b"[]", &[]));
    steps.push(rejected(b"null", &[]));
    steps
}

/// Nested deeper than any stack is: whatever a parser makes of it, the next event is handled.
pub(super) fn nested_json(_: Case<'_>) -> Vec<Step> {
    let nested = |open: &str, close: &str| {
        let deep = [open.repeat(100_000), close.repeat(100_000)].concat();
        let data = format!("{{\"id\": \"o\", \"amount\": 1, \"name\": \"n\", \"tags\": {deep}}}");
        Step::new(event_with("transform", data)).wants(Wanted::Declines)
    };
    let sound = || transforms_value(&json!({"id": "o", "amount": 1, "name": "n", "tags": ["t"]}));
    vec![nested("[", "]"), sound(), nested("{\"a\":", "}"), sound()]
}

pub(super) fn missing_field(_: Case<'_>) -> Vec<Step> {
    let without = |field: &str, groups| {
        let mut order = json!({"id": "o", "amount": 1, "name": "n", "tags": []});
        if let Some(order) = order.as_object_mut() {
            order.remove(field);
        }
        Step::new(event_with("transform", order.to_string())).wants(Wanted::RejectedNaming(groups))
    };
    vec![
        without("id", &[&["id"]]),
        without("amount", &[&["amount"]]),
        without("name", &[&["name"]]),
        without("tags", &[&["tags"]]),
    ]
}

pub(super) fn many(_: Case<'_>) -> Vec<Step> {
    let outputs = |count: u32| {
        let outputs = (0..count).map(|i| WantedOutput::of(i.to_string()).to(format!("conformance.out.{i}")));
        Step::new(event_with("many", json!({"count": count}).to_string()))
            .wants(Wanted::Outputs(outputs.collect()))
    };
    vec![outputs(0), outputs(1), outputs(1_000)]
}

pub(super) fn none(_: Case<'_>) -> Vec<Step> {
    vec![Step::new(event("none")).wants(Wanted::Outputs(Vec::new()))]
}

pub(super) fn plain(_: Case<'_>) -> Vec<Step> {
    vec![Step::new(event("plain")).answers("plain")]
}
