//! JSON into types, with an account of what does not fit and where.
//!
//! It reads with `std.json.Scanner`, but is stricter than `std.json.parseFromSlice` (a number in quotes is no number)
//! and says which field it was. Fields that may be null may be missing.

const std = @import("std");
const arena = @import("arena.zig");
const text = @import("text.zig");

const Scanner = std.json.Scanner;
const Value = std.json.Value;

/// How deeply arrays and objects may lie within each other in a `std.json.Value`, which is walked by recursion.
pub const depth_max = 128;

/// How much of the path to a fault is told.
const path_max = 60;

const Error = error{ Fault, OutOfMemory };

/// What to do with fields that the type does not have.
pub const Unknown = enum { ignore, refuse };

/// A value, or why there is none.
pub fn Decoded(comptime T: type) type {
    return union(enum) { value: T, fault: []const u8 };
}

/// Reads a whole text as a `T`. The value may hold slices of the text.
pub fn decode(comptime T: type, source: []const u8, unknown: Unknown) error{OutOfMemory}!Decoded(T) {
    var scanner = Scanner.initCompleteInput(arena.allocator, source);
    var place: Scanner.Diagnostics = .{};
    scanner.enableDiagnostics(&place);
    var decoder: Decoder = .{ .scanner = &scanner, .place = &place, .unknown = unknown };
    const value = decoder.whole(T) catch |err| switch (err) {
        error.OutOfMemory => return error.OutOfMemory,
        error.Fault => return .{ .fault = decoder.account() },
    };
    return .{ .value = value };
}

