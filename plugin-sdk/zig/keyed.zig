//! For plugins with a key: its state, its timers, tables to look things up in.
//!
//! What a call changes takes effect together with its outputs, or not at all. Errors of these functions can be returned
//! from a handler as they are: they are a retry where the manifest is to be corrected, a table is not loaded or a field is
//! to be migrated, and else a reject.

const std = @import("std");
const arena = @import("arena.zig");
const failures = @import("failure.zig");
const host = @import("host.zig");
const json = @import("json.zig");
const text = @import("text.zig");

/// A timer that has come due: `pub fn onTimer(timer: *const wasmill.Timer) !void` in `src/plugin.zig` handles it, and may
/// return whatever `handle` may. Meanwhile `clock.now` is the time it was due.
pub const Timer = struct {
    /// The name under which it was set.
    name: []const u8,
    /// The key it was set for.
    key: []const u8,
    /// When it was due, nanoseconds since the Unix epoch.
    due_ns: u64,
    /// What was stored with it.
    data: []const u8 = "",
};

/// The fields of the key. No other key can be reached.
pub const state = struct {
    /// Why a field was refused; `limit` is how large the record of a key may be, in bytes.
    pub const Error = error{ NoKey, TooLarge, BadName };
    /// What typed fields answer beside: a field that holds something else, memory that ran out.
    pub const TypedError = Error || error{ Retry, Reject, OutOfMemory };

    /// One field, null if it is not set.
    pub fn get(name: []const u8) Error!?[]const u8 {
        try check(name);
        return host.stateGet(name) orelse return refusal(Error);
    }

    /// Sets one field.
    pub fn set(name: []const u8, value: []const u8) Error!void {
        try check(name);
        if (!host.stateSet(name, value)) return refusal(Error);
    }

    /// Removes one field; one that is not set is no error.
    pub fn delete(name: []const u8) Error!void {
        try check(name);
        if (!host.stateDelete(name)) return refusal(Error);
    }

    /// The names of the fields that begin with `prefix`, sorted.
    pub fn names(prefix: []const u8) Error![]const []const u8 {
        try check(prefix);
        return host.stateNames(prefix) orelse return refusal(Error);
    }

    /// A field that holds a `T` as JSON: `const last: wasmill.state.Value(Reading) = .{ .name = "last" };`
    pub fn Value(comptime T: type) type {
        return struct {
            name: []const u8,

            /// The value, null if it is not set.
            pub fn get(field: @This()) TypedError!?T {
                const held = try state.get(field.name) orelse return null;
                return switch (try json.decode(T, held, .ignore)) {
                    .value => |value| value,
                    .fault => |fault| failures.retry(
                        .{},
                        "state field `{s}`: {s}; it was written in another shape: migrate it, or delete it",
                        .{ field.name, fault },
                    ),
                };
            }

            /// Sets it.
            pub fn set(field: @This(), value: T) TypedError!void {
                try state.set(field.name, try std.json.Stringify.valueAlloc(arena.allocator, value, .{}));
            }

            /// Removes it.
            pub fn delete(field: @This()) Error!void {
                try state.delete(field.name);
            }
        };
    }

    /// A field that holds an integer, from zero.
    pub const Counter = struct {
        name: []const u8,

        /// Its number.
        pub fn get(counter: Counter) TypedError!i64 {
            const field: Value(i64) = .{ .name = counter.name };
            return try field.get() orelse 0;
        }

        /// Adds to it, and answers the sum. One that does not fit is a reject.
        pub fn add(counter: Counter, more: i64) TypedError!i64 {
            const sum = std.math.add(i64, try counter.get(), more) catch
                return failures.reject("counter `{s}`: adding {d} overflows", .{ counter.name, more });
            const field: Value(i64) = .{ .name = counter.name };
            try field.set(sum);
            return sum;
        }

        /// Removes the field: the counter is 0.
        pub fn delete(counter: Counter) Error!void {
            try state.delete(counter.name);
        }
    };

    /// A field that holds the last values, at most `bound`. It is read and written as a whole: for hundreds of values, not
    /// for thousands.
    pub fn List(comptime T: type) type {
        return struct {
            name: []const u8,
            bound: usize,

            /// The values, oldest first.
            pub fn get(list: @This()) TypedError![]const T {
                const field: Value([]const T) = .{ .name = list.name };
                return try field.get() orelse &.{};
            }

            /// Appends a value, and answers all, oldest first.
            pub fn push(list: @This(), value: T) TypedError![]const T {
                const all = try std.mem.concat(arena.allocator, T, &.{ try list.get(), &.{value} });
                const kept = all[all.len -| list.bound..];
                const field: Value([]const T) = .{ .name = list.name };
                try field.set(kept);
                return kept;
            }

            /// Removes the field: the list is empty.
            pub fn delete(list: @This()) Error!void {
                try state.delete(list.name);
            }
        };
    }

    /// Entries by key, each in a field of its own: for what grows. Name and key together have at most 255 bytes.
    pub fn Map(comptime T: type) type {
        return struct {
            name: []const u8,

            /// The field of one entry.
            pub fn entry(map: @This(), key: []const u8) error{OutOfMemory}!Value(T) {
                return .{ .name = try member(map.name, key) };
            }

            /// The keys, sorted.
            pub fn keys(map: @This()) TypedError![]const []const u8 {
                return members(map.name);
            }
        };
    }

    /// Texts, each once and in a field of its own. Name and member together have at most 255 bytes.
    pub const Set = struct {
        name: []const u8,

        /// Adds a member, and answers whether it is new.
        pub fn add(it: Set, text_: []const u8) TypedError!bool {
            if (try it.has(text_)) return false;
            try state.set(try member(it.name, text_), "true");
            return true;
        }

        /// Whether it has this member.
        pub fn has(it: Set, text_: []const u8) TypedError!bool {
            return try state.get(try member(it.name, text_)) != null;
        }

        /// Removes a member; one that is not there is no error.
        pub fn remove(it: Set, text_: []const u8) TypedError!void {
            try state.delete(try member(it.name, text_));
        }

        /// The members, sorted.
        pub fn all(it: Set) TypedError![]const []const u8 {
            return members(it.name);
        }
    };

    fn member(name: []const u8, key: []const u8) error{OutOfMemory}![]const u8 {
        return std.mem.concat(arena.allocator, u8, &.{ name, "/", key });
    }

    fn members(name: []const u8) TypedError![]const []const u8 {
        const found = try state.names(try member(name, ""));
        const keys = try arena.allocator.alloc([]const u8, found.len);
        for (keys, found) |*key, field| key.* = field[name.len + 1 ..];
        return keys;
    }
};

