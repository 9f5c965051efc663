//! What one call carries: its limits, its clock and randomness, what it logs. One per store, so one per instance.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rustix::time::{ClockId, clock_gettime};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use wasmtime::component::ResourceTable;
use wasmtime::{ResourceLimiter, StoreContextMut, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::LoadSpec;
use super::command::Pipes;
use super::contract::{clock, config, log, random};
use super::keyed::Lent;
use super::logs::CallLog;
use super::messaging::Outbox;
use super::priority;
use super::script::Script;
use super::shares::Share;
use super::wasi::deny_all;
use crate::limits::{EPOCH_TICK_MS, Limits, MAX_HOST_RESOURCES, MAX_RANDOM_BYTES, MAX_TABLE_ELEMENTS, MIB};
use crate::lookup::Tables;
use crate::manifest::Emit;
use crate::outcome::{Failure, one_line};

/// Ticks before the first look at the clocks. Most calls end sooner and never pay for reading the CPU clock.
pub(super) const FIRST_LOOK_TICKS: u64 = 2;
/// The most ticks between two looks: what a long call uses is to count while it runs.
const LOOK_TICKS: u64 = 10;

/// What a plugin's calls have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    pub limits: Limits,
    /// The `[config]` table, each value as the guest gets it.
    pub values: std::collections::BTreeMap<String, String>,
    /// The whole table as JSON.
    pub json: String,
    /// The source that a runner is to run.
    pub script: Option<Script>,
    /// Where it may publish.
    pub emit: Emit,
    /// The plugin's name, which takes part in the seed.
    pub name: String,
    /// The tables that it may read.
    pub lookup: Arc<dyn Tables>,
}

impl Shared {
    pub fn new(spec: &LoadSpec, script: Option<Script>) -> Self {
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Self {
            limits: spec.limits.clone(),
            values: spec.config.iter().map(|(key, value)| (key.clone(), text(value))).collect(),
            json: Value::Object(spec.config.clone()).to_string(),
            script,
            emit: spec.emit.clone(),
            name: spec.name.as_str().to_owned(),
            lookup: Arc::clone(&spec.lookup),
        }
    }
}

/// A refusal by the engine, carried out of a guest as the cause of its trap.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Refusal(pub Failure);

/// The state of one store.
pub(crate) struct CallState {
    pub shared: Arc<Shared>,
    pub log: CallLog,
    /// The first growth that the limiter refused: it explains the trap that follows.
    pub refused: Option<Failure>,
    /// What all memories and all tables of the instance have.
    memory_bytes: usize,
    table_elements: usize,
    pub now_ns: u64,
    /// Stands still between readings but for one step each, so that a loop that waits for it ends.
    pub monotonic_ns: u64,
    /// What the handler publishes, while one that publishes by an import is being called.
    pub(super) outbox: Option<Outbox>,
    pub(super) table: ResourceTable,
    /// The key at hand, in a call that has one.
    pub(super) lent: Option<Lent>,
    /// Source and id of the event, from which randomness is seeded for guests that ask for it; key and name of a timer.
    event: [String; 2],
    /// What the seed has beside them: the number of a timer's setting, which is never 0; 0 for a migration; nothing for an event.
    setting: Option<u64>,
    random: Option<ChaCha8Rng>,
    wasi: Option<WasiCtx>,
    host_calls: u32,
    started: Instant,
    cpu_started: Option<Duration>,
    /// Where CPU time is written down; none if the caller keeps no account.
    share: Option<Arc<Share>>,
    /// Standard input and output, if it is a program.
    pub(super) pipes: Option<Pipes>,
}

impl CallState {
    pub fn new(shared: Arc<Shared>, log: CallLog, share: Option<Arc<Share>>) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_HOST_RESOURCES);
        Self {
            shared,
            log,
            refused: None,
            memory_bytes: 0,
            table_elements: 0,
            now_ns: 0,
            monotonic_ns: 0,
            outbox: None,
            table,
            lent: None,
            event: Default::default(),
            setting: None,
            random: None,
            wasi: None,
            host_calls: 0,
            started: Instant::now(),
            cpu_started: None,
            share,
            pipes: None,
        }
    }

    /// Takes note of an event that has begun while the guest, a program, held its store.
    fn catch_up(&mut self) {
        if let Some(begun) = self.pipes.as_ref().and_then(Pipes::begun) {
            self.begin(&begun.event_id, &begun.source, begun.time_ns);
            self.started = begun.at;
        }
    }

    /// Makes it ready for one event.
    pub fn begin(&mut self, event_id: &str, source: &str, time_ns: u64) {
        self.refused = None;
        self.host_calls = 0;
        self.now_ns = time_ns;
        self.started = Instant::now();
        self.cpu_started = None;
        self.random = None;
        self.wasi = None;
        self.setting = None;
        self.log.begin(event_id);
        for (held, given) in self.event.iter_mut().zip([source, event_id]) {
            given.clone_into(held);
        }
    }

    /// Makes it ready for a timer, or with no setting for the migration of a field.
    pub fn begin_for_key(&mut self, key: &str, name: &str, setting: Option<u64>, now_ns: u64) {
        self.begin(name, key, now_ns);
        self.setting = Some(setting.unwrap_or(0));
        let what = if setting.is_some() { "timer" } else { "migration" };
        self.log.begin(&one_line(format!("{what}:{key}:{name}")));
    }

    /// The CPU time of the call so far, but for the first moments; none if it was over before anybody looked.
    pub(super) fn cpu_used(&self) -> Option<Duration> {
        Some(thread_cpu_time().saturating_sub(self.cpu_started?))
    }

    fn seed(&self) -> [u8; 32] {
        let [source, id] = &self.event;
        let mut hash = Sha256::new();
        // Lengths first: no two different triples run together into the same bytes.
        for part in [&self.shared.name, source, id] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        if let Some(setting) = self.setting {
            hash.update(setting.to_le_bytes());
        }
        hash.finalize().into()
    }

    /// Counts one call into the engine.
    pub(super) fn enter(&mut self) -> wasmtime::Result<()> {
        self.catch_up();
        self.host_calls += 1;
        let limit = self.shared.limits.host_calls;
        if self.host_calls > limit { Err(refuse(Failure::HostCalls { limit })) } else { Ok(()) }
    }

    pub(super) fn random(&mut self) -> &mut ChaCha8Rng {
        let made = self.random.take().unwrap_or_else(|| ChaCha8Rng::from_seed(self.seed()));
        self.random.insert(made)
    }

    /// Decides whether a call that still runs may go on.
    fn look(&mut self) -> wasmtime::Result<UpdateDeadline> {
        self.catch_up();
        let limits = &self.shared.limits;
        let cpu = thread_cpu_time();
        if let Some(share) = &self.share {
            share.charge(cpu, self.started.elapsed());
        }
        let cpu_used = cpu.saturating_sub(*self.cpu_started.get_or_insert(cpu));
        if self.share.is_some() {
            priority::note(cpu_used);
        }
        let cpu_left = Duration::from_millis(limits.cpu_ms).saturating_sub(cpu_used);
        if cpu_left.is_zero() {
            return Err(refuse(Failure::CpuTime { limit_ms: limits.cpu_ms }));
        }
        let wall_left = Duration::from_millis(limits.wall_ms).saturating_sub(self.started.elapsed());
        if wall_left.is_zero() {
            return Err(refuse(Failure::WallTime { limit_ms: limits.wall_ms }));
        }
        let ticks = u64::try_from(cpu_left.min(wall_left).as_millis()).unwrap_or(u64::MAX) / EPOCH_TICK_MS;
        let most = if priority::is_low() { LOOK_TICKS } else { FIRST_LOOK_TICKS };
        Ok(UpdateDeadline::Continue(ticks.clamp(1, most)))
    }
}

