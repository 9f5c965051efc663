//! What needs a key: scripts of commands on state, timers and tables; `../README.md` says what each does.

const std = @import("std");
const wasmill = @import("wasmill");

const Output = wasmill.Output;

const Command = enum { get, set, delete, names, at, after, cancel, lookup, fail, count, push, put, add };

const Refused = wasmill.state.Error || wasmill.timers.Error || wasmill.lookup.Error;

/// The words of one line.
const Words = struct {
    rest: []const u8,

    fn next(words: *Words) []const u8 {
        const end = std.mem.findScalar(u8, words.rest, ' ') orelse words.rest.len;
        defer words.rest = words.rest[@min(end + 1, words.rest.len)..];
        return words.rest[0..end];
    }
};

/// The answers to a script, one a line.
pub fn run(script: []const u8) ![]const u8 {
    if (script.len == 0) return "";
    var answers: std.ArrayList([]const u8) = .empty;
    var lines = std.mem.splitScalar(u8, script, '\n');
    while (lines.next()) |line| {
        const answer = command(line) catch |err| switch (err) {
            error.NoKey, error.BadName, error.TooLarge, error.TooMany, error.NotGranted, error.NotReady => |it| try refused(it),
            else => return err,
        };
        try answers.append(wasmill.allocator, answer);
    }
    return std.mem.join(wasmill.allocator, "\n", answers.items);
}

fn refused(err: Refused) ![]const u8 {
    return switch (err) {
        error.NoKey => "error no-key",
        error.BadName => "error bad-name",
        error.TooLarge => print("error too-large {d}", .{wasmill.limit()}),
        error.TooMany => print("error too-many {d}", .{wasmill.limit()}),
        error.NotGranted => "error not-granted",
        error.NotReady => "error not-ready",
    };
}

fn command(line: []const u8) ![]const u8 {
    var words: Words = .{ .rest = line };
    const first = words.next();
    const what = std.meta.stringToEnum(Command, first) orelse return wasmill.reject("unknown command {s}", .{first});
    switch (what) {
        .get => return found(try wasmill.state.get(words.rest)),
        .set => try wasmill.state.set(words.next(), words.rest),
        .delete => try wasmill.state.delete(words.rest),
        .names => return listed(try wasmill.state.names(words.rest)),
        .at => {
            const name = words.next();
            const due = try std.fmt.parseInt(u64, words.next(), 10);
            try wasmill.timers.set(name, due, words.rest);
        },
        .after => {
            const name = words.next();
            const ms = try std.fmt.parseInt(u64, words.next(), 10);
            try wasmill.timers.after(name, ms, words.rest);
        },
        .cancel => try wasmill.timers.cancel(words.rest),
        .lookup => return found(try wasmill.lookup.get(words.next(), words.rest)),
        .fail => return wasmill.reject("never: ü", .{}),
        .count => {
            const counter: wasmill.state.Counter = .{ .name = words.next() };
            return print("value {d}", .{try counter.add(try std.fmt.parseInt(i64, words.rest, 10))});
        },
        .push => {
            const name = words.next();
            const bound = try std.fmt.parseInt(usize, words.next(), 10);
            const list: wasmill.state.List([]const u8) = .{ .name = name, .bound = bound };
            return print("value {d}", .{(try list.push(words.rest)).len});
        },
        .put => {
            const map: wasmill.state.Map([]const u8) = .{ .name = words.next() };
            const entry = try map.entry(words.next());
            try entry.set(words.rest);
        },
        .add => {
            const set: wasmill.state.Set = .{ .name = words.next() };
            return if (try set.add(words.rest)) "value new" else "value known";
        },
    }
    return "ok";
}

fn found(value: ?[]const u8) ![]const u8 {
    return print("value {s}", .{value orelse return "none"});
}

fn listed(names: []const []const u8) ![]const u8 {
    var answer: std.ArrayList(u8) = .empty;
    try answer.appendSlice(wasmill.allocator, "names");
    for (names) |name| {
        try answer.append(wasmill.allocator, ' ');
        try answer.appendSlice(wasmill.allocator, name);
    }
    return answer.items;
}

fn print(comptime format: []const u8, args: anytype) ![]const u8 {
    return std.fmt.allocPrint(wasmill.allocator, format, args);
}

/// What the field `raw` was, which now is this.
pub fn swap(subject: []const u8, data: []const u8) !Output {
    const before = try wasmill.state.get("raw");
    try wasmill.state.set("raw", data);
    const output: Output = .{ .subject = subject, .data = before orelse "" };
    return output.withHeader("x-before", if (before == null) "no" else "yes");
}

pub fn onTimer(timer: *const wasmill.Timer) !Output {
    var output: Output = .{ .subject = "conformance.out.timer", .data = try run(timer.data) };
    output = try output.withHeader("x-name", timer.name);
    output = try output.withHeader("x-key", timer.key);
    output = try output.withHeader("x-due", try print("{d}", .{timer.due_ns}));
    return output.withHeader("x-now", try print("{d}", .{wasmill.clock.now()}));
}

pub fn migrate(from: []const u8, name: []const u8, value: []const u8) !?[]const u8 {
    if (std.mem.eql(u8, name, "drop")) return null;
    if (std.mem.eql(u8, name, "bad")) return wasmill.reject("bad of {s}", .{from});
    return try std.mem.concat(wasmill.allocator, u8, &.{ from, ":", value });
}
