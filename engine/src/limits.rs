//! Every bound in one place, each with its unit and its why.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Bytes in a KiB.
pub const KIB: usize = 1_024;
/// Bytes in a MiB.
pub const MIB: usize = 1_024 * KIB;

/// The most hops an event may take through plugins: each adds one, so a loop ends here.
pub const MAX_HOPS: u32 = 16;

/// The most plugins that one engine runs. Each has threads of its own, and the instance pool is sized by it.
pub const MAX_PLUGINS: usize = 256;

/// The most instances that all plugins together may have at once: 256 plugins, 4 threads each, twice over while they are
/// swapped. Address space is reserved for each, memory is not.
pub const MAX_INSTANCES: u32 = 2_048;

/// The most instances of a plugin whose manifest does not say how many.
pub const DEFAULT_INSTANCES: usize = 4;

/// The weight of a plugin whose manifest gives none: its share of the processor, against those of the others.
pub const DEFAULT_WEIGHT: u32 = 100;

/// The most bytes of messages that wait in the process for one subscription, beside those in flight: 256 of 128 KiB, or 32
/// of the largest that a server takes by default.
pub const PREFETCH_BYTES: usize = 32 * MIB;

/// The most bytes of one lookup table, names and values together. Each version of a plugin holds its own.
pub const MAX_TABLE_BYTES: usize = 256 * MIB;

/// Messages to hold ahead of their handling where a stream is read without acks: a few round trips of the fastest server.
pub const PREFETCH_MESSAGES: usize = 4_096;

/// How many lines a plugin may log in a second. Beyond that they are counted, not written: the log is everybody's.
pub const LOG_LINES_PER_SECOND: u32 = 1_000;

/// The most memory that a manifest may allow one instance, in MiB. The pool reserves address space for this much.
pub const MAX_MEMORY_MIB: u32 = 1_024;

/// The most elements that a guest's tables may have: a function table of the largest interpreters has about 20,000.
pub const MAX_TABLE_ELEMENTS: usize = 100_000;

/// The guest's own stack in bytes: wasmtime's default, and a quarter of what the worker threads have.
pub const MAX_WASM_STACK_BYTES: usize = 512 * KIB;

/// The stack of a worker thread in bytes.
pub const WORKER_STACK_BYTES: usize = 2 * MIB;

/// How often the clock of the sandbox ticks, in milliseconds: a runaway call ends at most this much late.
pub const EPOCH_TICK_MS: u64 = 1;

/// The most host resources (streams, pollables) that an instance may hold at once.
pub const MAX_HOST_RESOURCES: usize = 256;

/// How much a host call may copy out of a guest beyond what its outputs may weigh, in bytes: names, log lines, headers.
pub const HOSTCALL_SLACK_BYTES: usize = 256 * KIB;

/// The most random bytes that a guest may ask for at once.
pub const MAX_RANDOM_BYTES: u32 = 65_536;

/// How long compiling one component may take, in seconds. The largest interpreter known takes 13.
pub const COMPILE_TIMEOUT_S: u64 = 120;

/// The address space that the compiler may use, in MiB. The largest interpreter known takes 363 resident.
pub const COMPILE_MEMORY_MIB: u64 = 4_096;

/// How long a plugin's file must have been left alone before it is read, in milliseconds.
pub const SETTLE_MS: u64 = 250;

/// How long a component that is not well-formed is taken for one that is still being written, in milliseconds.
pub const WRITING_GRACE_MS: u64 = 3_000;

/// How often the plugin directory is read without having been nudged, in milliseconds.
pub const RESCAN_MS: u64 = 5_000;

/// The largest manifest in bytes.
pub const MAX_MANIFEST_BYTES: u64 = 256 * 1_024;

/// The largest source of a source plugin in bytes. Each instance compiles it anew.
pub const MAX_SOURCE_BYTES: usize = MIB;

/// The longest reason kept with a failed event, in bytes.
pub const MAX_REASON_BYTES: usize = 2_048;

/// The longest `[config]` of a program, as JSON in bytes. Its adapter asks for the room for it before it knows how long it is:
/// 64 KiB, of which the variable's name and a NUL take 16 bytes.
pub const MAX_PROGRAM_CONFIG_BYTES: usize = 65_520;

