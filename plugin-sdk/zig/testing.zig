//! The engine in native unit tests.
//!
//! ```
//! test "a large payment raises an alert" {
//!     wasmill.testing.start(.{ .config = "{\"limit\": 100}" });
//!     const answer = wasmill.testing.deliver(handle, .{ .data = "{\"amount\": 101}" });
//!     try std.testing.expectEqualStrings("alerts", answer.outputs[0].subject);
//! }
//! ```
//!
//! Everything that an answer holds lasts until the next `start`.

const std = @import("std");
const arena = @import("arena.zig");
const call = @import("call.zig");
const event = @import("event.zig");
const failure = @import("failure.zig");
const host = @import("host.zig");

/// What the host functions answer.
pub const Settings = struct {
    /// The `[config]` table, as JSON.
    config: []const u8 = "{}",
    /// The plugin clock, nanoseconds since the Unix epoch: 2026-01-01T00:00:00Z.
    now: u64 = 1_767_225_600_000_000_000,
    /// Where the random numbers begin.
    seed: u64 = 1,
};

/// One line that was logged.
pub const Line = struct {
    level: host.Level,
    message: []const u8,
    fields: []const host.Pair,

    /// The value of a field.
    pub fn field(line: Line, name: []const u8) ?[]const u8 {
        for (line.fields) |pair| {
            if (std.mem.eql(u8, pair.name.slice(), name)) return pair.value.slice();
        }
        return null;
    }
};

/// What a handler made of an event.
pub const Answer = call.Answer;

var settings: Settings = .{};
var random: std.Random.SplitMix64 = .init(1);
var logged: std.ArrayList(Line) = .empty;

/// Starts the engine anew: no lines, and these answers.
pub fn start(with: Settings) void {
    arena.reset();
    failure.reset();
    settings = with;
    random = .init(with.seed);
    logged = .empty;
}

/// Hands an event to a handler, as the engine does.
pub fn deliver(comptime handler: anytype, message: event.Event) Answer {
    return call.run(handler, &message);
}

/// The lines logged since the engine started anew.
pub fn lines() []const Line {
    return logged.items;
}

pub fn log(level: host.Level, message: []const u8, fields: []const host.Pair) void {
    const kept = arena.allocator.alloc(host.Pair, fields.len) catch unreachable;
    for (kept, fields) |*pair, field| pair.* = .of(copy(field.name.slice()), copy(field.value.slice()));
    logged.append(arena.allocator, .{ .level = level, .message = copy(message), .fields = kept }) catch unreachable;
}

pub fn now() u64 {
    return settings.now;
}

pub fn configGet(key: []const u8) ?[]const u8 {
    const table = std.json.parseFromSliceLeaky(std.json.Value, arena.allocator, settings.config, .{}) catch
        @panic("the config of a test is no JSON");
    const value = table.object.get(key) orelse return null;
    if (value == .string) return value.string;
    return std.json.Stringify.valueAlloc(arena.allocator, value, .{}) catch unreachable;
}

pub fn configJson() []const u8 {
    return settings.config;
}

pub fn randomNext() u64 {
    return random.next();
}

pub fn randomBytes(into: []u8) void {
    for (into) |*byte| byte.* = @truncate(random.next());
}

fn copy(bytes: []const u8) []const u8 {
    return arena.allocator.dupe(u8, bytes) catch unreachable;
}
