//! WASI 0.2 without anything behind it: no files, no environment, no network, no time but the event's, no chance but the
//! seed's. It is linked so that interpreters start.

use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use wasmtime::component::{HasData, Linker, Resource};
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::clocks::HostWallClock;
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};

use super::host::CallState;
use super::logs::{CallLog, Stream};
use crate::limits::MAX_RANDOM_BYTES;

/// How far the monotonic clock moves with each reading, in nanoseconds.
const STEP_NS: u64 = 1_000;

/// Links WASI, with a monotonic clock of our own in place of the library's, whose timers would block a worker thread on
/// real time.
pub(super) fn add_to_linker(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_sync(linker)?;
    shadow_clock(linker)
}

/// The same for guests that may wait: programs, for their next line.
pub(super) fn add_to_waiting_linker(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    shadow_clock(linker)
}

fn shadow_clock(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    monotonic_clock::add_to_linker::<CallState, StandingClock>(linker, |state| state)?;
    linker.allow_shadowing(false);
    Ok(())
}

/// The WASI of one call.
pub(super) fn deny_all(log: &CallLog, seed: [u8; 32], now_ns: u64) -> WasiCtxBuilder {
    let mut builder = WasiCtxBuilder::new();
    // The library draws these from the guest's point of view only: two streams, so that one does not foretell the other.
    let mut other = seed;
    if let Some(first) = other.first_mut() {
        *first ^= 0xff;
    }
    builder
        .stdout(log.stream(Stream::Out))
        .stderr(log.stream(Stream::Err))
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .secure_random(ChaCha8Rng::from_seed(seed))
        .insecure_random(ChaCha8Rng::from_seed(other))
        .insecure_random_seed(u128::from_le_bytes(first_half(seed)))
        .max_random_size(u64::from(MAX_RANDOM_BYTES))
        .wall_clock(EventClock(Duration::from_nanos(now_ns)));
    builder
}

fn first_half(seed: [u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    half.iter_mut().zip(seed).for_each(|(to, from)| *to = from);
    half
}

struct EventClock(Duration);

impl HostWallClock for EventClock {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        self.0
    }
}

struct StandingClock;

impl HasData for StandingClock {
    type Data<'a> = &'a mut CallState;
}

/// A wait that is over as soon as it begins: the clock was moved instead.
struct Over;

#[wasmtime_wasi::async_trait]
impl Pollable for Over {
    async fn ready(&mut self) {}
}

impl monotonic_clock::Host for CallState {
    fn now(&mut self) -> wasmtime::Result<u64> {
        self.monotonic_ns = self.monotonic_ns.saturating_add(STEP_NS);
        Ok(self.monotonic_ns)
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(STEP_NS)
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.monotonic_ns = self.monotonic_ns.max(when);
        let over = self.table.push(Over)?;
        subscribe(&mut self.table, over)
    }

    fn subscribe_duration(&mut self, wait: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.subscribe_instant(self.monotonic_ns.saturating_add(wait))
    }
}
