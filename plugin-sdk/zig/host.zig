//! What the engine answers: its imports in a component, an engine made up by `testing` in a native test.

const std = @import("std");
const builtin = @import("builtin");
const arena = @import("arena.zig");
const keyed = @import("testing_keyed.zig");
const testing = @import("testing.zig");

/// How much a log line matters; the order is the contract's.
pub const Level = enum(i32) { trace, debug, info, warn, @"error" };

/// A name and its value. The layout is that of the contract's `tuple<string, string>`.
pub const Pair = extern struct {
    name: Bytes,
    value: Bytes,

    pub fn of(name: []const u8, value: []const u8) Pair {
        return .{ .name = .of(name), .value = .of(value) };
    }
};

/// A string or a list of bytes, as it stands in memory. The address of an empty one must lie in the memory as well,
/// which that of an empty slice need not.
pub const Bytes = extern struct {
    ptr: [*]const u8,
    len: usize,

    pub fn of(text: []const u8) Bytes {
        return .{ .ptr = if (text.len == 0) "" else text.ptr, .len = text.len };
    }

    pub fn slice(bytes: Bytes) []const u8 {
        return if (bytes.len == 0) "" else bytes.ptr[0..bytes.len];
    }
};

/// A list as it stands in memory.
pub fn List(comptime T: type) type {
    return extern struct {
        ptr: [*]const T,
        len: usize,

        pub fn of(items: []const T) @This() {
            return .{ .ptr = if (items.len == 0) &.{} else items.ptr, .len = items.len };
        }
    };
}

/// An `option<string>` or `option<list<u8>>`, as it stands in memory.
pub const Option = extern struct {
    is_some: u8 = 0,
    some: Bytes = .{ .ptr = undefined, .len = 0 },

    pub fn of(text: ?[]const u8) Option {
        return if (text) |some| .{ .is_some = 1, .some = .of(some) } else .{};
    }

    pub fn slice(option: Option) ?[]const u8 {
        return if (option.is_some != 0) option.some.slice() else null;
    }
};

/// Why the engine refused what it was asked.
pub const Why = enum { no_key, too_large, too_many, bad_name, not_granted, not_ready };

/// The last refusal, and the limit that it is about, if it is about one.
pub var refused: struct { why: Why = .no_key, limit: u64 = 0 } = .{};

/// `result<T, error>` of `state`.
fn StateAnswer(comptime T: type) type {
    return extern struct {
        failed: u8,
        of: extern union { ok: T, err: extern struct { case: u8, limit: u64 } },

        fn value(answer: *const @This()) ?*const T {
            if (answer.failed == 0) return &answer.of.ok;
            const whys = [_]Why{ .no_key, .too_large, .bad_name };
            refused = .{ .why = whys[answer.of.err.case], .limit = answer.of.err.limit };
            return null;
        }
    };
}

/// `result<_, error>` of `timer-control`.
const TimerAnswer = extern struct {
    failed: u8,
    err: extern struct { case: u8, limit: u32 },

    fn done(answer: *const TimerAnswer) bool {
        if (answer.failed == 0) return true;
        const whys = [_]Why{ .no_key, .too_many, .bad_name };
        refused = .{ .why = whys[answer.err.case], .limit = answer.err.limit };
        return false;
    }
};

/// `result<option<list<u8>>, error>` of `lookup`.
const LookupAnswer = extern struct {
    failed: u8,
    of: extern union { ok: Option, err: u8 },
};

comptime {
    // What the canonical ABI says, where addresses have 32 bits.
    if (@sizeOf(usize) == 4) {
        std.debug.assert(@sizeOf(StateAnswer(Option)) == 24 and @offsetOf(StateAnswer(Option), "of") == 8);
        std.debug.assert(@sizeOf(TimerAnswer) == 12 and @sizeOf(LookupAnswer) == 16);
    }
}

const import_state = struct {
    extern "wasmill:plugin/state@0.1.0" fn get(name: [*]const u8, name_len: usize, answer: *StateAnswer(Option)) void;
    extern "wasmill:plugin/state@0.1.0" fn set(name: [*]const u8, name_len: usize, value: [*]const u8, value_len: usize, answer: *StateAnswer(u8)) void;
    extern "wasmill:plugin/state@0.1.0" fn delete(name: [*]const u8, name_len: usize, answer: *StateAnswer(u8)) void;
    extern "wasmill:plugin/state@0.1.0" fn names(prefix: [*]const u8, prefix_len: usize, answer: *StateAnswer(List(Bytes))) void;
};

const import_timers = struct {
    extern "wasmill:plugin/timer-control@0.1.0" fn set(name: [*]const u8, name_len: usize, due: u64, data: [*]const u8, data_len: usize, answer: *TimerAnswer) void;
    extern "wasmill:plugin/timer-control@0.1.0" fn cancel(name: [*]const u8, name_len: usize, answer: *TimerAnswer) void;
};

