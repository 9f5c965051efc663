//! The memory of one call: taken piece by piece, given back all at once when the engine has read the answer.
//!
//! A fresh instance per event pays for every page that it touches, so blocks lie densely behind each other. The first
//! region lies in the module's zeroed data, so that small events never grow the memory; further regions are kept from
//! call to call, so that an instance holds what its largest call needed and no more.

const std = @import("std");
const builtin = @import("builtin");

const Alignment = std.mem.Alignment;

/// What a small event needs, with room to spare; pages that are never touched cost nothing.
const first_bytes = 64 * 1024;
/// Growth in advance doubles what there is, up to this: few growths, little waste under a tight memory limit.
const step_max_bytes = 1024 * 1024;
/// The unit of growth.
const page_bytes = 64 * 1024;

/// A stretch of memory. All but the first begin with their own header.
const Region = struct {
    next: ?*Region = null,
    begin: usize = 0,
    end: usize = 0,
};

var first_memory: [first_bytes]u8 align(16) = undefined;
var first: Region = .{};
/// Where blocks are taken at the moment; every region behind it is empty.
var region: *Region = &first;
/// Where the next block begins; 0 before the first.
var bump: usize = 0;
/// All that the regions hold.
var total: usize = first_bytes;

/// Memory that lasts until the call ends. Nothing taken from it need be freed.
pub const allocator: std.mem.Allocator = .{
    .ptr = @ptrCast(&first),
    .vtable = &.{ .alloc = alloc, .resize = resize, .remap = remap, .free = free },
};

/// Gives everything back.
pub fn reset() void {
    if (bump == 0) {
        first.begin = @intFromPtr(&first_memory);
        first.end = first.begin + first_bytes;
    }
    region = &first;
    bump = first.begin;
}

/// What the engine calls for the memory of a value, and to make one larger.
pub fn realloc(old: usize, old_len: usize, alignment: usize, len: usize) usize {
    // Nothing needs no room, but its address must lie within the memory.
    if (len == 0) return alignment;
    if (stretch(old, old_len, len)) return old;
    const block = take(len, alignment) orelse @panic("out of memory");
    const kept = @min(old_len, len);
    if (kept != 0) {
        const from: [*]const u8 = @ptrFromInt(old);
        const to: [*]u8 = @ptrFromInt(block);
        @memcpy(to[0..kept], from[0..kept]);
    }
    return block;
}

fn take(len: usize, alignment: usize) ?usize {
    if (bump == 0) reset();
    while (true) {
        const at = std.mem.alignForward(usize, bump, alignment);
        if (at <= region.end and len <= region.end - at) {
            bump = at + len;
            return at;
        }
        if (region.next) |next| {
            region = next;
            bump = next.begin;
        } else if (!grow(len, alignment)) return null;
    }
}

/// Makes the last region longer where the memory grows at its end, else adds one behind it.
fn grow(len: usize, alignment: usize) bool {
    const needed = std.math.add(usize, len, alignment + @sizeOf(Region)) catch return false;
    const memory = pages(@max(needed, @min(total, step_max_bytes))) orelse pages(needed) orelse return false;
    const begin = @intFromPtr(memory.ptr);
    const end = std.math.add(usize, begin, memory.len) catch return false;
    total += memory.len;
    if (region.end == begin) {
        region.end = end;
    } else {
        const added: *Region = @ptrCast(@alignCast(memory.ptr));
        added.* = .{ .begin = begin + @sizeOf(Region), .end = end };
        region.next = added;
    }
    return true;
}

fn pages(bytes: usize) ?[]u8 {
    const count = std.math.divCeil(usize, bytes, page_bytes) catch return null;
    if (!builtin.cpu.arch.isWasm()) {
        return std.heap.page_allocator.alloc(u8, count * page_bytes) catch null;
    }
    const index = @wasmMemoryGrow(0, count);
    if (index < 0) return null;
    const begin: [*]u8 = @ptrFromInt(@as(usize, @intCast(index)) * page_bytes);
    return begin[0 .. count * page_bytes];
}

/// Makes the last block longer or any block shorter, in place.
fn stretch(old: usize, old_len: usize, len: usize) bool {
    if (old_len == 0) return false;
    const is_last = old + old_len == bump;
    if (is_last and len <= region.end - old) {
        bump = old + len;
        return true;
    }
    return len <= old_len;
}

fn alloc(_: *anyopaque, len: usize, alignment: Alignment, _: usize) ?[*]u8 {
    return @ptrFromInt(take(len, alignment.toByteUnits()) orelse return null);
}

fn resize(_: *anyopaque, memory: []u8, _: Alignment, len: usize, _: usize) bool {
    return stretch(@intFromPtr(memory.ptr), memory.len, len);
}

fn remap(_: *anyopaque, memory: []u8, _: Alignment, len: usize, _: usize) ?[*]u8 {
    return if (stretch(@intFromPtr(memory.ptr), memory.len, len)) memory.ptr else null;
}

fn free(_: *anyopaque, memory: []u8, _: Alignment, _: usize) void {
    const begin = @intFromPtr(memory.ptr);
    if (begin + memory.len == bump) bump = begin;
}

test "blocks are aligned, apart, and given back together" {
    reset();
    const a = try allocator.alloc(u8, 3);
    const b = try allocator.alloc(u64, 2);
    try std.testing.expect(@intFromPtr(b.ptr) >= @intFromPtr(a.ptr) + 3);
    const large = try allocator.alloc(u8, 3 * step_max_bytes);
    @memset(large, 1);
    try std.testing.expectEqual(@as(usize, 8), realloc(0, 0, 8, 0));
    const held = total;
    for (0..100) |_| {
        reset();
        try std.testing.expectEqual(a.ptr, (try allocator.alloc(u8, 3)).ptr);
        @memset(try allocator.alloc(u8, 3 * step_max_bytes), 2);
    }
    try std.testing.expectEqual(held, total);
}

test "the last block grows where it stands, another one moves with its content" {
    reset();
    const block = realloc(0, 0, 1, 4);
    @as([*]u8, @ptrFromInt(block))[0..4].* = "abcd".*;
    try std.testing.expectEqual(block, realloc(block, 4, 1, 100));
    _ = realloc(0, 0, 1, 1);
    const moved = realloc(block, 100, 1, 200);
    try std.testing.expect(moved != block);
    try std.testing.expectEqualStrings("abcd", @as([*]u8, @ptrFromInt(moved))[0..4]);
}
