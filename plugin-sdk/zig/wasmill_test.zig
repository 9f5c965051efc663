const std = @import("std");
const wasmill = @import("wasmill.zig");

const expectEqual = std.testing.expectEqual;
const expectEqualStrings = std.testing.expectEqualStrings;
const deliver = wasmill.testing.deliver;
const start = wasmill.testing.start;

fn nothing(_: *const wasmill.Event) void {}

fn perhaps(event: *const wasmill.Event) !?wasmill.Output {
    const payment = try event.json(struct { amount: f64 });
    if (payment.amount < 10) return null;
    const output = try wasmill.Output.json("out", .{ .over_by = payment.amount - 10, .name = "ü\"" });
    return try output.withType("t").withHeader("x", "y");
}

fn many(event: *const wasmill.Event) ![]const wasmill.Output {
    var list: std.ArrayList(wasmill.Output) = .empty;
    for (0..event.attempt) |i| try list.append(wasmill.allocator, try .print("out", "{d}", .{i}));
    return list.items;
}

test "a handler returns nothing, one output or many" {
    start(.{});
    try expectEqual(0, deliver(nothing, .{}).outputs.len);
    try expectEqual(0, deliver(perhaps, .{ .data = "{\"amount\": 9}" }).outputs.len);
    const output = deliver(perhaps, .{ .data = "{\"amount\": 10.5}" }).outputs[0];
    try expectEqualStrings("{\"over_by\":0.5,\"name\":\"ü\\\"\"}", output.data);
    try expectEqualStrings("t", output.type.?);
    try expectEqualStrings("content-type", output.headers[0].name);
    try expectEqualStrings("y", output.headers[1].value);
    try expectEqualStrings("2", deliver(many, .{ .attempt = 3 }).outputs[2].data);
}

fn failing(event: *const wasmill.Event) !void {
    switch (event.attempt) {
        1 => return wasmill.reject("no {s}", .{"account \xFF"}),
        2 => return wasmill.retry(.{ .after_ms = 5 }, "later", .{}),
        3 => return wasmill.retry(.{}, "whenever", .{}),
        4 => return wasmill.raise(@src(), error.Unbalanced, "{d} cents", .{3}),
        else => return error.Plain,
    }
}

fn failed(attempt: u32) wasmill.Failure {
    return deliver(failing, .{ .attempt = attempt }).failure;
}

test "errors become failures" {
    start(.{});
    try expectEqualStrings("no account \u{FFFD}", failed(1).reject);
    try expectEqual(5, failed(2).retry.after_ms.?);
    try expectEqual(null, failed(3).retry.after_ms);
    try expectEqualStrings("error.Unbalanced: 3 cents", failed(4).exception.message);
    try expectEqual(0, std.mem.find(u8, failed(4).exception.trace, "failing (").?);
    try expectEqualStrings("error.Plain", failed(5).exception.message);
    try expectEqualStrings("", failed(5).exception.trace);
    try expectEqualStrings("payload: missing field `amount` at line 1 column 2", deliver(perhaps, .{ .data = "{}" }).failure.reject);
}

fn crooked(_: *const wasmill.Event) wasmill.Output {
    return .{ .subject = "a", .headers = &.{.{ .name = "x", .value = "\xFF" }} };
}

test "an output that the engine could not read names itself" {
    start(.{});
    try expectEqualStrings("output 0: the header `x` is no UTF-8", deliver(crooked, .{}).failure.exception.message);
}

test "the host answers as the test says" {
    start(.{ .config = "{\"limit\": 3, \"name\": \"x\"}", .now = 7 });
    try expectEqualStrings("3", wasmill.config.get("limit").?);
    try expectEqualStrings("x", wasmill.config.get("name").?);
    try expectEqual(null, wasmill.config.get("none"));
    try expectEqual(3, (try wasmill.config.load(struct { limit: u8, name: []const u8 })).limit);
    try std.testing.expectError(error.Retry, wasmill.config.load(struct { limit: u8 }));
    try expectEqual(7, wasmill.clock.now());
    const drawn = .{ wasmill.random.next(), try wasmill.random.bytes(70_000) };
    wasmill.log.warn("over", .{ .amount = 2.5, .name = "ü", .flag = true, .kind = .card, .none = @as(?u8, null) });
    const line = wasmill.testing.lines()[0];
    try expectEqual(.warn, line.level);
    try expectEqualStrings("2.5", line.field("amount").?);
    try expectEqualStrings("ü", line.field("name").?);
    try expectEqualStrings("true", line.field("flag").?);
    try expectEqualStrings("card", line.field("kind").?);
    try expectEqualStrings("null", line.field("none").?);
    start(.{});
    try expectEqual(drawn[0], wasmill.random.next());
}

test "headers compare without case" {
    const event: wasmill.Event = .{ .headers = &.{ .{ .name = "Trace", .value = "1" }, .{ .name = "TRACE", .value = "2" } } };
    try expectEqualStrings("1", event.header("trace").?);
    try expectEqual(null, event.header("other"));
}

