//! One call of a handler, whatever it returns.

const std = @import("std");
const arena = @import("arena.zig");
const event = @import("event.zig");
const failure = @import("failure.zig");
const text = @import("text.zig");

const Output = event.Output;

/// What a handler made of an event.
pub const Answer = union(enum) {
    outputs: []const Output,
    failure: failure.Failure,
};

/// Calls a handler with what it handles: `fn (*const Event) R` or `fn (*const Timer) R`, where `R` is `void`, `Output`, `?Output`, `[]const Output`, or an error
/// union of one of these.
pub fn run(comptime handler: anytype, message: anytype) Answer {
    const Result = @typeInfo(@TypeOf(handler)).@"fn".return_type.?;
    const value = if (@typeInfo(Result) == .error_union)
        handler(message) catch |err| return .{ .failure = failure.of(err) }
    else
        handler(message);
    const all = outputs(value);
    for (all, 0..) |output, i| {
        if (flaw(output)) |what| return .{ .failure = .{ .exception = .{
            .message = text.print("output {d}: {s} is no UTF-8", .{ i, what }),
            .trace = "",
        } } };
    }
    return .{ .outputs = all };
}

fn outputs(value: anytype) []const Output {
    const T = @TypeOf(value);
    if (T == void) return &.{};
    if (T == Output) return one(value);
    if (T == ?Output) return if (value) |output| one(output) else &.{};
    if (T == []const Output or T == []Output) return value;
    @compileError("a handler returns nothing, Output, ?Output or []const Output, not " ++ @typeName(T));
}

fn one(output: Output) []const Output {
    const list = arena.allocator.create(Output) catch @panic("out of memory");
    list.* = output;
    return list[0..1];
}

/// What the engine would not take as a string: it would end the instance for it, without a word about where.
fn flaw(output: Output) ?[]const u8 {
    const valid = std.unicode.utf8ValidateSlice;
    if (!valid(output.subject)) return "the subject";
    if (output.type) |kind| if (!valid(kind)) return "the type";
    for (output.headers) |header| {
        if (!valid(header.name)) return "a header's name";
        if (!valid(header.value)) return text.print("the header `{s}`", .{header.name});
    }
    return null;
}