const Decoder = struct {
    scanner: *Scanner,
    place: *Scanner.Diagnostics,
    unknown: Unknown,
    /// What is wrong; the path to it is put together on the way out of the recursion.
    what: []const u8 = "",
    path: []const u8 = "",
    line: u64 = 0,
    column: u64 = 0,

    fn account(decoder: *Decoder) []const u8 {
        const path = std.mem.trimStart(u8, decoder.path, ".");
        const at = .{ decoder.what, decoder.line, decoder.column };
        if (path.len == 0) return text.print("{s} at line {d} column {d}", at);
        return text.print("`{s}`: {s} at line {d} column {d}", .{path} ++ at);
    }

    fn fail(decoder: *Decoder, comptime format: []const u8, args: anytype) error{Fault} {
        decoder.what = text.print(format, args);
        return error.Fault;
    }

    /// Fails with the place where the scanner stands now.
    fn failHere(decoder: *Decoder, comptime format: []const u8, args: anytype) error{Fault} {
        decoder.mark();
        return decoder.fail(format, args);
    }

    fn mark(decoder: *Decoder) void {
        decoder.line = decoder.place.getLine();
        decoder.column = decoder.place.getColumn();
    }

    fn within(decoder: *Decoder, err: Error, comptime format: []const u8, args: anytype) Error {
        if (err == error.Fault and decoder.path.len < path_max) {
            decoder.path = text.print(format ++ "{s}", args ++ .{decoder.path});
            if (decoder.path.len >= path_max) decoder.path = text.print("…{s}", .{decoder.path});
        }
        return err;
    }

    fn scanError(decoder: *Decoder, err: anyerror) Error {
        return switch (err) {
            error.OutOfMemory => error.OutOfMemory,
            error.UnexpectedEndOfInput => decoder.failHere("the text ends too early", .{}),
            else => decoder.failHere("this is no JSON", .{}),
        };
    }

    fn token(decoder: *Decoder) Error!std.json.Token {
        return decoder.scanner.nextAlloc(arena.allocator, .alloc_if_needed) catch |err| decoder.scanError(err);
    }

    fn peek(decoder: *Decoder) Error!std.json.TokenType {
        const kind = decoder.scanner.peekNextTokenType() catch |err| return decoder.scanError(err);
        decoder.mark();
        return kind;
    }

    fn whole(decoder: *Decoder, comptime T: type) Error!T {
        const value = try decoder.read(T, 0);
        if (try decoder.peek() != .end_of_document) return decoder.fail("there is more behind the value", .{});
        return value;
    }

    fn read(decoder: *Decoder, comptime T: type, depth: usize) Error!T {
        if (T == Value) return decoder.dynamic(depth);
        const kind = try decoder.peek();
        switch (@typeInfo(T)) {
            .bool => return switch (kind) {
                .true, .false => try decoder.token() == .true,
                else => decoder.expected("true or false", kind),
            },
            .int, .float => return decoder.number(T, kind),
            .optional => |optional| {
                if (kind != .null) return try decoder.read(optional.child, depth);
                _ = try decoder.token();
                return null;
            },
            .@"enum" => return decoder.tag(T, kind),
            .@"struct" => |info| {
                if (!info.is_tuple and !std.meta.hasFn(T, "jsonParse")) return decoder.object(T, kind, depth);
            },
            .pointer => |pointer| {
                if (pointer.size == .slice and pointer.sentinel_ptr == null) {
                    if (pointer.child == u8 and kind == .string) return decoder.string(T);
                    return decoder.list(T, pointer.child, kind, depth);
                }
            },
            else => {},
        }
        return decoder.other(T);
    }

    /// What this reader does not know is left to the standard library, with its less telling errors.
    fn other(decoder: *Decoder, comptime T: type) Error!T {
        const options: std.json.ParseOptions = .{
            .ignore_unknown_fields = decoder.unknown == .ignore,
            .max_value_len = decoder.scanner.input.len,
            .allocate = .alloc_if_needed,
        };
        return std.json.innerParse(T, arena.allocator, decoder.scanner, options) catch |err| switch (err) {
            error.OutOfMemory => error.OutOfMemory,
            error.SyntaxError, error.UnexpectedEndOfInput => decoder.scanError(err),
            else => decoder.fail("not what was expected ({s})", .{@errorName(err)}),
        };
    }

    fn expected(decoder: *Decoder, comptime what: []const u8, kind: std.json.TokenType) Error {
        // Only the first letter of these has been looked at.
        if (kind == .true or kind == .false or kind == .null) {
            if (decoder.token()) |_| {} else |err| return err;
        }
        return decoder.fail("expected " ++ what ++ ", found {s}", .{switch (kind) {
            .object_begin => "an object",
            .array_begin => "an array",
            .string => "a string",
            .number => "a number",
            .true, .false => "a boolean",
            .null => "null",
            .object_end, .array_end, .end_of_document => "the end",
        }});
    }

    fn number(decoder: *Decoder, comptime T: type, kind: std.json.TokenType) Error!T {
        const is_int = @typeInfo(T) == .int;
        if (kind != .number) return decoder.expected(if (is_int) "an integer" else "a number", kind);
        const digits = switch (try decoder.token()) {
            inline .number, .allocated_number => |digits| digits,
            else => unreachable,
        };
        if (is_int) {
            return std.fmt.parseInt(T, digits, 10) catch |err| switch (err) {
                error.Overflow => decoder.fail("{s} is out of range ({s})", .{ digits, @typeName(T) }),
                error.InvalidCharacter => decoder.fail("expected an integer, found {s}", .{digits}),
            };
        }
        const value = std.fmt.parseFloat(T, digits) catch unreachable;
        if (std.math.isInf(value)) return decoder.fail("{s} is out of range ({s})", .{ digits, @typeName(T) });
        return value;
    }

    fn string(decoder: *Decoder, comptime T: type) Error!T {
        const is_const = @typeInfo(T).pointer.attrs.@"const";
        return switch (try decoder.token()) {
            .string => |slice| if (is_const) slice else try arena.allocator.dupe(u8, slice),
            .allocated_string => |slice| slice,
            else => unreachable,
        };
    }

    fn tag(decoder: *Decoder, comptime T: type, kind: std.json.TokenType) Error!T {
        if (kind != .string) return decoder.expected("a string", kind);
        const name = try decoder.string([]const u8);
        return std.meta.stringToEnum(T, name) orelse decoder.fail("unknown value \"{s}\"", .{name});
    }

    fn list(decoder: *Decoder, comptime T: type, comptime Item: type, kind: std.json.TokenType, depth: usize) Error!T {
        if (kind != .array_begin) return decoder.expected(if (Item == u8) "a string" else "an array", kind);
        _ = try decoder.token();
        var items: std.ArrayList(Item) = .empty;
        while (try decoder.peek() != .array_end) {
            const item = decoder.read(Item, depth + 1) catch |err| return decoder.within(err, "[{d}]", .{items.items.len});
            try items.append(arena.allocator, item);
        }
        _ = try decoder.token();
        return items.items;
    }

    fn object(decoder: *Decoder, comptime T: type, kind: std.json.TokenType, depth: usize) Error!T {
        const info = @typeInfo(T).@"struct";
        if (kind != .object_begin) return decoder.expected("an object", kind);
        _ = try decoder.token();
        var value: T = undefined;
        var seen: [info.field_names.len]bool = @splat(false);
        while (try decoder.peek() != .object_end) {
            const name = try decoder.string([]const u8);
            inline for (info.field_names, info.field_types, 0..) |field, Field, i| {
                if (std.mem.eql(u8, field, name)) {
                    if (seen[i]) return decoder.fail("field `{s}` stands there twice", .{field});
                    seen[i] = true;
                    @field(value, field) = decoder.read(Field, depth + 1) catch |err|
                        return decoder.within(err, ".{s}", .{field});
                    break;
                }
            } else {
                if (decoder.unknown == .refuse) return decoder.fail("unknown field `{s}`", .{name});
                decoder.scanner.skipValue() catch |err| return decoder.scanError(err);
            }
        }
        inline for (info.field_names, info.field_types, info.field_attrs, 0..) |field, Field, attrs, i| {
            if (!seen[i]) {
                if (attrs.defaultValue(Field)) |default| {
                    @field(value, field) = default;
                } else if (@typeInfo(Field) == .optional) {
                    @field(value, field) = null;
                } else return decoder.fail("missing field `{s}`", .{field});
            }
        }
        _ = try decoder.token();
        return value;
    }

    fn dynamic(decoder: *Decoder, depth: usize) Error!Value {
        if (depth > depth_max) return decoder.fail("more than {d} arrays and objects within each other", .{depth_max});
        switch (try decoder.peek()) {
            .string => return .{ .string = try decoder.string([]const u8) },
            .true, .false => return .{ .bool = try decoder.token() == .true },
            .null => {
                _ = try decoder.token();
                return .null;
            },
            .number => switch (try decoder.token()) {
                inline .number, .allocated_number => |digits| return Value.parseFromNumberSlice(digits),
                else => unreachable,
            },
            .array_begin => {
                var items: std.json.Array = .init(arena.allocator);
                items.items = @constCast(try decoder.list([]const Value, Value, .array_begin, depth));
                items.capacity = items.items.len;
                return .{ .array = items };
            },
            .object_begin => return .{ .object = try decoder.fields(depth) },
            .object_end, .array_end, .end_of_document => |kind| return decoder.expected("a value", kind),
        }
    }

    fn fields(decoder: *Decoder, depth: usize) Error!std.json.ObjectMap {
        _ = try decoder.token();
        var map: std.json.ObjectMap = .empty;
        while (try decoder.peek() != .object_end) {
            const name = try decoder.string([]const u8);
            const entry = try map.getOrPut(arena.allocator, name);
            if (entry.found_existing) return decoder.fail("field `{s}` stands there twice", .{name});
            const value = decoder.dynamic(depth + 1) catch |err| return decoder.within(err, ".{s}", .{name});
            entry.value_ptr.* = value;
        }
        _ = try decoder.token();
        return map;
    }
};
