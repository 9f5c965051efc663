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
