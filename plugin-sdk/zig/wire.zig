//! The contract's values as they lie in memory: the component model's canonical ABI, written out by hand.

const std = @import("std");
const arena = @import("arena.zig");
const call = @import("call.zig");
const event = @import("event.zig");
const failure = @import("failure.zig");
const host = @import("host.zig");

const Bytes = host.Bytes;
const List = host.List;
const Option = host.Option;
const Pair = host.Pair;

/// `record event`, written by the engine.
pub const Event = extern struct {
    id: Bytes,
    source: Bytes,
    type: Bytes,
    subject: Bytes,
    time: u64,
    key: Option,
    headers: List(Pair),
    data: Bytes,
    attempt: u32,
    reply_to: Option,

    /// The event as a handler sees it.
    pub fn read(wire: *const Event) event.Event {
        const headers = arena.allocator.alloc(event.Header, wire.headers.len) catch @panic("out of memory");
        for (headers, 0..) |*header, i| {
            const pair = wire.headers.ptr[i];
            header.* = .{ .name = pair.name.slice(), .value = pair.value.slice() };
        }
        return .{
            .id = wire.id.slice(),
            .source = wire.source.slice(),
            .type = wire.type.slice(),
            .subject = wire.subject.slice(),
            .time_ns = wire.time,
            .key = wire.key.slice(),
            .headers = headers,
            .data = wire.data.slice(),
            .attempt = wire.attempt,
            .reply_to = wire.reply_to.slice(),
        };
    }
};

/// `record output`.
const Output = extern struct {
    subject: Bytes,
    type: Option,
    headers: List(Pair),
    data: Bytes,
};

/// `record retry`.
const Retry = extern struct {
    has_after: u8,
    after_ms: u64,
    reason: Bytes,
};

/// `variant failure`: its three cases share their place.
const Failure = extern struct {
    case: enum(u8) { retry, reject, exception },
    of: extern union {
        retry: Retry,
        reject: Bytes,
        exception: extern struct { message: Bytes, trace: Bytes },
    },
};

/// `result<list<output>, failure>`.
pub const Answer = extern struct {
    case: enum(u8) { ok, err },
    of: extern union { ok: List(Output), err: Failure },

    pub fn write(answer: call.Answer) Answer {
        return switch (answer) {
            .outputs => |outputs| .{ .case = .ok, .of = .{ .ok = list(Output, outputs, writeOutput) } },
            .failure => |it| .{ .case = .err, .of = .{ .err = writeFailure(it) } },
        };
    }
};

/// `result<option<list<u8>>, string>`.
pub const Migrated = extern struct {
    case: enum(u8) { ok, err },
    of: extern union { ok: Option, err: Bytes },

    pub fn write(value: anyerror!?[]const u8) Migrated {
        const bytes = value catch |err| return .{ .case = .err, .of = .{ .err = .of(switch (failure.of(err)) {
            .retry => |retry| retry.reason,
            .reject => |reason| reason,
            .exception => |exception| exception.message,
        }) } };
        return .{ .case = .ok, .of = .{ .ok = .of(bytes) } };
    }
};

/// `record about`.
pub const About = extern struct {
    name: Bytes,
    version: Bytes,
    summary: Bytes,
    subjects: List(Bytes),
    emits: List(Bytes),

    pub fn write(about: event.About) About {
        return .{
            .name = .of(about.name),
            .version = .of(about.version),
            .summary = .of(about.summary),
            .subjects = list(Bytes, about.subjects, Bytes.of),
            .emits = list(Bytes, about.emits, Bytes.of),
        };
    }
};

fn list(comptime T: type, items: anytype, comptime write: anytype) List(T) {
    const written = arena.allocator.alloc(T, items.len) catch @panic("out of memory");
    for (written, items) |*to, from| to.* = write(from);
    return .of(written);
}

fn writeOutput(output: event.Output) Output {
    return .{
        .subject = .of(output.subject),
        .type = .of(output.type),
        .headers = list(Pair, output.headers, writeHeader),
        .data = .of(output.data),
    };
}

fn writeHeader(header: event.Header) Pair {
    return .of(header.name, header.value);
}

fn writeFailure(it: failure.Failure) Failure {
    return switch (it) {
        .retry => |retry| .{ .case = .retry, .of = .{ .retry = .{
            .has_after = @intFromBool(retry.after_ms != null),
            .after_ms = retry.after_ms orelse 0,
            .reason = .of(retry.reason),
        } } },
        .reject => |reason| .{ .case = .reject, .of = .{ .reject = .of(reason) } },
        .exception => |exception| .{ .case = .exception, .of = .{ .exception = .{
            .message = .of(exception.message),
            .trace = .of(exception.trace),
        } } },
    };
}

comptime {
    // What the canonical ABI says, where addresses have 32 bits.
    if (@sizeOf(usize) == 4) {
        std.debug.assert(@sizeOf(Event) == 88 and @offsetOf(Event, "reply_to") == 72);
        std.debug.assert(@sizeOf(Output) == 36 and @offsetOf(Output, "data") == 28);
        std.debug.assert(@sizeOf(Answer) == 40 and @offsetOf(Answer, "of") == 8);
        std.debug.assert(@sizeOf(Failure) == 32 and @offsetOf(Retry, "reason") == 16);
        std.debug.assert(@sizeOf(About) == 40 and @sizeOf(Migrated) == 16);
    }
}
