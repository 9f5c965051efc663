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

fn handle(message: *const internal.wire.Event) callconv(.c) *const internal.wire.Answer {
    const event = message.read();
    answer = .write(internal.call.run(plugin.handle, &event));
    return &answer;
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
    const description = "wasmill:plugin/description@0.1.0#describe";
    @export(&handle, .{ .name = handler });
    @export(&done, .{ .name = "cabi_post_" ++ handler });
    @export(&realloc, .{ .name = "cabi_realloc" });
    if (@hasDecl(plugin, "about")) {
        @export(&describe, .{ .name = description });
        @export(&done, .{ .name = "cabi_post_" ++ description });
    }
}