const import_lookup = struct {
    extern "wasmill:plugin/lookup@0.1.0" fn get(table: [*]const u8, table_len: usize, key: [*]const u8, key_len: usize, answer: *LookupAnswer) void;
};

const import = struct {
    extern "wasmill:plugin/log@0.1.0" fn log(level: i32, message: [*]const u8, message_len: usize, fields: [*]const Pair, fields_len: usize) void;
    extern "wasmill:plugin/clock@0.1.0" fn now() u64;
    extern "wasmill:plugin/config@0.1.0" fn get(key: [*]const u8, key_len: usize, answer: *Option) void;
    extern "wasmill:plugin/config@0.1.0" fn json(answer: *Bytes) void;
    extern "wasmill:plugin/random@0.1.0" fn next() u64;
    extern "wasmill:plugin/random@0.1.0" fn bytes(len: u32, answer: *Bytes) void;
};

const is_native = !builtin.cpu.arch.isWasm();

pub fn log(level: Level, message: []const u8, fields: []const Pair) void {
    if (is_native) return testing.log(level, message, fields);
    const line: Bytes = .of(message);
    const pairs: List(Pair) = .of(fields);
    import.log(@backingInt(level), line.ptr, line.len, pairs.ptr, pairs.len);
}

pub fn now() u64 {
    return if (is_native) testing.now() else import.now();
}

pub fn configGet(key: []const u8) ?[]const u8 {
    if (is_native) return testing.configGet(key);
    var answer: Option = undefined;
    const name: Bytes = .of(key);
    import.get(name.ptr, name.len, &answer);
    return answer.slice();
}

pub fn configJson() []const u8 {
    if (is_native) return testing.configJson();
    var answer: Bytes = undefined;
    import.json(&answer);
    return answer.slice();
}

pub fn randomNext() u64 {
    return if (is_native) testing.randomNext() else import.next();
}

/// At most 65,536 at a time.
pub fn randomBytes(into: []u8) void {
    if (is_native) return testing.randomBytes(into);
    var answer: Bytes = undefined;
    import.bytes(@intCast(into.len), &answer);
    @memcpy(into, answer.slice());
}

// What is refused answers null or false, and says why in `refused`.

pub fn stateGet(name: []const u8) ??[]const u8 {
    if (is_native) return keyed.stateGet(name);
    var answer: StateAnswer(Option) = undefined;
    const of: Bytes = .of(name);
    import_state.get(of.ptr, of.len, &answer);
    const value = answer.value() orelse return null;
    return @as(?[]const u8, value.slice());
}

pub fn stateSet(name: []const u8, value: []const u8) bool {
    if (is_native) return keyed.stateSet(name, value);
    var answer: StateAnswer(u8) = undefined;
    const of: Bytes = .of(name);
    const data: Bytes = .of(value);
    import_state.set(of.ptr, of.len, data.ptr, data.len, &answer);
    return answer.value() != null;
}

pub fn stateDelete(name: []const u8) bool {
    if (is_native) return keyed.stateDelete(name);
    var answer: StateAnswer(u8) = undefined;
    const of: Bytes = .of(name);
    import_state.delete(of.ptr, of.len, &answer);
    return answer.value() != null;
}

pub fn stateNames(prefix: []const u8) ?[]const []const u8 {
    if (is_native) return keyed.stateNames(prefix);
    var answer: StateAnswer(List(Bytes)) = undefined;
    const of: Bytes = .of(prefix);
    import_state.names(of.ptr, of.len, &answer);
    const found = answer.value() orelse return null;
    const names = arena.allocator.alloc([]const u8, found.len) catch @panic("out of memory");
    for (names, 0..) |*name, i| name.* = found.ptr[i].slice();
    return names;
}

pub fn timerSet(name: []const u8, due: u64, data: []const u8) bool {
    if (is_native) return keyed.timerSet(name, due, data);
    var answer: TimerAnswer = undefined;
    const of: Bytes = .of(name);
    const bytes: Bytes = .of(data);
    import_timers.set(of.ptr, of.len, due, bytes.ptr, bytes.len, &answer);
    return answer.done();
}

pub fn timerCancel(name: []const u8) bool {
    if (is_native) return keyed.timerCancel(name);
    var answer: TimerAnswer = undefined;
    const of: Bytes = .of(name);
    import_timers.cancel(of.ptr, of.len, &answer);
    return answer.done();
}

pub fn lookupGet(table: []const u8, key: []const u8) ??[]const u8 {
    if (is_native) return keyed.lookupGet(table, key);
    var answer: LookupAnswer = undefined;
    const of: Bytes = .of(table);
    const row: Bytes = .of(key);
    import_lookup.get(of.ptr, of.len, row.ptr, row.len, &answer);
    if (answer.failed == 0) return @as(?[]const u8, answer.of.ok.slice());
    refused = .{ .why = if (answer.of.err == 0) .not_granted else .not_ready };
    return null;
}
