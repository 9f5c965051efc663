//! The corpus of hostile guests against the sandbox: each ends in its own named error within twice its limit, and harms
//! nobody else.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use wasmill::artifact::Artifact;
use wasmill::digest::Digest;
use wasmill::effects::{self, Emitter, Output, Proposed, Rules};
use wasmill::event::Event;
use wasmill::lookup::{NoTables, Tables};
use wasmill::manifest::{Manifest, PluginName};
use wasmill::outcome::Failure;
use wasmill::sandbox::{LoadError, LoadSpec, LogSink, Sandbox, Workers};
use wasmill_tests::guests::{End, Guest, HOSTILE, Hostile, rust_component};
use wasmill_tests::parts;

/// Time means CPU time, and others use this machine too: the quickest of this many tries must keep to the bound.
const TRIES: usize = 5;

/// One sandbox for all tests of this process, as an engine has one for all its plugins.
fn sandbox() -> Arc<Sandbox> {
    static SANDBOX: OnceLock<Arc<Sandbox>> = OnceLock::new();
    let make = || {
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hostile-cache");
        Sandbox::new(parts::wasmill().unwrap(), cache).unwrap()
    };
    Arc::clone(SANDBOX.get_or_init(make))
}

/// A plugin in service.
pub struct Running {
    pub manifest: Manifest,
    pub workers: Workers,
    pub said: Arc<Mutex<Vec<String>>>,
}

impl Running {
    pub async fn load(bytes: &[u8], manifest: &str) -> Result<Self, LoadError> {
        Self::load_with(bytes, manifest, Arc::new(NoTables)).await
    }

    /// The same with tables to look things up in.
    pub async fn load_with(bytes: &[u8], manifest: &str, lookup: Arc<dyn Tables>) -> Result<Self, LoadError> {
        let manifest = Manifest::parse(manifest).unwrap();
        let serde_json::Value::Object(config) = serde_json::to_value(&manifest.config).unwrap() else {
            panic!("a table is an object")
        };
        let spec = LoadSpec {
            name: PluginName::new("guest").unwrap(),
            digest: Digest::of(bytes),
            limits: manifest.limits.clone(),
            isolation: manifest.isolation.unwrap_or_default(),
            artifact: Artifact::Wasm,
            kind: manifest.kind,
            weight: manifest.weight,
            emit: manifest.emit.clone(),
            config,
            lookup,
        };
        let said = Arc::new(Mutex::new(Vec::new()));
        let hears = Arc::clone(&said);
        let sink: LogSink = Arc::new(move |line| hears.lock().unwrap().push(line.message));
        let prepared = sandbox().load(bytes, &spec, Arc::clone(&sink)).await?;
        let workers = sandbox().start(prepared, sink).unwrap();
        Ok(Self { manifest, workers, said })
    }

    /// A mode of the Rust component with lines of `[config]`, and anything else that the manifest is to say before it.
    async fn mode(mode: &str, top: &str) -> Self {
        let manifest = format!(
            "{top}\n[[subscribe]]\nsubjects = [\"in.>\"]\n[emit]\nsubjects = [\"out\"]\n[limits]\ninstances = 1\n\
             [config]\nmode = {mode:?}\n"
        );
        Self::load(&rust_component().unwrap(), &manifest).await.unwrap()
    }

    /// What the engine does with an event up to publishing.
    pub async fn handle(&self, event: &Event) -> Result<Vec<Output>, Failure> {
        self.handle_timed(event).await.0
    }

    /// The same, with the CPU time that the guest took; what ends at once counts as nothing.
    async fn handle_timed(&self, event: &Event) -> (Result<Vec<Output>, Failure>, Duration) {
        let handled = self.workers.handle(Arc::new(event.clone())).await;
        (self.checked(event, handled.answer), handled.cpu.unwrap_or_default())
    }

    fn checked(&self, event: &Event, answer: Result<Vec<Proposed>, Failure>) -> Result<Vec<Output>, Failure> {
        let proposed = answer?;
        let emitter = Emitter { plugin: "guest".into(), version: "0.1.0".into(), digest: "00".into() };
        let rules =
            Rules { emit: &self.manifest.emit, limits: &self.manifest.limits, max_message_bytes: 1_048_576 };
        effects::check(&emitter, event, "IN@1:1", proposed, rules)
    }

    /// The data of the only output, as text.
    async fn answer(&self, event: &Event) -> String {
        let outputs = self.handle(event).await.unwrap();
        assert_eq!(outputs.len(), 1);
        String::from_utf8(outputs[0].message.payload.to_vec()).unwrap()
    }
}

pub fn event(id: &str) -> Event {
    Event {
        id: id.to_owned(),
        source: "nats:IN".to_owned(),
        kind: "nats.message".to_owned(),
        subject: "in.a".to_owned(),
        time_ns: 1_700_000_000_000_000_000,
        key: None,
        headers: vec![("x".to_owned(), "y".to_owned())],
        data: Bytes::from_static(b"event"),
        attempt: 1,
        reply_to: None,
        hops: 0,
    }
}

/// How a guest ended, in the words of the corpus.
fn told(ended: &Result<Vec<Output>, Failure>) -> String {
    match ended {
        Ok(outputs) => format!("{} outputs", outputs.len()),
        Err(failure) => format!("{}: {failure}", failure.name()),
    }
}

