const std = @import("std");
const arena = @import("arena.zig");
const json = @import("json.zig");

const testing = std.testing;

fn fault(comptime T: type, source: []const u8, reason: []const u8) !void {
    arena.reset();
    switch (try json.decode(T, source, .ignore)) {
        .value => return error.TestUnexpectedResult,
        .fault => |found| try testing.expectEqualStrings(reason, found),
    }
}

const Order = struct {
    id: []const u8,
    amount: f64 = 1,
    note: ?[]const u8,
    lines: []const struct { count: u8 } = &.{},
    kind: enum { card, cash } = .card,
};

test "a value is read into its type" {
    arena.reset();
    const source =
        \\{"more": [[{}]], "id": "\u00fc\n", "amount": 1e2, "lines": [{"count": 7}, {"count": 0}], "kind": "cash"}
    ;
    const order = (try json.decode(Order, source, .ignore)).value;
    try testing.expectEqualStrings("ü\n", order.id);
    try testing.expectEqual(100, order.amount);
    try testing.expectEqual(null, order.note);
    try testing.expectEqual(2, order.lines.len);
    try testing.expectEqual(7, order.lines[0].count);
    try testing.expectEqual(.cash, order.kind);
    try testing.expectEqual(-3, (try json.decode(i64, " -3 ", .ignore)).value);
    try testing.expectEqual(true, (try json.decode(?bool, "true", .ignore)).value);
}

test "what does not fit is told with its place" {
    try fault(Order, "", "the text ends too early at line 1 column 1");
    try fault(Order, "{\"id\":", "`id`: the text ends too early at line 1 column 7");
    try fault(Order, "{\"id\": \"a\"} x", "this is no JSON at line 1 column 13");
    try fault(Order, "{\"id\": \"a\"} 1", "this is no JSON at line 1 column 13");
    try fault(Order, "{\n \"id\": 7}", "`id`: expected a string, found a number at line 2 column 8");
    try fault(Order, "{\"amount\": 7}", "missing field `id` at line 1 column 13");
    try fault(Order, "{\"amount\": \"7\"}", "`amount`: expected a number, found a string at line 1 column 12");
    try fault(Order, "{\"amount\": 1e999}", "`amount`: 1e999 is out of range (f64) at line 1 column 12");
    try fault(Order, "{\"lines\": [{\"count\": 1}, {\"count\": 256}]}", "`lines[1].count`: 256 is out of range (u8) at line 1 column 36");
    try fault(Order, "{\"lines\": [{\"count\": 1.5}]}", "`lines[0].count`: expected an integer, found 1.5 at line 1 column 22");
    try fault(Order, "{\"id\": \"a\", \"id\": \"b\"}", "field `id` stands there twice at line 1 column 13");
    try fault(Order, "{\"kind\": \"gold\"}", "`kind`: unknown value \"gold\" at line 1 column 10");
    try fault(Order, "nan", "this is no JSON at line 1 column 2");
    try fault(Order, "null", "expected an object, found null at line 1 column 1");
    try fault(Order, "[]", "expected an object, found an array at line 1 column 1");
    try fault(Order, "{\"id\": \"\xFF\"}", "`id`: this is no JSON at line 1 column 9");
}

test "settings that nobody knows are refused where that is asked" {
    arena.reset();
    const found = try json.decode(struct { a: u8 = 1 }, "{\"b\": 2}", .refuse);
    try testing.expectEqualStrings("unknown field `b` at line 1 column 2", found.fault);
}

test "a dynamic value is bounded in depth" {
    const open: [1_000_000]u8 = @splat('[');
    try fault(std.json.Value, &open, "`…[0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0]`: more than 128 arrays and objects within each other at line 1 column 130");
    // What is skipped may be as deep as it likes.
    try fault(struct { a: u8 }, "{\"b\": " ++ open ++ "}", "this is no JSON at line 1 column 1000007");
    arena.reset();
    const source = "{\"a\": [1, 2.5, \"x\", null, true, 123456789012345678901234567890], \"b\": {}}";
    const value = (try json.decode(std.json.Value, source, .ignore)).value;
    try testing.expectEqual(6, value.object.get("a").?.array.items.len);
    const written = try std.json.Stringify.valueAlloc(arena.allocator, value, .{});
    try testing.expectEqualStrings("{\"a\":[1,2.5,\"x\",null,true,123456789012345678901234567890],\"b\":{}}", written);
}
