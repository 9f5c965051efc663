//! Write Wasmill plugins in Zig: a function, and unit tests that run natively.
//!
//! `src/plugin.zig` declares `pub fn handle(event: *const wasmill.Event) !?wasmill.Output`. README.md tells the rest.

const std = @import("std");
const arena = @import("arena.zig");
const events = @import("event.zig");
const failures = @import("failure.zig");
const host = @import("host.zig");
const json = @import("json.zig");
const keyed = @import("keyed.zig");
const text = @import("text.zig");

pub const Event = events.Event;
pub const Header = events.Header;
pub const Output = events.Output;
pub const About = events.About;
pub const Failure = failures.Failure;
pub const RetryOptions = failures.RetryOptions;
pub const reject = failures.reject;
pub const retry = failures.retry;
pub const raise = failures.raise;
pub const Timer = keyed.Timer;
pub const state = keyed.state;
pub const timers = keyed.timers;
pub const lookup = keyed.lookup;
pub const limit = keyed.limit;
pub const testing = @import("testing.zig");

/// Memory that lasts until the call ends. Nothing taken from it need be freed; what shall outlive the call, in `reuse`
/// isolation, belongs into a global variable or `std.heap.wasm_allocator`.
pub const allocator = arena.allocator;

/// Structured lines in the engine's log, marked with the plugin and the event.
pub const log = struct {
    pub const Level = host.Level;

    /// One line; `fields` is a struct of names and values, such as `.{ .amount = 3, .currency = "EUR" }`.
    pub fn write(level: Level, message: []const u8, fields: anytype) void {
        const names = @typeInfo(@TypeOf(fields)).@"struct".field_names;
        var pairs: [names.len]host.Pair = undefined;
        inline for (names, &pairs) |name, *pair| pair.* = .of(name, field(@field(fields, name)));
        host.log(level, text.lossy(message), &pairs);
    }

    pub fn trace(message: []const u8, fields: anytype) void {
        write(.trace, message, fields);
    }

    pub fn debug(message: []const u8, fields: anytype) void {
        write(.debug, message, fields);
    }

    pub fn info(message: []const u8, fields: anytype) void {
        write(.info, message, fields);
    }

    pub fn warn(message: []const u8, fields: anytype) void {
        write(.warn, message, fields);
    }

    pub fn @"error"(message: []const u8, fields: anytype) void {
        write(.@"error", message, fields);
    }

    fn field(value: anytype) []const u8 {
        const T = @TypeOf(value);
        return switch (@typeInfo(T)) {
            .pointer => |pointer| switch (@typeInfo(pointer.child)) {
                .int => if (pointer.child == u8) text.lossy(value) else text.print("{any}", .{value}),
                .array => |array| if (array.child == u8) text.lossy(value) else text.print("{any}", .{value}),
                else => text.print("{any}", .{value}),
            },
            .int, .float, .comptime_int, .comptime_float => text.print("{d}", .{value}),
            .@"enum", .enum_literal => @tagName(value),
            .optional => if (value) |some| field(some) else "null",
            else => text.print("{any}", .{value}),
        };
    }
};

/// The `[config]` table of the manifest.
pub const config = struct {
    /// One value: a string as it is, anything else as JSON text. Null if the key is not set.
    pub fn get(key: []const u8) ?[]const u8 {
        return host.configGet(key);
    }

    /// The whole table as one JSON object.
    pub fn all() []const u8 {
        return host.configJson();
    }

    /// The whole table as a `T`. A table that does not fit, or has a setting that `T` has not, is a retry that names
    /// the setting: the event is sound and can be handled once the manifest is corrected.
    pub fn load(comptime T: type) error{ Retry, OutOfMemory }!T {
        return switch (try json.decode(T, host.configJson(), .refuse)) {
            .value => |value| value,
            .fault => |fault| failures.retry(.{}, "config: {s}; correct the [config] table of the plugin's manifest", .{fault}),
        };
    }
};

/// The plugin clock. It stands still during a call, so that a replay sees the same time.
pub const clock = struct {
    /// The time of the event being handled, nanoseconds since the Unix epoch.
    pub fn now() u64 {
        return host.now();
    }
};

/// Randomness seeded by the event: another delivery of the same event draws the same numbers.
pub const random = struct {
    /// The next 64 random bits.
    pub fn next() u64 {
        return host.randomNext();
    }

    /// Fills a buffer with random bytes.
    pub fn fill(buffer: []u8) void {
        const bytes_max = 65_536;
        var rest = buffer;
        while (rest.len != 0) {
            const piece = rest[0..@min(rest.len, bytes_max)];
            host.randomBytes(piece);
            rest = rest[piece.len..];
        }
    }

    /// So many random bytes.
    pub fn bytes(len: usize) error{OutOfMemory}![]u8 {
        const buffer = try arena.allocator.alloc(u8, len);
        fill(buffer);
        return buffer;
    }
};

/// For `root.zig` alone: what a component is made of.
pub const internal = struct {
    pub const memory = arena;
    pub const wire = @import("wire.zig");
    pub const call = @import("call.zig");
    pub const reset = failures.reset;
    pub const failure = failures.of;
};