/// Timers of the key. A plugin that sets them declares `onTimer`.
pub const timers = struct {
    /// Why a timer was refused; `limit` is how many a key may have.
    pub const Error = error{ NoKey, TooMany, BadName };

    /// Sets a timer, in place of one of the same name. It fires once, when the plugin clock reaches `due_ns`, or as soon
    /// after as an engine runs.
    pub fn set(name: []const u8, due_ns: u64, data: []const u8) Error!void {
        try check(name);
        if (!host.timerSet(name, due_ns, data)) return refusal(Error);
    }

    /// The same, so many milliseconds from now.
    pub fn after(name: []const u8, ms: u64, data: []const u8) Error!void {
        try set(name, host.now() +| ms *| std.time.ns_per_ms, data);
    }

    /// Removes a timer; one that is not set is no error.
    pub fn cancel(name: []const u8) Error!void {
        try check(name);
        if (!host.timerCancel(name)) return refusal(Error);
    }
};

/// Reference data that the manifest grants by name.
pub const lookup = struct {
    /// Why a table cannot be read.
    pub const Error = error{ NotGranted, NotReady };

    /// One row of a table, null if it has none of this key.
    pub fn get(table: []const u8, key: []const u8) Error!?[]const u8 {
        return host.lookupGet(text.lossy(table), text.lossy(key)) orelse return refusal(Error);
    }
};

/// The limit that the last `TooLarge` (in bytes) or `TooMany` was about.
pub fn limit() u64 {
    return host.refused.limit;
}

/// The engine takes no other strings, and ends the instance for one.
fn check(name: []const u8) error{BadName}!void {
    if (std.unicode.utf8ValidateSlice(name)) return;
    host.refused = .{ .why = .bad_name };
    return refusal(error{BadName});
}

/// The error for why the engine refused, with what becomes of the event if it is returned.
fn refusal(comptime E: type) E {
    const it = host.refused;
    const err: anyerror = switch (it.why) {
        .no_key => error.NoKey,
        .too_large => error.TooLarge,
        .too_many => error.TooMany,
        .bad_name => error.BadName,
        .not_granted => error.NotGranted,
        .not_ready => error.NotReady,
    };
    const told = reason(it.why, it.limit);
    failures.note(err, if (waits(it.why)) .{ .retry = .{ .reason = told } } else .{ .reject = told });
    return @errorCast(err);
}

/// Whether the event is sound, and can be handled later.
fn waits(why: host.Why) bool {
    return why == .no_key or why == .not_granted or why == .not_ready;
}

fn reason(why: host.Why, most: u64) []const u8 {
    return switch (why) {
        .no_key => "the plugin has no key, so no state and no timers; set `key` in the plugin's manifest",
        .too_large => text.print("the key's record would pass its limit of {d} bytes", .{most}),
        .too_many => text.print("the key has {d} timers, as many as it may have", .{most}),
        .bad_name => "the name of a state field or timer is 1 to 256 bytes of UTF-8",
        .not_granted => "a lookup table is not granted; name it in [lookup] of the plugin's manifest",
        .not_ready => "a lookup table is not loaded yet",
    };
}
