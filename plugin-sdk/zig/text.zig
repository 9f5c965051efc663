//! Texts in the memory of the call.

const std = @import("std");
const arena = @import("arena.zig");

/// What stands for bytes that are no UTF-8.
const replacement = "\u{FFFD}";

/// A text made of a format and its arguments, as UTF-8.
pub fn print(comptime format: []const u8, args: anytype) []const u8 {
    const made = std.fmt.allocPrint(arena.allocator, format, args) catch @panic("out of memory");
    return lossy(made);
}

/// The text itself, or a copy with U+FFFD in place of bytes that are no UTF-8. The engine takes no other strings.
pub fn lossy(bytes: []const u8) []const u8 {
    if (std.unicode.utf8ValidateSlice(bytes)) return bytes;
    var made: std.ArrayList(u8) = .empty;
    var at: usize = 0;
    while (at < bytes.len) {
        const len = sequence(bytes[at..]);
        const piece = if (len == 0) replacement else bytes[at..][0..len];
        made.appendSlice(arena.allocator, piece) catch @panic("out of memory");
        at += @max(len, 1);
    }
    return made.items;
}

/// The length of the UTF-8 sequence that `bytes` begin with, 0 if they begin with none.
fn sequence(bytes: []const u8) usize {
    const len = std.unicode.utf8ByteSequenceLength(bytes[0]) catch return 0;
    if (len > bytes.len or !std.unicode.utf8ValidateSlice(bytes[0..len])) return 0;
    return len;
}

test lossy {
    arena.reset();
    try std.testing.expectEqualStrings("aü", lossy("aü"));
    try std.testing.expectEqualStrings("a\u{FFFD}b\u{FFFD}\u{FFFD}", lossy("a\xFFb\xE2\x82"));
}
