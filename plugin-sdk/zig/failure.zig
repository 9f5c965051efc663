//! Why a handler did not finish an event.
//!
//! Zig's errors carry no text, so `reject`, `retry` and `raise` note theirs here and answer the error to be returned.

const std = @import("std");
const text = @import("text.zig");

/// Why a handler did not finish an event, as the engine learns it.
pub const Failure = union(enum) {
    /// It may work later.
    retry: Retry,
    /// It will never work: the event becomes a dead letter with this reason.
    reject: []const u8,
    /// The handler is at fault.
    exception: Exception,

    /// Ask for the event to be delivered again.
    pub const Retry = struct {
        /// Not before this many milliseconds have passed; null means the plugin's configured backoff.
        after_ms: ?u64 = null,
        /// Why, for people.
        reason: []const u8,
    };

    /// An error that the handler returned.
    pub const Exception = struct {
        /// The error's name, and its text if `raise` gave one.
        message: []const u8,
        /// Where `raise` was called; empty for other errors.
        trace: []const u8,
    };
};

/// When to deliver an event again.
pub const RetryOptions = struct {
    /// Not before this many milliseconds have passed; null means the plugin's configured backoff.
    after_ms: ?u64 = null,
};

const Noted = struct { err: anyerror, failure: Failure };

var rejected: []const u8 = "";
var retried: Failure.Retry = .{ .reason = "" };
var noted: ?Noted = null;

/// It will never work: `return wasmill.reject("no account {s}", .{id});`
pub fn reject(comptime format: []const u8, args: anytype) error{Reject} {
    rejected = text.print(format, args);
    return error.Reject;
}

/// It may work later: `return wasmill.retry(.{ .after_ms = 500 }, "{s} is busy", .{name});`
pub fn retry(options: RetryOptions, comptime format: []const u8, args: anytype) error{Retry} {
    retried = .{ .after_ms = options.after_ms, .reason = text.print(format, args) };
    return error.Retry;
}

/// The handler is at fault: the error, with a text and the place to look at.
/// `return wasmill.raise(@src(), error.Unbalanced, "{d} cents are missing", .{cents});`
pub fn raise(
    place: std.builtin.SourceLocation,
    err: anytype,
    comptime format: []const u8,
    args: anytype,
) @TypeOf(err) {
    note(err, .{ .exception = .{
        .message = text.print("error.{s}: " ++ format, .{@errorName(err)} ++ args),
        .trace = text.print("{s} ({s}:{d}:{d})", .{ place.fn_name, place.file, place.line, place.column }),
    } });
    return err;
}

/// Says what becomes of the event if the handler returns this error next.
pub fn note(err: anyerror, failure: Failure) void {
    noted = .{ .err = err, .failure = failure };
}

/// What the engine is told of an error that the handler returned.
pub fn of(err: anyerror) Failure {
    if (err == error.Reject) return .{ .reject = rejected };
    if (err == error.Retry) return .{ .retry = retried };
    if (noted) |it| if (it.err == err) return it.failure;
    return .{ .exception = .{ .message = text.print("error.{s}", .{@errorName(err)}), .trace = "" } };
}

/// Forgets what the last call noted: its texts are gone with its memory.
pub fn reset() void {
    rejected = "";
    retried = .{ .reason = "" };
    noted = null;
}
