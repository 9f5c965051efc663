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
const keyed = @import("testing_keyed.zig");
const Timer = @import("keyed.zig").Timer;

/// What the host functions answer.
pub const Settings = struct {
    /// The `[config]` table, as JSON.
    config: []const u8 = "{}",
    /// The plugin clock, nanoseconds since the Unix epoch: 2026-01-01T00:00:00Z.
    now: u64 = 1_767_225_600_000_000_000,
    /// Where the random numbers begin.
    seed: u64 = 1,
    /// The key, if the plugin has one.
    key: ?[]const u8 = null,
    /// How large the key's record may be, in bytes.
    record_bytes: usize = 256 * 1024,
    /// How many timers the key may have.
    max_timers: usize = 1000,
    /// The lookup tables that are granted.
    tables: []const keyed.Table = &.{},
};

/// A lookup table, and a row of it or a field of the state.
pub const Table = keyed.Table;
pub const Field = keyed.Field;

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
    keyed.start(with.key, with.record_bytes, with.max_timers, with.tables);
}

/// Hands an event to a handler, as the engine does: a call that fails changes no state and sets no timer.
pub fn deliver(comptime handler: anytype, message: event.Event) Answer {
    var with_key = message;
    if (with_key.key == null) with_key.key = settings.key;
    return step(handler, &with_key);
}

fn step(comptime handler: anytype, message: anytype) Answer {
    const before = keyed.record;
    const answer = call.run(handler, message);
    if (answer == .failure) keyed.record = before;
    return answer;
}

/// Hands the first timer that is due by then to a handler, with the plugin clock at its time. Null if there is none: the
/// clock is then `until_ns`.
pub fn fire(comptime handler: anytype, until_ns: u64) ?Answer {
    const set = keyed.record.timers;
    if (set.len == 0 or set[0].due_ns > until_ns) {
        settings.now = until_ns;
        return null;
    }
    settings.now = set[0].due_ns;
    keyed.record.timers = set[1..];
    return step(handler, &set[0]);
}

/// The fields of the key, sorted by name.
pub fn fields() []const Field {
    return keyed.record.fields;
}

/// The timers that are set, in the order in which they will fire.
pub fn timers() []const Timer {
    return keyed.record.timers;
}

/// The lines logged since the engine started anew.
pub fn lines() []const Line {
    return logged.items;
}

pub fn log(level: host.Level, message: []const u8, pairs: []const host.Pair) void {
    const kept = arena.allocator.alloc(host.Pair, pairs.len) catch unreachable;
    for (kept, pairs) |*pair, field| pair.* = .of(copy(field.name.slice()), copy(field.value.slice()));
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
