//! What a handler receives and what it emits.

const std = @import("std");
const arena = @import("arena.zig");
const failure = @import("failure.zig");
const json_reader = @import("json.zig");

/// A header: names compare without regard to case, and a name may stand more than once.
pub const Header = struct {
    name: []const u8,
    value: []const u8,
};

/// One message on the bus with its CloudEvents attributes. Its slices last until the call ends.
pub const Event = struct {
    /// Identifies the event within its source.
    id: []const u8 = "test-1",
    /// CloudEvents `source`, else `nats:` and the stream or subject the message came from.
    source: []const u8 = "nats:TEST",
    /// CloudEvents `type`, else `nats.message`.
    type: []const u8 = "nats.message",
    /// The subject the message was published to.
    subject: []const u8 = "test.subject",
    /// When it happened, nanoseconds since the Unix epoch.
    time_ns: u64 = 1_767_225_600_000_000_000,
    /// The event's key, where the manifest names one.
    key: ?[]const u8 = null,
    /// All headers that are not attributes above, in order.
    headers: []const Header = &.{},
    /// The payload, untouched.
    data: []const u8 = "",
    /// Which delivery this is, from 1.
    attempt: u32 = 1,
    /// Where the publisher waits for an answer, if it does.
    reply_to: ?[]const u8 = null,

    /// The first value of a header; names compare without regard to case.
    pub fn header(event: *const Event, name: []const u8) ?[]const u8 {
        for (event.headers) |it| {
            if (std.ascii.eqlIgnoreCase(it.name, name)) return it.value;
        }
        return null;
    }

    /// The payload read from JSON into a `T`, which may be `std.json.Value`. Fields that `T` does not have are passed
    /// over; one with a default or that may be null may be missing. A payload that does not fit is rejected with what
    /// is wrong and where.
    pub fn json(event: *const Event, comptime T: type) error{ Reject, OutOfMemory }!T {
        return switch (try json_reader.decode(T, event.data, .ignore)) {
            .value => |value| value,
            .fault => |fault| failure.reject("payload: {s}", .{fault}),
        };
    }
};

/// An event that a handler emits. The engine gives it its id, source and time.
pub const Output = struct {
    /// Where to publish it: no wildcards, and within the emit grants of the manifest.
    subject: []const u8,
    /// CloudEvents `type`; null means the type of the event that caused it.
    type: ?[]const u8 = null,
    /// Further headers. `Nats-*`, `Wasmill-*` and CloudEvents attributes are the engine's to set.
    headers: []const Header = &.{},
    /// The payload.
    data: []const u8 = "",

    /// An output of this value as JSON, with `content-type: application/json`.
    pub fn json(subject: []const u8, value: anytype) error{OutOfMemory}!Output {
        return .{
            .subject = subject,
            .headers = &.{.{ .name = "content-type", .value = "application/json" }},
            .data = try std.json.Stringify.valueAlloc(arena.allocator, value, .{}),
        };
    }

    /// An output of a text made of a format and its arguments.
    pub fn print(subject: []const u8, comptime format: []const u8, args: anytype) error{OutOfMemory}!Output {
        return .{ .subject = subject, .data = try std.fmt.allocPrint(arena.allocator, format, args) };
    }

    /// The same output with another CloudEvents `type`.
    pub fn withType(output: Output, kind: []const u8) Output {
        var other = output;
        other.type = kind;
        return other;
    }

    /// The same output with one header more.
    pub fn withHeader(output: Output, name: []const u8, value: []const u8) error{OutOfMemory}!Output {
        const headers = try arena.allocator.alloc(Header, output.headers.len + 1);
        @memcpy(headers[0..output.headers.len], output.headers);
        headers[output.headers.len] = .{ .name = name, .value = value };
        var other = output;
        other.headers = headers;
        return other;
    }
};

/// What a component says about itself: `pub const about: wasmill.About = .{ … };` in `src/plugin.zig`.
pub const About = struct {
    /// The plugin's name.
    name: []const u8,
    /// Its version, as semantic versioning has it.
    version: []const u8,
    /// One sentence for people.
    summary: []const u8 = "",
    /// The subject patterns it is made for.
    subjects: []const []const u8 = &.{},
    /// The subject patterns it emits to.
    emits: []const []const u8 = &.{},
};
