//! The conformance plugin in Zig; `../README.md` says what it does.

const std = @import("std");
const keyed = @import("keyed.zig");
const wasmill = @import("wasmill");

const Event = wasmill.Event;
const Header = wasmill.Header;
const Output = wasmill.Output;

const out = "conformance.out";

pub const about: wasmill.About = .{
    .name = "conformance",
    .version = "1.2.3",
    .summary = "Does what every language must",
    .subjects = &.{"conformance.in.>"},
    .emits = &.{"conformance.out.>"},
};

const Token = enum {
    echo,
    plain,
    transform,
    many,
    none,
    retry,
    @"retry-default",
    reject,
    raise,
    trap,
    loop,
    hog,
    deep,
    config,
    log,
    print,
    clock,
    random,
    count,
    script,
    swap,
};

pub const onTimer = keyed.onTimer;
pub const migrate = keyed.migrate;

pub fn handle(event: *const Event) ![]const Output {
    const name = event.subject[if (std.mem.findScalarLast(u8, event.subject, '.')) |dot| dot + 1 else 0..];
    const token = std.meta.stringToEnum(Token, name) orelse return wasmill.reject("unknown token {s}", .{name});
    switch (token) {
        .echo => return one(try echo(event)),
        .plain => return one(.{ .subject = out, .data = "plain" }),
        .transform => return one(try transform(event)),
        .many => return many(event),
        .none => return &.{},
        .retry => return wasmill.retry(.{ .after_ms = 1500 }, "not yet: ü", .{}),
        .@"retry-default" => return wasmill.retry(.{}, "whenever", .{}),
        .reject => return wasmill.reject("never: ü", .{}),
        .raise => try explode(),
        .trap => @trap(),
        .loop => spin(),
        .hog => try hog(),
        .deep => return one(try .print(out, "{d}", .{deep(event.attempt)})),
        .config => return one(try settings()),
        .log => log(),
        .print => std.debug.print("printed ü\n", .{}),
        .clock => return one(try .print(out, "{d}", .{wasmill.clock.now()})),
        .random => return one(try random()),
        .count => return one(try count()),
        .script => return one(.{ .subject = out, .data = try keyed.run(event.data) }),
        .swap => return one(try keyed.swap(out, event.data)),
    }
    return &.{};
}

fn one(output: Output) ![]const Output {
    return wasmill.allocator.dupe(Output, &.{output});
}

fn echo(event: *const Event) !Output {
    var headers: std.ArrayList(Header) = .empty;
    const add = struct {
        fn add(to: *std.ArrayList(Header), name: []const u8, value: []const u8) !void {
            try to.append(wasmill.allocator, .{ .name = name, .value = value });
        }
    }.add;
    try add(&headers, "x-id", event.id);
    try add(&headers, "x-source", event.source);
    try add(&headers, "x-type", event.type);
    try add(&headers, "x-subject", event.subject);
    try add(&headers, "x-time", try decimal(event.time_ns));
    if (event.key) |key| try add(&headers, "x-key", key);
    try add(&headers, "x-attempt", try decimal(event.attempt));
    if (event.reply_to) |reply_to| try add(&headers, "x-reply-to", reply_to);
    for (event.headers) |header| {
        const name = try std.mem.concat(wasmill.allocator, u8, &.{ "x-h-", header.name });
        try add(&headers, name, header.value);
    }
    return .{ .subject = out, .type = event.type, .headers = headers.items, .data = event.data };
}

fn decimal(number: u64) ![]const u8 {
    return std.fmt.allocPrint(wasmill.allocator, "{d}", .{number});
}

fn transform(event: *const Event) !Output {
    const order = try event.json(struct { id: []const u8, amount: f64, name: []const u8, tags: [][]const u8 });
    std.mem.reverse([]const u8, order.tags);
    return .json(out, .{
        .id = order.id,
        .doubled = order.amount * 2,
        .name = order.name,
        .tags = order.tags,
        .count = order.tags.len,
    });
}

fn many(event: *const Event) ![]const Output {
    const wanted = try event.json(struct { count: usize });
    const outputs = try wasmill.allocator.alloc(Output, wanted.count);
    for (outputs, 0..) |*output, i| {
        const subject = try std.fmt.allocPrint(wasmill.allocator, out ++ ".{d}", .{i});
        output.* = try .print(subject, "{d}", .{i});
    }
    return outputs;
}

noinline fn explode() !void {
    return wasmill.raise(@src(), error.Explosion, "boom", .{});
}

var turns: usize = 0;

fn spin() noreturn {
    while (true) @as(*volatile usize, &turns).* += 1;
}

fn hog() !void {
    while (true) @memset(try std.heap.page_allocator.alloc(u8, 1024 * 1024), 1);
}

noinline fn deep(depth: u64) u64 {
    const below = deep(depth + 1);
    return below ^ @as(*volatile usize, &turns).*;
}

fn settings() !Output {
    const output: Output = .{ .subject = out, .data = wasmill.config.all() };
    const limited = try output.withHeader("x-limit", wasmill.config.get("limit") orelse "none");
    return limited.withHeader("x-missing", wasmill.config.get("missing") orelse "none");
}

fn log() void {
    inline for (@typeInfo(wasmill.log.Level).@"enum".field_names, 1..) |level, n| {
        wasmill.log.write(@field(wasmill.log.Level, level), "line ü", .{ .n = n, .lang = "zig" });
    }
}

fn random() !Output {
    const first = wasmill.random.next();
    const second = wasmill.random.next();
    const bytes = try wasmill.random.bytes(8);
    return .print(out, "{x:0>16} {x:0>16} {x}", .{ first, second, bytes });
}

var counted: u64 = 0;

fn count() !Output {
    counted += 1;
    return .print(out, "{d}", .{counted});
}
