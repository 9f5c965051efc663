//! The table of hostile guests.

use super::{End, Guest, Hostile, NO_MODE, bloated, cut_off, nest_of_instances, nothing, prose};

/// A mode that fails under a name.
const fn fails(mode: &'static str, name: &'static str) -> Hostile {
    Hostile::new(mode, Guest::Mode(mode), End::Fails(name))
}

/// A mode that does no harm.
const fn harmless(mode: &'static str, data: &'static str) -> Hostile {
    Hostile::new(mode, Guest::Mode(mode), End::Harmless(Some(data)))
}

/// An output that must not leave the engine.
const fn emits(name: &'static str, config: &'static str, refusal: &'static str) -> Hostile {
    Hostile::new(name, Guest::Mode("emit"), End::Fails(refusal)).config(config)
}

/// A core module in text that fails under a name.
const fn core(file: &'static str, name: &'static str) -> Hostile {
    Hostile::new(file, Guest::Core(file), End::Fails(name))
}

/// A core module in text that is never put into service.
const fn core_refused(file: &'static str, text: &'static str) -> Hostile {
    Hostile::new(file, Guest::Core(file), End::Refused(text))
}

/// A whole file in text that is never put into service.
const fn refused(file: &'static str, text: &'static str) -> Hostile {
    Hostile::new(file, Guest::Whole(file), End::Refused(text))
}

/// Bytes that are never put into service.
const fn bytes(name: &'static str, make: fn() -> anyhow::Result<Vec<u8>>, text: &'static str) -> Hostile {
    Hostile::new(name, Guest::Made(make), End::Refused(text))
}

/// Room for a million outputs: twice 48 bytes each in the guest, and the time to write them.
const ROOMY: &str = "memory_mib = 256\ncpu_ms = 3000\nwall_ms = 10000";
/// Time to touch all the memory that there is.
const PATIENT: &str = "cpu_ms = 1000\nwall_ms = 5000";
/// No bound on host calls before the clocks stop it.
const TALKATIVE: &str = "host_calls = 4294967295";

