//! Windows, joins, aggregates and patterns of the Python and the JavaScript SDK inside the runners of source: the same events make the
//! same outputs and leave the same state, each language in its own numbers.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use wasmill::artifact::Artifact;
use wasmill::digest::Digest;
use wasmill::event::Event;
use wasmill::lookup::NoTables;
use wasmill::manifest::{Manifest, PluginName};
use wasmill::sandbox::{Batch, Input, LoadSpec, Sandbox};
use wasmill::state::{KeyState, StateLimits};
use wasmill_tests::parts;

use crate::hostile::event;

const START_NS: u64 = 1_700_000_000_000_000_000;
const MS: u64 = 1_000_000;
const MANIFEST: &str = "isolation = \"reuse\"\n[[subscribe]]\nsubjects = [\"in.>\"]\n[emit]\nsubjects = [\"out\"]\n\
                        [limits]\ncpu_ms = 3_000\nwall_ms = 60_000\ninstances = 1\n";

/// Sales, some of them out of order and one too late for all windows.
fn sales() -> Vec<Input> {
    let mut bits = 7_u64;
    let mut draw = |below: u64| {
        bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (bits >> 33) % below
    };
    let mut at_ms = 0;
    let mut highest_ns = 0;
    let mut sale = |number: u64| {
        at_ms += draw(20_000) * if number.is_multiple_of(9) { 4 } else { 1 };
        let late_ms = if number == 40 { 100_000 } else { draw(8_000) };
        let time_ns = START_NS + at_ms.saturating_sub(late_ms) * MS + 5;
        highest_ns = time_ns.max(highest_ns);
        let side = if draw(2) == 0 { "left" } else { "right" };
        let sale = json!({"amount": draw(1_000) as f64 / 10.0, "who": format!("w{}", draw(7)), "side": side});
        let data = Bytes::from(sale.to_string());
        let event = Event { key: Some("k".to_owned()), data, time_ns, ..event(&number.to_string()) };
        Input { event: Arc::new(event), clock_ns: highest_ns }
    };
    (1..=60).map(&mut sale).collect()
}

/// All that the plugin told, and what it left.
async fn run(sandbox: &Arc<Sandbox>, file: &str, artifact: Artifact) -> (Vec<Value>, Vec<Value>) {
    let bytes = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("data/streams").join(file)).unwrap();
    let manifest = Manifest::parse(MANIFEST).unwrap();
    let spec = LoadSpec {
        name: PluginName::new("streams").unwrap(),
        digest: Digest::of(&bytes),
        limits: manifest.limits.clone(),
        isolation: manifest.isolation.unwrap_or_default(),
        artifact,
        kind: manifest.kind,
        weight: manifest.weight,
        emit: manifest.emit.clone(),
        config: manifest.config_json(),
        lookup: Arc::new(NoTables),
    };
    let prepared = sandbox.load(&bytes, &spec, Arc::new(|_| ())).await.unwrap();
    let workers = sandbox.start(prepared, Arc::new(|_| ())).unwrap();
    let batch = Batch {
        key: "k".into(),
        state: KeyState::default(),
        limits: StateLimits { record_bytes: 262_144, timers: 1_000 },
        inputs: sales(),
        then_due_by: Some(START_NS + 7_200_000 * MS),
        max_timers: 1_000,
        migrate_from: None,
    };
    let handled = workers.handle_batch(batch).await.unwrap();
    assert_eq!(handled.failed, None, "{file}");
    let json = |data: &[u8]| serde_json::from_slice(data).unwrap();
    let told = handled.steps.iter().flat_map(|step| &step.answer).map(|output| json(&output.data)).collect();
    let left = ["hour", "minutes", "pairs", "rise", "visits"].into_iter().map(|name| {
        match handled.state.field(name) {
            Some(data) => json(data),
            None => Value::Null,
        }
    });
    (told, left.collect())
}

/// As languages write numbers in their own way, 1 and 1.0 are the same.
fn plain(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), plain(value))).collect(),
        other => other.clone(),
    }
}

#[tokio::test]
async fn streams_are_the_same_in_python_and_javascript() {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("languages-cache");
    let runners = parts::runner_dirs().unwrap();
    let sandbox = Sandbox::with_runners(parts::wasmill().unwrap(), cache, runners).unwrap();
    let (told, left) = run(&sandbox, "streams.py", Artifact::Python).await;
    let (also_told, also_left) = run(&sandbox, "streams.js", Artifact::JavaScript).await;
    assert_eq!(told.len(), also_told.len());
    for (number, (one, other)) in told.iter().zip(&also_told).enumerate() {
        assert_eq!(plain(one), plain(other), "output {number}");
    }
    assert_eq!(plain(&json!(left)), plain(&json!(also_left)));
    // That there was something to be the same: windows closed by timers, and what events brought about.
    let is_told = |value: &Value| value.as_array().is_some_and(|list| !list.is_empty());
    let closed = told.iter().filter(|told| is_told(told)).count();
    assert!(closed > 20, "{closed} timers told of something");
    for name in ["pairs", "rises"] {
        let count = told.iter().filter(|told| is_told(&told[name])).count();
        assert!(count > 3, "{name} came with {count} events");
    }
    assert!(told.iter().any(|told| told["late"] == json!([true, true, true])));
}