/// The epoch callback of every store.
pub(crate) fn on_deadline(mut store: StoreContextMut<'_, CallState>) -> wasmtime::Result<UpdateDeadline> {
    store.data_mut().look()
}

pub(super) fn refuse(failure: Failure) -> wasmtime::Error {
    wasmtime::Error::new(Refusal(failure))
}

/// What the calling thread has used.
pub(super) fn thread_cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

impl ResourceLimiter for CallState {
    fn memory_growing(
        &mut self,
        now: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.catch_up();
        let limit_mib = self.shared.limits.memory_mib;
        let together = self.memory_bytes.saturating_sub(now).saturating_add(desired);
        let fits = together <= limit_mib as usize * MIB && maximum.is_none_or(|most| desired <= most);
        if fits {
            self.memory_bytes = together;
        } else {
            self.refused.get_or_insert(Failure::Memory { wanted_bytes: together, limit_mib });
        }
        Ok(fits)
    }

    fn table_growing(
        &mut self,
        now: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.catch_up();
        let together = self.table_elements.saturating_sub(now).saturating_add(desired);
        let fits = together <= MAX_TABLE_ELEMENTS && maximum.is_none_or(|most| desired <= most);
        if fits {
            self.table_elements = together;
        } else {
            self.refused.get_or_insert(Failure::Table { wanted: together, limit: MAX_TABLE_ELEMENTS });
        }
        Ok(fits)
    }
}

impl WasiView for CallState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.catch_up();
        // Most guests never ask WASI for anything, so it is made on first use.
        let made = self.wasi.take().unwrap_or_else(|| {
            let mut world = deny_all(&self.log, self.seed(), self.now_ns);
            if let Some(pipes) = &self.pipes {
                pipes.give(&mut world, &self.shared.name, &self.shared.json);
            }
            world.build()
        });
        let ctx = self.wasi.insert(made);
        WasiCtxView { ctx, table: &mut self.table }
    }
}

impl log::Host for CallState {
    fn log(
        &mut self,
        level: log::Level,
        message: String,
        fields: Vec<(String, String)>,
    ) -> wasmtime::Result<()> {
        self.enter()?;
        let level = match level {
            log::Level::Trace => tracing::Level::TRACE,
            log::Level::Debug => tracing::Level::DEBUG,
            log::Level::Info => tracing::Level::INFO,
            log::Level::Warn => tracing::Level::WARN,
            log::Level::Error => tracing::Level::ERROR,
        };
        self.log.line(level, message, fields).map_err(refuse)
    }
}

impl clock::Host for CallState {
    fn now(&mut self) -> wasmtime::Result<u64> {
        self.enter()?;
        Ok(self.now_ns)
    }
}

impl config::Host for CallState {
    fn get(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        self.enter()?;
        Ok(self.shared.values.get(&key).cloned())
    }

    fn json(&mut self) -> wasmtime::Result<String> {
        self.enter()?;
        Ok(self.shared.json.clone())
    }
}

impl random::Host for CallState {
    fn next(&mut self) -> wasmtime::Result<u64> {
        self.enter()?;
        Ok(self.random().next_u64())
    }

    fn bytes(&mut self, length: u32) -> wasmtime::Result<Vec<u8>> {
        self.enter()?;
        if length > MAX_RANDOM_BYTES {
            let text = format!("{length} random bytes at once, the most is {MAX_RANDOM_BYTES}");
            return Err(refuse(Failure::InvalidValue(text)));
        }
        let mut bytes = vec![0; length as usize];
        self.random().fill_bytes(&mut bytes);
        Ok(bytes)
    }
}
