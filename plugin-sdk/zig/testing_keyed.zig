//! State, timers and tables of the engine that native tests have.

const std = @import("std");
const arena = @import("arena.zig");
const host = @import("host.zig");
const keyed = @import("keyed.zig");

const name_max_bytes = 256;
/// What an engine counts for each beside its name and content.
const field_cost_bytes = 8;
const timer_cost_bytes = 32;

/// A field, or a row of a table.
pub const Field = struct { name: []const u8, value: []const u8 };

/// A lookup table. One without rows is not loaded yet.
pub const Table = struct { name: []const u8, rows: ?[]const Field };

/// What the key has. Its lists are never changed, only replaced: a copy of this stays as it was.
pub const Record = struct {
    fields: []const Field = &.{},
    /// In the order in which they will fire.
    timers: []const keyed.Timer = &.{},

    fn bytes(it: Record) usize {
        var sum = it.fields.len * field_cost_bytes + it.timers.len * timer_cost_bytes;
        for (it.fields) |field| sum += field.name.len + field.value.len;
        for (it.timers) |timer| sum += timer.name.len + timer.data.len;
        return sum;
    }
};

var key: ?[]const u8 = null;
var bytes_max: usize = 0;
var timers_max: usize = 0;
var tables: []const Table = &.{};
pub var record: Record = .{};

pub fn start(its_key: ?[]const u8, record_bytes: usize, max_timers: usize, granted: []const Table) void {
    key = its_key;
    bytes_max = record_bytes;
    timers_max = max_timers;
    tables = granted;
    record = .{};
}

fn refuse(why: host.Why, limit: u64) bool {
    host.refused = .{ .why = why, .limit = limit };
    return false;
}

fn allowed(name: []const u8) bool {
    if (key == null) return refuse(.no_key, 0);
    return (name.len > 0 and name.len <= name_max_bytes) or refuse(.bad_name, 0);
}

fn changeTo(changed: Record) bool {
    if (changed.bytes() > bytes_max) return refuse(.too_large, bytes_max);
    record = changed;
    return true;
}

fn without(comptime T: type, items: []const T, name: []const u8) std.ArrayList(T) {
    var kept: std.ArrayList(T) = .empty;
    for (items) |item| {
        if (!std.mem.eql(u8, item.name, name)) kept.append(arena.allocator, item) catch unreachable;
    }
    return kept;
}

fn copy(bytes: []const u8) []const u8 {
    return arena.allocator.dupe(u8, bytes) catch unreachable;
}

pub fn stateGet(name: []const u8) ??[]const u8 {
    if (!allowed(name)) return null;
    for (record.fields) |field| {
        if (std.mem.eql(u8, field.name, name)) return @as(?[]const u8, field.value);
    }
    return @as(?[]const u8, null);
}

pub fn stateSet(name: []const u8, value: []const u8) bool {
    if (!allowed(name)) return false;
    var fields = without(Field, record.fields, name);
    var at: usize = 0;
    while (at < fields.items.len and std.mem.lessThan(u8, fields.items[at].name, name)) at += 1;
    fields.insert(arena.allocator, at, .{ .name = copy(name), .value = copy(value) }) catch unreachable;
    return changeTo(.{ .fields = fields.items, .timers = record.timers });
}

pub fn stateDelete(name: []const u8) bool {
    if (!allowed(name)) return false;
    return changeTo(.{ .fields = without(Field, record.fields, name).items, .timers = record.timers });
}

pub fn stateNames(prefix: []const u8) ?[]const []const u8 {
    if (key == null) {
        _ = refuse(.no_key, 0);
        return null;
    }
    var names: std.ArrayList([]const u8) = .empty;
    for (record.fields) |field| {
        if (std.mem.startsWith(u8, field.name, prefix)) names.append(arena.allocator, field.name) catch unreachable;
    }
    return names.items;
}

pub fn timerSet(name: []const u8, due: u64, data: []const u8) bool {
    if (!allowed(name)) return false;
    var timers = without(keyed.Timer, record.timers, name);
    if (timers.items.len >= timers_max) return refuse(.too_many, timers_max);
    var at: usize = 0;
    // Of two that are due together the one that was set first comes first.
    while (at < timers.items.len and timers.items[at].due_ns <= due) at += 1;
    const timer: keyed.Timer = .{ .name = copy(name), .key = key.?, .due_ns = due, .data = copy(data) };
    timers.insert(arena.allocator, at, timer) catch unreachable;
    return changeTo(.{ .fields = record.fields, .timers = timers.items });
}

pub fn timerCancel(name: []const u8) bool {
    if (!allowed(name)) return false;
    return changeTo(.{ .fields = record.fields, .timers = without(keyed.Timer, record.timers, name).items });
}

pub fn lookupGet(table: []const u8, row_key: []const u8) ??[]const u8 {
    for (tables) |it| {
        if (!std.mem.eql(u8, it.name, table)) continue;
        const rows = it.rows orelse {
            _ = refuse(.not_ready, 0);
            return null;
        };
        for (rows) |row| if (std.mem.eql(u8, row.name, row_key)) return @as(?[]const u8, row.value);
        return @as(?[]const u8, null);
    }
    _ = refuse(.not_granted, 0);
    return null;
}