const seen: wasmill.state.Counter = .{ .name = "n" };
const last: wasmill.state.List([]const u8) = .{ .name = "l", .bound = 2 };
const held: wasmill.state.Map([]const u8) = .{ .name = "m" };
const cards: wasmill.state.Set = .{ .name = "s" };

test "typed fields are stored as in every language" {
    start(.{ .key = "k" });
    try expectEqual(3, try seen.add(3));
    try expectEqual(-2, try seen.add(-5));
    try std.testing.expectError(error.Reject, seen.add(std.math.minInt(i64)));
    for ([_][]const u8{ "a", "b", "c ü" }) |value| _ = try last.push(value);
    try (try held.entry("k")).set("v");
    try expectEqual(true, try cards.add("x"));
    try expectEqual(false, try cards.add("x"));
    const wanted = [_][2][]const u8{ .{ "l", "[\"b\",\"c ü\"]" }, .{ "m/k", "\"v\"" }, .{ "n", "-2" }, .{ "s/x", "true" } };
    try expectEqual(wanted.len, wasmill.testing.fields().len);
    for (wanted, wasmill.testing.fields()) |pair, field| {
        try expectEqualStrings(pair[0], field.name);
        try expectEqualStrings(pair[1], field.value);
    }
    try expectEqualStrings("k", (try held.keys())[0]);
    try expectEqualStrings("x", (try cards.all())[0]);
    try cards.remove("x");
    try last.delete();
    try expectEqual(2, (try wasmill.state.names("")).len);
    try wasmill.state.set("n", "{}");
    try std.testing.expectError(error.Retry, seen.get());
}

fn refused(event: *const wasmill.Event) !void {
    switch (event.attempt) {
        1 => try wasmill.state.set("name", "eighty bytes of value, or with the name and the cost of a field some more"),
        2 => for (0..3) |i| try wasmill.timers.set(try std.fmt.allocPrint(wasmill.allocator, "{d}", .{i}), 1, ""),
        3 => _ = try wasmill.state.get("\xFF"),
        4 => _ = try wasmill.lookup.get("late", "7"),
        5 => _ = try wasmill.lookup.get("other", "7"),
        else => try wasmill.timers.cancel(&@as([257]u8, @splat('n'))),
    }
}

test "what the engine refuses becomes a failure" {
    start(.{});
    try expectEqual(0, std.mem.find(u8, deliver(refused, .{ .attempt = 1 }).failure.retry.reason, "the plugin has no key").?);
    const rows = [_]wasmill.testing.Field{.{ .name = "7", .value = "x" }};
    start(.{ .key = "k", .record_bytes = 80, .max_timers = 2, .tables = &.{ .{ .name = "late", .rows = null }, .{ .name = "blocked", .rows = &rows } } });
    try expectEqualStrings("the key's record would pass its limit of 80 bytes", deliver(refused, .{ .attempt = 1 }).failure.reject);
    try expectEqual(80, wasmill.limit());
    try expectEqualStrings("the key has 2 timers, as many as it may have", deliver(refused, .{ .attempt = 2 }).failure.reject);
    try expectEqual(0, wasmill.testing.timers().len);
    try std.testing.expect(deliver(refused, .{ .attempt = 3 }).failure == .reject);
    try std.testing.expect(deliver(refused, .{ .attempt = 4 }).failure == .retry);
    try std.testing.expect(deliver(refused, .{ .attempt = 5 }).failure == .retry);
    try std.testing.expect(deliver(refused, .{ .attempt = 6 }).failure == .reject);
    try expectEqualStrings("x", (try wasmill.lookup.get("blocked", "7")).?);
    try expectEqual(null, try wasmill.lookup.get("blocked", "8"));
}

fn onTimer(timer: *const wasmill.Timer) !wasmill.Output {
    try wasmill.state.set("fired", timer.name);
    try wasmill.timers.set("again", timer.due_ns + 300, timer.data);
    if (std.mem.eql(u8, timer.name, "fails")) return wasmill.reject("it does", .{});
    return .print("out", "{s} {s} at {d}", .{ timer.name, timer.data, wasmill.clock.now() });
}

test "timers fire in order at their time" {
    start(.{ .key = "k", .now = 1000 });
    try wasmill.timers.set("b", 1100, "x");
    try wasmill.timers.set("a", 1100, "");
    try wasmill.timers.set("fails", 1200, "");
    try wasmill.timers.set("gone", 1, "");
    try wasmill.timers.cancel("gone");
    try wasmill.timers.after("never", std.math.maxInt(u64), "");
    try expectEqualStrings("b x at 1100", wasmill.testing.fire(onTimer, 1400).?.outputs[0].data);
    try expectEqualStrings("a  at 1100", wasmill.testing.fire(onTimer, 1400).?.outputs[0].data);
    try expectEqualStrings("it does", wasmill.testing.fire(onTimer, 1400).?.failure.reject);
    try expectEqualStrings("a", (try wasmill.state.get("fired")).?);
    try expectEqualStrings("again  at 1400", wasmill.testing.fire(onTimer, 1400).?.outputs[0].data);
    try expectEqual(null, wasmill.testing.fire(onTimer, 1400));
    try expectEqual(1400, wasmill.clock.now());
    try expectEqual(2, wasmill.testing.timers().len);
}