/// What is wrong with how a guest ended, if anything is.
async fn fault(hostile: &Hostile) -> Option<String> {
    let bytes = hostile.bytes().unwrap();
    let running = match (Running::load(&bytes, &hostile.manifest()).await, hostile.end) {
        (Err(refusal), End::Refused(wanted)) => {
            let refusal = refusal.to_string();
            return (!refusal.contains(wanted))
                .then(|| format!("was refused, but not for {wanted:?}: {refusal}"));
        }
        (Ok(_), End::Refused(wanted)) => {
            return Some(format!("was put into service, not refused for {wanted:?}"));
        }
        (Err(refusal), _) => return Some(format!("was refused: {refusal}")),
        (Ok(running), _) => running,
    };
    let bound = Duration::from_millis(running.manifest.limits.cpu_ms * 2);
    let mut quickest = Duration::MAX;
    for _ in 0..TRIES {
        let (ended, cpu) = running.handle_timed(&event("1")).await;
        quickest = quickest.min(cpu);
        let right = match (&ended, hostile.end) {
            (Err(failure), End::Fails(name)) => failure.name() == name,
            (Ok(outputs), End::Harmless(Some(data))) => {
                outputs.len() == 1 && outputs[0].message.payload == data
            }
            (Ok(_), End::Harmless(None)) => true,
            _ => false,
        };
        if !right {
            return Some(format!("should end in {:?}, ended in {}", hostile.end, told(&ended)));
        }
        if quickest <= bound {
            return None;
        }
    }
    Some(format!("took {quickest:?} at best, over twice its limit: {bound:?}"))
}

/// A plugin that goes on while its neighbours misbehave.
struct Neighbour {
    stop: Arc<AtomicBool>,
    handled: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<()>,
}

impl Neighbour {
    async fn start() -> Self {
        let running = Running::mode("echo", "").await;
        let stop = Arc::new(AtomicBool::new(false));
        let handled = Arc::new(AtomicU64::new(0));
        let (stopping, counting) = (Arc::clone(&stop), Arc::clone(&handled));
        let task = tokio::spawn(async move {
            while !stopping.load(Ordering::Relaxed) {
                assert_eq!(running.answer(&event("n")).await, "event");
                counting.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        Self { stop, handled, task }
    }

    /// Ends it and says how many events went through; one that failed fails the test.
    async fn finish(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap();
        self.handled.load(Ordering::Relaxed)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_hostile_guest_ends_in_its_own_error_and_harms_nobody() {
    let neighbour = Neighbour::start().await;
    let mut faults = Vec::new();
    for hostile in HOSTILE {
        let before = neighbour.handled.load(Ordering::Relaxed);
        if let Some(fault) = fault(hostile).await {
            faults.push(format!("{}: {fault}", hostile.name));
        }
        // The neighbour is in the middle of an event at most; it has to come through another one.
        let wait = async {
            while neighbour.handled.load(Ordering::Relaxed) <= before + 1 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(10), wait).await.is_err() {
            faults.push(format!("{}: the neighbour stands still", hostile.name));
        }
    }
    assert!(neighbour.finish().await > HOSTILE.len() as u64);
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), HOSTILE.len(), faults.join("\n"));
}

#[tokio::test]
async fn nothing_passes_from_one_event_to_the_next_in_fresh_isolation() {
    let fresh = Running::mode("count-calls", "").await;
    let reused = Running::mode("count-calls", "isolation = \"reuse\"").await;
    for call in 1..=3 {
        assert_eq!(fresh.answer(&event("1")).await, "1");
        assert_eq!(reused.answer(&event("1")).await, call.to_string());
    }
}

#[tokio::test]
async fn a_leak_ends_a_reused_instance_and_the_next_one_works() {
    let leaking = Running::mode("leak", "isolation = \"reuse\"").await;
    let mut ends = Vec::new();
    for _ in 0..20 {
        ends.push(leaking.handle(&event("1")).await.map_or_else(|failure| failure.name(), |_| "done"));
    }
    let first =
        ends.iter().position(|end| *end == "memory-limit").expect("64 MiB hold less than 20 leaks of 8 MiB");
    assert!((5..8).contains(&first), "{ends:?}");
    assert_eq!(ends[first + 1], "done", "{ends:?}");
}

#[tokio::test]
async fn the_only_time_is_the_events() {
    let asking = Running::mode("ask-the-time", "").await;
    let told = asking.answer(&event("1")).await;
    let expected = "1700000000000000000 1700000000000000000 ";
    assert!(told.starts_with(expected), "{told}");
    assert_eq!(asking.answer(&event("1")).await, told, "another delivery sees the same time pass");
}

#[tokio::test]
async fn the_only_chance_is_the_events() {
    let drawing = Running::mode("draw-lots", "").await;
    let drawn = drawing.answer(&event("1")).await;
    assert_eq!(drawing.answer(&event("1")).await, drawn, "another delivery draws the same");
    assert_ne!(drawing.answer(&event("2")).await, drawn, "another event draws otherwise");
}

#[tokio::test]
async fn standard_output_is_the_plugins_log() {
    let printing = Running::mode("print", "").await;
    assert_eq!(printing.answer(&event("1")).await, "printed");
    assert_eq!(*printing.said.lock().unwrap(), ["to stdout", "to stderr"]);
}

#[tokio::test]
async fn what_a_guest_logs_cannot_forge_a_line() {
    let forging = Running::mode("log-control", "").await;
    assert_eq!(forging.answer(&event("1")).await, "logged");
    let said = forging.said.lock().unwrap().join("|");
    assert!(said.contains("forged") && !said.contains(|c: char| c.is_control()), "{said:?}");
}

#[tokio::test]
async fn the_frame_of_the_texts_is_a_plugin() {
    let behaved = Hostile {
        name: "",
        guest: Guest::Core("well-behaved"),
        config: "",
        limits: "",
        end: End::Harmless(None),
    };
    let running = Running::load(&behaved.bytes().unwrap(), &behaved.manifest()).await.unwrap();
    assert_eq!(running.handle(&event("1")).await, Ok(Vec::new()));
}
