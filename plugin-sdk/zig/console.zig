//! `std.log` and `std.debug.print` write to the engine's log.

const std = @import("std");
const wasmill = @import("wasmill");

/// `std.options.logFn`: the scope becomes a field.
pub fn log(
    comptime level: std.log.Level,
    comptime scope: @EnumLiteral(),
    comptime format: []const u8,
    args: anytype,
) void {
    const message = std.fmt.allocPrint(wasmill.allocator, format, args) catch return;
    const as: wasmill.log.Level = switch (level) {
        .err => .@"error",
        .warn => .warn,
        .info => .info,
        .debug => .debug,
    };
    if (scope == .default) {
        wasmill.log.write(as, message, .{});
    } else {
        wasmill.log.write(as, message, .{ .scope = @tagName(scope) });
    }
}

/// An `Io` that has nothing but a standard error, each line of which becomes one of the log's.
pub const io: std.Io = .{ .userdata = null, .vtable = &vtable };

const vtable: std.Io.VTable = blk: {
    var table = std.Io.failing.vtable.*;
    table.swapCancelProtection = swapCancelProtection;
    table.lockStderr = lockStderr;
    table.unlockStderr = unlockStderr;
    break :blk table;
};

/// What was printed and has no end of line yet.
var line: std.ArrayList(u8) = .empty;

var writer: std.Io.File.Writer = .{
    .io = io,
    .file = undefined,
    .mode = .streaming,
    .interface = .{ .vtable = &.{ .drain = drain }, .buffer = &.{} },
};

fn swapCancelProtection(_: ?*anyopaque, _: std.Io.CancelProtection) std.Io.CancelProtection {
    return .unblocked;
}

fn lockStderr(_: ?*anyopaque, _: ?std.Io.Terminal.Mode) std.Io.Cancelable!std.Io.LockedStderr {
    line = .empty;
    return .{ .file_writer = &writer, .terminal_mode = .no_color };
}

fn unlockStderr(_: ?*anyopaque) void {
    writer.interface.flush() catch {};
    writer.interface.buffer = &.{};
    var lines = std.mem.splitScalar(u8, std.mem.trimEnd(u8, line.items, "\n"), '\n');
    while (lines.next()) |it| wasmill.log.info(it, .{});
}

fn drain(to: *std.Io.Writer, data: []const []const u8, splat: usize) std.Io.Writer.Error!usize {
    keep(to.buffered());
    to.end = 0;
    var taken: usize = 0;
    for (data, 1..) |piece, i| {
        for (0..if (i == data.len) splat else 1) |_| {
            keep(piece);
            taken += piece.len;
        }
    }
    return taken;
}

fn keep(bytes: []const u8) void {
    line.appendSlice(wasmill.allocator, bytes) catch {};
}
