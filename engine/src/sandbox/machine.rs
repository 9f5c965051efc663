//! The wasmtime engine: its settings, the same in the compiler's process and here, and the clock that interrupts guests.

use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use super::shares::Shares;
use crate::limits::{
    EPOCH_TICK_MS, MAX_INSTANCES, MAX_MEMORY_MIB, MAX_TABLE_ELEMENTS, MAX_WASM_STACK_BYTES, MIB,
};

/// How much of an instance's memory stays mapped when it is given back, in bytes. What a fresh instance touches again
/// then costs a memset instead of page faults.
const KEEP_RESIDENT_BYTES: usize = 8 * MIB;
/// Core instances in one component: an interpreter with its adapters and shims has about 10.
const CORE_INSTANCES_PER_COMPONENT: u32 = 32;
/// The host's bookkeeping of one instance, in bytes.
const INSTANCE_BYTES: usize = 4 * MIB;

/// What compiling needs: everything that shapes the machine code, and nothing about where instances live.
fn compile_config() -> Config {
    let mut config = Config::new();
    config
        .concurrency_support(false)
        .gc_support(false)
        .wasm_memory64(false)
        .wasm_relaxed_simd(true)
        .relaxed_simd_deterministic(true)
        .cranelift_nan_canonicalization(true)
        .epoch_interruption(true)
        .max_wasm_stack(MAX_WASM_STACK_BYTES);
    config
}

/// The engine of the compiler's process.
pub(super) fn compiling_engine() -> wasmtime::Result<Engine> {
    Engine::new(&compile_config())
}

/// The engine that runs guests, with its pool of instances and its clock.
pub(super) fn running_engine() -> wasmtime::Result<Engine> {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(MAX_INSTANCES)
        .total_core_instances(MAX_INSTANCES * 4)
        .total_memories(MAX_INSTANCES)
        .total_stacks(MAX_INSTANCES)
        .total_tables(MAX_INSTANCES * 4)
        .max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT)
        .max_memories_per_component(4)
        .max_tables_per_component(CORE_INSTANCES_PER_COMPONENT)
        .max_component_instance_size(INSTANCE_BYTES)
        .max_core_instance_size(INSTANCE_BYTES)
        .max_memory_size(MAX_MEMORY_MIB as usize * MIB)
        .table_elements(MAX_TABLE_ELEMENTS)
        .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
        .table_keep_resident(KEEP_RESIDENT_BYTES)
        .pagemap_scan(Enabled::Auto);
    let mut config = compile_config();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config)
}

/// Names all that makes compiled code fit this engine: wasmtime's version, its settings, the processor's features.
pub(super) fn compatibility_key(engine: &Engine) -> String {
    struct Bytes(Sha256);
    impl Hasher for Bytes {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
        fn finish(&self) -> u64 {
            0
        }
    }
    let mut bytes = Bytes(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut bytes);
    crate::digest::hex(&bytes.0.finalize())
}

/// The thread that advances the epoch. It is one of the system's own, so that no guest and no runtime can hold it up.
pub(super) struct Ticker(Arc<AtomicBool>);

impl Ticker {
    /// Besides, it tells those who wait for their share of the cores that time has passed.
    pub fn start(engine: &Engine, shares: Arc<Shares>) -> std::io::Result<Self> {
        let running = Arc::new(AtomicBool::new(true));
        let (weak, engine): (Weak<AtomicBool>, _) = (Arc::downgrade(&running), engine.weak());
        thread::Builder::new().name("wasmill-ticker".into()).spawn(move || {
            while weak.upgrade().is_some_and(|running| running.load(Ordering::Relaxed)) {
                thread::sleep(Duration::from_millis(EPOCH_TICK_MS));
                match engine.upgrade() {
                    Some(engine) => engine.increment_epoch(),
                    None => break,
                }
                shares.tick();
            }
        })?;
        Ok(Self(running))
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}
