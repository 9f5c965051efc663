//! The root of a component: what the engine calls, and where Zig's own ways to say something end.
//!
//! The author's file is the module `plugin`; nothing in it has to know of the engine's calls.

const std = @import("std");
const plugin = @import("plugin");
const wasmill = @import("wasmill");
const console = @import("console.zig");

const internal = wasmill.internal;

pub const panic = std.debug.FullPanic(ended);
pub const std_options: std.Options = .{ .logFn = console.log, .log_level = .debug };
pub const std_options_debug_io = console.io;

var answer: internal.wire.Answer = undefined;
var account: internal.wire.About = undefined;
var migrated: internal.wire.Migrated = undefined;

fn handle(message: *const internal.wire.Event) callconv(.c) *const internal.wire.Answer {
    const event = message.read();
    answer = .write(internal.call.run(plugin.handle, &event));
    return &answer;
}

fn onTimer(name: [*]const u8, name_len: usize, key: [*]const u8, key_len: usize, due: u64, data: [*]const u8, data_len: usize) callconv(.c) *const internal.wire.Answer {
    const timer: wasmill.Timer = .{
        .name = name[0..name_len],
        .key = key[0..key_len],
        .due_ns = due,
        .data = data[0..data_len],
    };
    answer = .write(internal.call.run(plugin.onTimer, &timer));
    return &answer;
}

fn migrate(from: [*]const u8, from_len: usize, name: [*]const u8, name_len: usize, value: [*]const u8, value_len: usize) callconv(.c) *const internal.wire.Migrated {
    migrated = .write(plugin.migrate(from[0..from_len], name[0..name_len], value[0..value_len]));
    return &migrated;
}

fn describe() callconv(.c) *const internal.wire.About {
    account = .write(plugin.about);
    return &account;
}

/// The engine has read the answer.
fn done(_: usize) callconv(.c) void {
    internal.memory.reset();
    internal.reset();
}

fn realloc(old: usize, old_len: usize, alignment: usize, len: usize) callconv(.c) usize {
    return internal.memory.realloc(old, old_len, alignment, len);
}

/// A panic tells the log why before it ends the instance; the engine knows where.
fn ended(message: []const u8, _: ?usize) noreturn {
    wasmill.log.@"error"("panic", .{ .message = message });
    @trap();
}

comptime {
    const handler = "wasmill:plugin/handler@0.1.0#handle";
    const timers = "wasmill:plugin/timers@0.1.0#on-timer";
    const migration = "wasmill:plugin/migrate@0.1.0#migrate-field";
    const description = "wasmill:plugin/description@0.1.0#describe";
    @export(&handle, .{ .name = handler });
    @export(&done, .{ .name = "cabi_post_" ++ handler });
    @export(&realloc, .{ .name = "cabi_realloc" });
    if (@hasDecl(plugin, "onTimer")) {
        @export(&onTimer, .{ .name = timers });
        @export(&done, .{ .name = "cabi_post_" ++ timers });
    }
    if (@hasDecl(plugin, "migrate")) {
        @export(&migrate, .{ .name = migration });
        @export(&done, .{ .name = "cabi_post_" ++ migration });
    }
    if (@hasDecl(plugin, "about")) {
        @export(&describe, .{ .name = description });
        @export(&done, .{ .name = "cabi_post_" ++ description });
    }
}
