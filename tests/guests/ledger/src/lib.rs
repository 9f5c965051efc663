//! A plugin with a key that keeps account: how many events of its key there were, which ones in which order, and which timers
//! fired. What it emits tells the account as it stood, so that whoever reads the outputs can tell what happened when.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use wasmill_sdk::migrate::{Field, Migrated};
use wasmill_sdk::state::{Counter, Value};
use wasmill_sdk::timers::{self, Timer};
use wasmill_sdk::{Event, Failure, Output, config, plugin, reject, retry};

/// Events of the key.
const COUNT: Counter = Counter::new("count");
/// Timers of the key that fired.
const FIRED: Counter = Counter::new("fired");
/// The numbers of the key's events in their order, folded into one.
const CHAIN: Value<u64> = Value::new("chain");
/// The version of the plugin whose shape the state has.
const SHAPE: Value<String> = Value::new("shape");

/// The version as it stands in the component's data. The compiler must not look into it: tests write others there.
fn version() -> &'static str {
    std::hint::black_box(env!("CARGO_PKG_VERSION"))
}

plugin!(handle, timers = on_timer, migrate = migrate);

/// What one event asks for, beside being counted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// Names the event among all.
    n: u64,
    /// The key, where the manifest takes it from the data.
    #[serde(default, rename = "key")]
    _key: Option<String>,
    /// How many outputs it causes.
    #[serde(default = "one")]
    outputs: u32,
    /// Timers to be set: the name, and when each is due after the event in milliseconds.
    #[serde(default)]
    set: Vec<(String, u64)>,
    /// Timers to be cancelled.
    #[serde(default)]
    cancel: Vec<String>,
    /// How it fails after all that: `reject`, or `retry` or `trap` until the attempt `until`.
    #[serde(default)]
    fails: Option<String>,
    #[serde(default)]
    until: u32,
    /// The event leaves no trace: nothing is counted, nothing emitted.
    #[serde(default)]
    nothing: bool,
}

fn one() -> u32 {
    1
}

#[derive(Deserialize)]
struct Settings {
    subject: String,
}

/// What an event has come to.
#[derive(Serialize)]
struct Counted<'a> {
    key: &'a str,
    count: i64,
    event: u64,
    index: u32,
    of: u32,
    chain: u64,
    version: &'a str,
}

/// What a timer has come to.
#[derive(Serialize)]
struct Fired<'a> {
    key: &'a str,
    timer: &'a str,
    set_by: u64,
    due: u64,
    fired: i64,
    count: i64,
    version: &'a str,
}

fn handle(event: Event<Entry>) -> Result<Vec<Output>, Failure> {
    let Entry { n, outputs, set, cancel, fails, until, nothing, .. } = &event.data;
    if *nothing {
        return Ok(Vec::new());
    }
    in_shape()?;
    let count = COUNT.add(1)?;
    let chain = fold(CHAIN.get()?.unwrap_or_default(), *n);
    CHAIN.set(&chain)?;
    for (name, after_ms) in set {
        timers::set_after(name, Duration::from_millis(*after_ms), n.to_string())?;
    }
    for name in cancel {
        timers::cancel(name)?;
    }
    match fails.as_deref() {
        Some("reject") => return reject("as it was told"),
        Some("retry") if event.attempt < *until => return retry("as it was told"),
        #[expect(clippy::panic, reason = "this is what it was told to do")]
        Some("trap") if event.attempt < *until => panic!("as it was told"),
        _ => {}
    }
    let Settings { subject } = config::load()?;
    let key = event.key.as_deref().unwrap_or_default();
    let told = |index| {
        Output::json(
            &*subject,
            &Counted { key, count, event: *n, index, of: *outputs, chain, version: version() },
        )
    };
    (0..*outputs).map(told).collect()
}

fn on_timer(timer: Timer<u64>) -> Result<Output, Failure> {
    in_shape()?;
    let fired = Fired {
        key: &timer.key,
        timer: &timer.name,
        set_by: timer.data,
        due: timer.due,
        fired: FIRED.add(1)?,
        count: COUNT.get()?,
        version: version(),
    };
    let Settings { subject } = config::load()?;
    Output::json(subject, &fired)
}

/// The next number of a chain: whatever is left out, repeated or out of order makes another (FNV-1a over words).
fn fold(chain: u64, n: u64) -> u64 {
    (chain ^ n).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23)
}

/// The state has this version's shape, or there is none yet.
fn in_shape() -> Result<(), Failure> {
    match SHAPE.get()? {
        None => SHAPE.set(&version().to_owned()),
        Some(shape) if shape == version() => Ok(()),
        Some(shape) => reject(format!("version {} was given the state of version {shape}", version())),
    }
}

fn migrate(field: Field) -> Migrated {
    if field.name != SHAPE.name() {
        return field.keep();
    }
    if version().ends_with("999") {
        return reject("it does not know this shape");
    }
    let shape: String = field.json()?;
    if shape != field.from_version {
        return reject(format!(
            "the state of version {shape} was said to be of version {}",
            field.from_version
        ));
    }
    wasmill_sdk::migrate::json(version())
}
