//! What the engine answers: its imports in a component, an engine made up by `testing` in a native test.

const std = @import("std");
const builtin = @import("builtin");
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