/// The longest name of a state field or a timer, in bytes.
pub const MAX_STATE_NAME_BYTES: usize = 256;

/// The longest version that a component may give itself, in bytes: it stands on each output and in each record.
pub const MAX_VERSION_BYTES: usize = 256;

/// What a state field counts beside its name and value, in bytes: the most that storing it adds.
pub const FIELD_COST_BYTES: usize = 8;

/// What a timer counts beside its name and data, in bytes: two numbers of 9, and what storing them adds.
pub const TIMER_COST_BYTES: usize = 32;

/// Events in flight in the whole engine unless the configuration says otherwise: 64 plugins with 256 each.
pub const DEFAULT_IN_FLIGHT_EVENTS: u64 = 16_384;

/// MiB of events in flight in the whole engine unless the configuration says otherwise.
pub const DEFAULT_IN_FLIGHT_MIB: usize = 512;

/// The most functions of a guest's backtrace that are kept with a failed event.
pub const MAX_BACKTRACE_FRAMES: usize = 16;

/// The longest name of a function there, in characters.
pub const MAX_FRAME_CHARS: usize = 120;

/// What one plugin may use. Each has an error of its own, which names the setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Linear memory of one instance, in MiB.
    #[schemars(range(min = 1, max = 1_024))]
    pub memory_mib: u32,
    /// CPU time of one call, in milliseconds.
    #[schemars(range(min = 1))]
    pub cpu_ms: u64,
    /// Wall time of one call, in milliseconds: what CPU time does not see, as on a machine that has too much to do.
    #[schemars(range(min = 1))]
    pub wall_ms: u64,
    /// Outputs of one event.
    pub outputs: u32,
    /// Bytes of one output: subject, headers and payload.
    pub output_bytes: u32,
    /// Bytes of all outputs of one event together.
    pub event_bytes: u32,
    /// Bytes that one call may log, standard output and error included. What is over is cut off and counted.
    pub log_bytes: u32,
    /// Calls that one handler call may make into the engine.
    pub host_calls: u32,
    /// Outputs in a second, with a second's worth of credit. What is over waits. 0 means no bound.
    pub outputs_per_second: u32,
    /// Bytes of its events in flight at once in this engine, in MiB.
    #[schemars(range(min = 1))]
    pub in_flight_mib: u32,
    /// Size of the component's file, in MiB.
    pub component_mib: u32,
    /// Instances, each with a thread of its own. 0 means one for each processor core, up to 4.
    #[schemars(range(max = 64))]
    pub instances: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_mib: 64,
            cpu_ms: 100,
            wall_ms: 2_000,
            outputs: 1_000,
            output_bytes: 1_048_576,
            event_bytes: 4 * 1_048_576,
            log_bytes: 16 * 1_024,
            host_calls: 10_000,
            outputs_per_second: 0,
            in_flight_mib: 64,
            component_mib: 64,
            instances: 0,
        }
    }
}

impl Limits {
    /// How many instances, and so threads, the plugin has.
    #[must_use]
    pub fn instance_count(&self) -> usize {
        match self.instances {
            0 => {
                std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(DEFAULT_INSTANCES)
            }
            count => count.min(64) as usize,
        }
    }

    /// What is wrong with the figures, if anything is.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let positive = [
            ("memory_mib", u64::from(self.memory_mib)),
            ("cpu_ms", self.cpu_ms),
            ("wall_ms", self.wall_ms),
            ("output_bytes", u64::from(self.output_bytes)),
            ("event_bytes", u64::from(self.event_bytes)),
            ("in_flight_mib", u64::from(self.in_flight_mib)),
            ("component_mib", u64::from(self.component_mib)),
        ];
        if let Some((name, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Some(format!("limits.{name} is 0: with it no call could succeed"));
        }
        if self.memory_mib > MAX_MEMORY_MIB {
            return Some(format!(
                "limits.memory_mib is {}, over the most of {MAX_MEMORY_MIB}",
                self.memory_mib
            ));
        }
        if self.instances > 64 {
            return Some(format!("limits.instances is {}, over the most of 64", self.instances));
        }
        None
    }
}