/// Every hostile guest. A case is a row; its end is the named error, or the proof that it does no harm.
pub const HOSTILE: &[Hostile] = &[
    // Ends.
    fails("panic", "trap"),
    fails("unreachable", "trap"),
    fails("abort", "trap"),
    Hostile::new("exit 0", Guest::Mode("exit"), End::Fails("exit")).config("status = 0"),
    Hostile::new("exit 1", Guest::Mode("exit"), End::Fails("exit")).config("status = 1"),
    fails("retry", "retry"),
    fails("retry-in-an-age", "retry"),
    fails("reject", "rejected").config("reason = 'no'"),
    fails("reject-at-length", "answer-limit"),
    fails(NO_MODE, "rejected"),
    // Endless calls.
    fails("endless-loop", "cpu-limit"),
    fails("endless-host-calls", "host-call-limit"),
    Hostile::new("endless-host-calls, unbounded", Guest::Mode("endless-host-calls"), End::Fails("cpu-limit"))
        .limits(TALKATIVE),
    fails("endless-copies", "host-call-limit"),
    fails("endless-wasi-calls", "cpu-limit"),
    fails("endless-fill", "cpu-limit"),
    fails("deep-recursion", "stack-limit"),
    fails("deep-frames", "trap"),
    harmless("sleep", "slept"),
    fails("endless-sleep", "cpu-limit"),
    core_refused("start-loop", "cpu-limit"),
    core_refused("start-trap", "trap"),
    core("realloc-loop", "cpu-limit"),
    // Memory, tables, instances.
    fails("memory-bomb", "memory-limit").limits(PATIENT),
    fails("memory-at-once", "memory-limit").limits(PATIENT),
    harmless("leak", "leaked"),
    core("table-bomb", "table-limit"),
    core_refused("huge-table", "table"),
    core_refused("huge-memory", "memory"),
    core_refused("large-memory", "memory-limit"),
    bytes("nest of instances", nest_of_instances, "instances"),
    bytes("bloated", bloated, "limits.component_mib").limits("component_mib = 2"),
    // Answers.
    harmless("echo", "event"),
    fails("many-outputs", "output-count-limit").config("count = 1001"),
    Hostile::new("output too big", Guest::Mode("many-outputs"), End::Fails("output-size-limit"))
        .config("count = 1\nsize = 2000000"),
    Hostile::new("outputs too big together", Guest::Mode("many-outputs"), End::Fails("event-size-limit"))
        .config("count = 110\nsize = 1000")
        .limits("event_bytes = 100000"),
    Hostile::new("outputs far too big together", Guest::Mode("many-outputs"), End::Fails("answer-limit"))
        .config("count = 20\nsize = 1000000"),
    Hostile::new("million empty outputs", Guest::Mode("empty-outputs"), End::Fails("answer-limit"))
        .config("count = 1000000")
        .limits(ROOMY),
    Hostile::new("million outputs of one buffer", Guest::Mode("shared-buffer"), End::Fails("answer-limit"))
        .config("count = 1000000")
        .limits(ROOMY),
    Hostile::new("GiB of one buffer", Guest::Mode("shared-buffer"), End::Fails("answer-limit"))
        .config("count = 1024"),
    fails("long-subject", "bad-subject").config("size = 2000"),
    fails("false-utf8", "invalid-value"),
    core("answer-nowhere", "invalid-value"),
    core("answer-askew", "invalid-value"),
    core("false-case", "invalid-value"),
    core("false-failure", "invalid-value"),
    core("endless-list", "invalid-value"),
    core("long-list", "invalid-value"),
    core("realloc-nowhere", "trap"),
    // Subjects.
    emits("to the server", "subject = '$JS.API.STREAM.DELETE.X'", "bad-subject"),
    emits("to the system account", "subject = '$SYS.REQ.SERVER.PING'", "bad-subject"),
    emits("to somebody's inbox", "subject = '_INBOX.x'", "bad-subject"),
    emits("to everything", "subject = '>'", "bad-subject"),
    emits("to a wildcard", "subject = 'out.*'", "bad-subject"),
    emits("to an empty token", "subject = 'out..b'", "bad-subject"),
    emits("to nowhere", "subject = ''", "bad-subject"),
    emits("to a NUL", "subject = \"out.\\u0000\"", "bad-subject"),
    emits("to a space", "subject = 'out. x'", "bad-subject"),
    emits("to another line", "subject = \"out\\r\\nPUB x 0\\r\\n\"", "bad-subject"),
    emits("outside its grants", "subject = 'orders.new'", "not-granted"),
    emits("beside its grants", "subject = 'outer'", "not-granted"),
    // Headers.
    emits("header with a line break", "header = 'x'\nvalue = \"a\\r\\nNats-Msg-Id: 1\"", "bad-header"),
    emits("header without a name", "header = ''", "bad-header"),
    emits("header of two names", "header = 'a: b'", "bad-header"),
    emits("message id", "header = 'Nats-Msg-Id'\nvalue = '1'", "reserved-header"),
    emits("message id in capitals", "header = 'NATS-MSG-ID'\nvalue = '1'", "reserved-header"),
    emits("expected stream", "header = 'Nats-Expected-Stream'\nvalue = 'X'", "reserved-header"),
    emits("rollup", "header = 'Nats-Rollup'\nvalue = 'all'", "reserved-header"),
    emits("hops", "header = 'wasmill-hops'\nvalue = '0'", "reserved-header"),
    emits("false origin", "header = 'ce-source'\nvalue = 'the bank'", "reserved-header"),
    fails("many-headers", "bad-header").config("count = 200"),
    fails("long-header", "bad-header").config("size = 10000"),
    Hostile::new("type with a line break", Guest::Mode("emit"), End::Harmless(Some("")))
        .config("subject = 'out.a'\ntype = \"a\\r\\nNats-Msg-Id: 1\""),
    // Text and chance.
    fails("log-flood", "log-limit"),
    fails("log-empty-flood", "log-limit"),
    fails("log-at-length", "log-limit"),
    fails("log-beyond-copying", "answer-limit"),
    fails("log-fields", "answer-limit").limits(ROOMY),
    harmless("log-control", "logged"),
    fails("stdout-flood", "log-limit"),
    harmless("print", "printed"),
    fails("random-at-length", "invalid-value"),
    Hostile::new("random-flood", Guest::Mode("random-flood"), End::Fails("cpu-limit")).limits(TALKATIVE),
    harmless("look-around", ""),
    // Files that are no plugins.
    bytes("nothing", nothing, "empty"),
    bytes("prose", prose, "no WebAssembly"),
    bytes("cut off", cut_off, "truncated"),
    refused("core-module", "a plugin needs wasmill:plugin/handler@0.1.0#handle, cabi_realloc, memory"),
    refused("missing-handler", "wasmill:plugin/handler@0.1.0 is missing"),
    refused("no-function", "handle"),
    refused("wrong-signature", "does not have the type"),
    refused("other-version", "wasmill:plugin/handler@0.2.0"),
    refused("unknown-import", "acme:database/query@1.0.0"),
    refused("timers-missing", "nobody would handle the timers that it sets"),
    refused("timers-other-version", "wasmill:plugin/timers@0.2.0"),
    refused("timers-no-function", "has no function `on-timer`"),
    refused("false-import", "wasmill:plugin/clock@0.1.0"),
    refused("messaging-ungranted", "wasi:keyvalue/store@0.2.0-draft (a key-value store), wasi:http/"),
    refused("messaging-other-version", "this engine serves wasmcloud:messaging/handler@0.2.0"),
    refused("messaging-beside", "outputs are what `handle` returns"),
];
